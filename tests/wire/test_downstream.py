"""What a client sends: read as it was meant; any bytes are a value or ProtocolError."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.errors import ProtocolError
from nlsql_gateway.wire import downstream, messages, upstream
from tests.wire.strategies import body, garbage, names, words

values = st.one_of(st.none(), st.tuples(st.sampled_from([0, 1]), st.binary(max_size=20)))


def bind(portal: str, statement: str, given: list[tuple[int, bytes] | None], formats: list[int] | None = None) -> bytes:
    """The body of a Bind with one format for each parameter, results as text."""
    codes = [value[0] if value else 0 for value in given] if formats is None else formats
    data = b"".join(
        struct.pack("!i", -1) if value is None else struct.pack("!i", len(value[1])) + value[1] for value in given
    )
    head = f"{portal}\0{statement}\0".encode()
    return head + struct.pack(f"!H{len(codes)}hH", len(codes), *codes, len(given)) + data + struct.pack("!H", 0)


@given(words)
def test_query(text: str) -> None:
    assert downstream.parse_query(body(upstream.query(text))) == text


@given(words, words, st.lists(st.integers(0, 2**32 - 1), max_size=5), words)
def test_parse_keeps_name_and_types_under_another_text(name: str, text: str, types: list[int], other: str) -> None:
    oids = struct.pack(f"!H{len(types)}I", len(types), *types)
    sent = f"{name}\0{text}\0".encode() + oids
    parsed = downstream.parse_parse(sent)
    assert (parsed.name, parsed.text, parsed.types) == (name, text, oids)
    assert body(parsed.encode(text)) == sent
    again = downstream.parse_parse(body(parsed.encode(other)))
    assert (again.name, again.text, again.types) == (name, other, oids)


@given(words, words, st.lists(values, max_size=5))
def test_bind_reads_text_binary_and_null(portal: str, statement: str, given_: list[tuple[int, bytes] | None]) -> None:
    parsed = downstream.parse_bind(bind(portal, statement, given_))
    assert (parsed.portal, parsed.statement) == (portal, statement)
    for value, read in zip(given_, parsed.parameters, strict=True):
        if value is None:
            assert read is None
        elif value[0] == 1:
            assert read == "hex:" + value[1].hex()
        else:
            assert read == value[1].decode("utf-8", "backslashreplace")


@pytest.mark.parametrize(("formats", "expected"), [([], "ab"), ([0], "ab"), ([1], "hex:6162")])
def test_no_format_or_one_holds_for_all_parameters(formats: list[int], expected: str) -> None:
    assert downstream.parse_bind(bind("", "", [(0, b"ab")] * 3, formats)).parameters == (expected,) * 3


def test_counts_are_unsigned() -> None:
    """PostgreSQL reads them so: up to 65,535 parameters, and drivers send that many."""
    many = 60_000
    assert len(downstream.parse_bind(bind("", "", [(0, b"1")] * many)).parameters) == many
    oids = struct.pack(f"!H{many}I", many, *[23] * many)
    assert downstream.parse_parse(b"\0SELECT\0" + oids).types == oids


@pytest.mark.parametrize(
    "sent",
    [
        bind("", "", [(0, b"abc")])[:-3],
        bind("", "", [(0, b"abc")]) + b"\0",
        bind("", "", [(0, b"abc")] * 3, [0, 1]),
        b"\0\0" + struct.pack("!HHi", 0, 1, -2) + struct.pack("!H", 0),
        b"\0\0" + struct.pack("!HHi", 0, 1, 2**31 - 1) + b"abc",
    ],
    ids=["cut off", "too long", "formats do not fit", "a length below -1", "a length beyond the message"],
)
def test_a_malformed_bind_is_refused(sent: bytes) -> None:
    with pytest.raises(ProtocolError):
        downstream.parse_bind(sent)


@given(st.sampled_from("SP"), words)
def test_target_of_describe_and_close(kind: str, name: str) -> None:
    assert downstream.parse_target("CLOSE", f"{kind}{name}\0".encode()) == (kind, name)


@given(words, st.integers(0, 2**31 - 1))
def test_execute(portal: str, limit: int) -> None:
    assert downstream.parse_execute(f"{portal}\0".encode() + struct.pack("!i", limit)) == portal


@given(st.dictionaries(names, words, max_size=5))
def test_startup(parameters: dict[str, str]) -> None:
    packet = upstream.startup(parameters)
    assert struct.unpack_from("!i", packet)[0] == len(packet)
    assert downstream.parse_first(packet[4:]) == downstream.Startup(3, 0, parameters)


def test_the_other_first_packets() -> None:
    assert downstream.parse_first(upstream.ssl_request()[4:]) == downstream.SslRequest()
    assert downstream.parse_first(struct.pack("!i", messages.GSSENC_REQUEST)) == downstream.GssEncRequest()
    cancel = upstream.cancel_request(struct.pack("!i", 42) + b"four")
    assert downstream.parse_first(cancel[4:]) == downstream.CancelRequest(42, b"four")


def test_another_version_and_its_options_are_told() -> None:
    first = downstream.parse_first(struct.pack("!HH", 3, 9999) + b"user\0ada\0_pq_.test\0on\0\0")
    assert isinstance(first, downstream.Startup)
    assert (first.major, first.minor, first.unknown_options) == (3, 9999, ["_pq_.test"])
    said = body(downstream.negotiate_version(0, first.unknown_options))
    assert said == struct.pack("!ii", 196608, 1) + b"_pq_.test\0"
    assert downstream.parse_first(struct.pack("!HH", 2, 0) + b"anything") == downstream.Startup(2, 0, {})


@pytest.mark.parametrize(
    "packet",
    [
        struct.pack("!i", messages.SSL_REQUEST) + b"\0",
        struct.pack("!ii", messages.CANCEL_REQUEST, 1),
        struct.pack("!ii", messages.CANCEL_REQUEST, 1) + bytes(257),
        struct.pack("!HH", 3, 0),
        struct.pack("!HH", 3, 0) + b"user\0ada\0",
        struct.pack("!HH", 3, 0) + b"user\0\0",
        struct.pack("!HH", 3, 0) + b"user\0ada\0user\0eva\0\0",
        struct.pack("!HH", 3, 0) + b"\0ada\0\0",
        struct.pack("!HH", 3, 0) + b"user\0\xff\0\0",
    ],
)
def test_a_malformed_first_packet_is_refused(packet: bytes) -> None:
    with pytest.raises(ProtocolError):
        downstream.parse_first(packet)


@pytest.mark.parametrize(
    "parse",
    [
        downstream.parse_query,
        downstream.parse_parse,
        downstream.parse_bind,
        lambda data: downstream.parse_target("CLOSE", data),
        downstream.parse_execute,
        downstream.parse_sasl_initial,
        lambda data: downstream.parse_first(b"\0\3\0\0" + data),
        lambda data: downstream.parse_first(data.ljust(4, b"\0")),
    ],
)
@given(data=garbage)
def test_any_bytes_are_a_value_or_a_protocol_error(parse: Callable[[bytes], object], data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        parse(data)
