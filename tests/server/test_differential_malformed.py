"""Messages that PostgreSQL finds malformed, sent to it and through the gateway: its error, and the session goes on."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.wire.messages import message
from tests.server.conftest import Served, Server
from tests.server.raw import FLUSH, SYNC, Raw, bind, close, execute, parse, query
from tests.server.test_differential import compare, replies

S = parse("s", "SELECT $1::text")


def bound(*parts: bytes) -> list[bytes]:
    """A Bind of ``s`` whose body behind the names is ``parts``."""
    return [S, message(b"B", b"\0s\0" + b"".join(parts))]


def counts(*numbers: int) -> bytes:
    return b"".join(struct.pack("!H", number & 0xFFFF) for number in numbers)


def value(data: bytes, size: int | None = None) -> bytes:
    return struct.pack("!i", len(data) if size is None else size) + data


MALFORMED: dict[str, list[bytes]] = {
    "query without terminator": [message(b"Q", b"SELECT 1")],
    "query with more behind it": [message(b"Q", b"SELECT 1\0SELECT 2\0")],
    "query without body": [message(b"Q", b"")],
    "query not in UTF-8": [message(b"Q", b"SELECT '\xff'\0")],
    "query behind a pipeline": [S, message(b"Q", b"SELECT 1")],
    "parse without body": [message(b"P", b"")],
    "parse without text": [message(b"P", b"x\0")],
    "parse without terminator": [message(b"P", b"x\0SELECT 1")],
    "parse without types": [message(b"P", b"x\0SELECT 1\0")],
    "parse with too few types": [message(b"P", b"x\0SELECT 1\0\0\2\0\0\0\x17")],
    "parse with half a type": [message(b"P", b"x\0SELECT 1\0\0\1\0\0\0")],
    "parse with a negative count": [message(b"P", b"x\0SELECT 1\0\xff\xff")],
    "parse with more behind it": [message(b"P", b"x\0SELECT 1\0\0\0!")],
    "parse of a name not in UTF-8": [message(b"P", b"\xff\0SELECT 1\0\0\0")],
    "parse of text not in UTF-8": [message(b"P", b"x\0SELECT '\xff'\0\0\0")],
    "a malformed parse leaves the unnamed statement": [
        *[parse("", "SELECT 7"), SYNC, message(b"P", b"\0SELECT 1"), SYNC, bind("", ""), execute("")]
    ],
    "bind without body": [message(b"B", b"")],
    "bind without statement": [message(b"B", b"\0")],
    "bind of a portal not in UTF-8": [S, message(b"B", b"\xff\0s\0" + counts(0, 1) + value(b"x") + counts(0))],
    "bind of a statement not in UTF-8": [S, message(b"B", b"\0\xff\0" + counts(0, 1) + value(b"x") + counts(0))],
    "bind without formats": bound(),
    "bind with too few formats": bound(counts(3, 0)),
    "bind with other formats than values": bound(counts(2, 0, 0, 1), value(b"x"), counts(0)),
    "bind with an unknown format": bound(counts(1, 2, 1), value(b"x"), counts(0)),
    "bind with a negative format": bound(counts(1, -1, 1), value(b"x"), counts(0)),
    "bind with too many values": bound(counts(0, 2), value(b"x"), value(b"y"), counts(0)),
    "bind with too few values": bound(counts(0, 0), counts(0)),
    "bind without its value": bound(counts(0, 1)),
    "bind with a value cut short": bound(counts(0, 1), value(b"x", 5)),
    "bind with a negative length": bound(counts(0, 1), value(b"", -2), counts(0)),
    "bind with NULL": bound(counts(0, 1), value(b"", -1), counts(0)),
    "bind of a value not in UTF-8": bound(counts(0, 1), value(b"\xff"), counts(0)),
    "bind of a value with a zero": bound(counts(0, 1), value(b"a\0b"), counts(0)),
    "bind of a binary value not in UTF-8": bound(counts(1, 1, 1), value(b"\xff"), counts(0)),
    "bind without result formats": bound(counts(0, 1), value(b"x")),
    "bind with too few result formats": bound(counts(0, 1), value(b"x"), counts(2, 0)),
    "bind with other result formats than columns": bound(counts(0, 1), value(b"x"), counts(2, 0, 0)),
    "bind with more behind it": bound(counts(0, 1), value(b"x"), counts(0), b"!"),
    "describe without body": [message(b"D", b"")],
    "describe without terminator": [S, message(b"D", b"Ss")],
    "describe of neither": [S, message(b"D", b"Xs\0")],
    "describe with more behind it": [S, message(b"D", b"Ss\0!")],
    "describe of a name not in UTF-8": [message(b"D", b"S\xff\0")],
    "execute without body": [message(b"E", b"")],
    "execute without terminator": [message(b"E", b"name")],
    "execute without limit": [message(b"E", b"\0")],
    "execute with half a limit": [message(b"E", b"\0\0\0")],
    "execute with more behind it": [message(b"E", b"\0\0\0\0\0!")],
    "execute of a name not in UTF-8": [message(b"E", b"\xff\0\0\0\0\0")],
    "execute with a negative limit": [parse("", "SELECT 1"), bind("", ""), execute("", -5)],
    "close without body": [message(b"C", b"")],
    "close of neither": [S, message(b"C", b"Xs\0")],
    "close without terminator": [S, message(b"C", b"Ss")],
    "close with more behind it": [S, message(b"C", b"Ss\0!")],
    "close of a name not in UTF-8": [message(b"C", b"S\xff\0")],
    "flush with a body": [S, message(b"H", b"!"), query("SELECT 2"), execute("")],
    "sync with a body": [S, message(b"S", b"!"), query("SELECT 2")],
    "malformed while skipping": [execute("none"), message(b"B", b""), message(b"Q", b"x"), message(b"H", b"!")],
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("within", [False, True], ids=["", "in a transaction"])
def test_a_malformed_message_is_an_error_like_any_other(
    served: Served, postgres: EmbeddedPostgres, name: str, within: bool
) -> None:
    """Checklist: after any error discard until Sync, then Z. Malformed: 08P01 or 22021; the session goes on."""
    begin = [query("BEGIN")] if within else []
    script = [*begin, *MALFORMED[name], FLUSH, SYNC, query("SELECT 'on'")]
    found = compare(served, postgres, script)
    assert ("C", b"SELECT 1\0") in found or within
    assert served.gate.all_closed()


def test_a_bind_with_a_negative_count(served: Served) -> None:
    """PostgreSQL compares the count with the statement's first; so only its words are others."""
    with Raw("127.0.0.1", served.port) as raw:
        raw.login().send(*bound(counts(0, -1), value(b"x"), counts(0)), SYNC, query("SELECT 1"))
        assert raw.error()["C"] == "08P01"
        assert [kind for kind, _ in raw.until("Z") + raw.until("Z")] == ["Z", "T", "D", "C", "Z"]


VALID = st.sampled_from(
    [
        query("SELECT 7"),
        parse("x", "SELECT $1::int"),
        message(b"P", b"x\0SELECT $1\0\0\1\0\0\0\x17"),
        message(b"B", b"\0s\0" + counts(0, 1) + value(b"x") + counts(0)),
        message(b"B", b"p\0s\0" + counts(1, 1, 1) + value(b"x") + counts(1, 1)),
        message(b"D", b"Ss\0"),
        message(b"D", b"P\0"),
        execute("", 1),
        close("S", "s"),
        close("P", "p"),
        FLUSH,
        SYNC,
    ]
)
damages = st.one_of(
    st.tuples(st.just("cut"), st.integers(0, 40), st.just(0)),
    st.tuples(st.just("add"), st.just(0), st.integers(0, 255)),
    st.tuples(st.just("set"), st.integers(0, 40), st.integers(0, 255)),
)


def damaged(whole: bytes, damage: tuple[str, int, int]) -> bytes:
    """A message of the same type and of an honest length, with another body."""
    how, at, byte = damage
    body = bytearray(whole[5:])
    match how:
        case "cut":
            del body[at:]
        case "add":
            body.append(byte)
        case _ if at < len(body):
            body[at] = byte
    return message(whole[:1], bytes(body))


def test_any_damage_is_answered_as_postgresql_answers_it(server: Server, postgres: EmbeddedPostgres) -> None:
    """The same replies in the same order; which of two faults is told first may differ."""
    served = server.start()

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.tuples(VALID, damages), min_size=1, max_size=4))
    def check(messages: list[tuple[bytes, tuple[str, int, int]]]) -> None:
        script = [S, SYNC, *(damaged(whole, damage) for whole, damage in messages), SYNC]
        with Raw(postgres.host, postgres.port) as direct, Raw("127.0.0.1", served.port) as through:
            direct.login("postgres", postgres.password)
            through.login()
            expected, found = replies(direct, script), replies(through, script)
        assert [(kind, body) for kind, body in found if kind != "E"] == [
            (kind, body) for kind, body in expected if kind != "E"
        ]
        assert [kind for kind, _ in found] == [kind for kind, _ in expected]
        assert served.gate.all_closed()

    check()
