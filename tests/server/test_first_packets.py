"""PROTOCOL: before startup and the startup message's version, with bare bytes; PostgreSQL 18 gives the same answers."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.wire import messages, upstream
from nlsql_gateway.wire.messages import message, parse_fault
from tests.server.authority import Authority
from tests.server.conftest import Served, Server
from tests.server.raw import Raw, startup

SSL = upstream.ssl_request()
GSS = struct.pack("!ii", 8, messages.GSSENC_REQUEST)
ADA = {"user": "ada", "database": "postgres"}


@contextmanager
def raw(served: Served) -> Iterator[Raw]:
    with Raw("127.0.0.1", served.port) as client:
        yield client


# Negotiation packets


def test_ssl_request_and_gssenc_request_are_answered_once_each(served: Served) -> None:
    """Checklist: SSLRequest 80877103 -> S/N; GSSENCRequest 80877104 -> N; each at most once."""
    for accepted in ((GSS, SSL), (SSL, GSS), (SSL,), (GSS,)):
        with raw(served) as client:
            for request in accepted:
                client.send(request)
                assert client.exactly(1) == b"N"
            client.login()
    for order in ((SSL, SSL), (GSS, GSS), (SSL, GSS, SSL), (GSS, SSL, GSS)):
        with raw(served) as client:
            for request in order[:-1]:
                client.send(request)
                assert client.exactly(1) == b"N"
            client.send(order[-1])
            assert client.error()["C"] == "08P01"
            assert client.is_closed()


def test_negotiation_packets_are_counted_not_recursed_into(served: Served) -> None:
    """Checklist: count negotiation packets, loop not recursion (CVE-2026-6479: SSL/GSS recursion crash)."""
    with raw(served) as client:
        client.send((SSL + GSS) * 1_000)
        assert client.exactly(1) == b"N"
        assert client.error()["C"] == "08P01"
        assert client.is_closed()
    with raw(served) as client:
        client.login()


@pytest.mark.parametrize("request_", [SSL, GSS], ids=["SSL", "GSSAPI encryption"])
def test_what_comes_behind_a_request_for_encryption_is_dropped(served: Served, request_: bytes) -> None:
    """Checklist: after the request the buffer must be EMPTY, with N as the answer too, as PostgreSQL has it."""
    with raw(served) as client:
        client.send(request_ + startup(0, ADA))
        assert client.exactly(1) == b"N"
        assert "received unencrypted data after" in client.error()["M"]
        assert client.is_closed()


def test_no_byte_may_stand_between_the_request_and_the_handshake(server: Server, authority: Authority) -> None:
    """Checklist: after S the buffer must be EMPTY before the TLS handshake, else drop (CVE-2021-23214 / -23222).

    What a man in the middle sent in clear would be taken for the client's own.
    """
    served = server.start(tls=authority.server())
    with raw(served) as client:
        client.send(SSL, startup(0, ADA))
        fields = client.error()
        assert (fields["C"], fields["M"]) == ("08P01", "received unencrypted data after SSL request")
        assert client.is_closed()


# Lengths, and what is not PostgreSQL


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        struct.pack("!ii", 7, 196608),
        struct.pack("!ii", 4, 196608),
        struct.pack("!ii", 0, 196608),
        struct.pack("!ii", -1, 196608),
        struct.pack("!ii", -(2**31), 196608),
        struct.pack("!ii", 10_001, 196608),
        struct.pack("!ii", 2**31 - 1, 196608),
        struct.pack("!ii", 9, 196608) + b"x",
        struct.pack("!ii", 12, 196608) + b"user",
        struct.pack("!ii", 9, messages.SSL_REQUEST) + b"\0",
        message(b"Q", b"SELECT 1\0"),
    ],
)
def test_what_is_not_postgresql_is_closed_at_once(served: Served, sent: bytes) -> None:
    """Checklist: plain HTTP / port-scan bytes read as a 1.2 GB length -> cap, close; reject <8, oversize, NUL-less.

    The time limit of a read is the test's: a gateway that waited for the rest would not answer.
    """
    with raw(served) as client:
        client.send(sent)
        assert client.error()["S"] == "FATAL"
        assert client.is_closed()


def test_the_longest_startup_packet_that_postgresql_takes(served: Served) -> None:
    """Checklist: length bounds 8..10,000 (MAX_STARTUP_PACKET_LENGTH)."""
    room = 10_000 - len(startup(0, {**ADA, "application_name": ""}))
    with raw(served) as client:
        client.startup(application_name="x" * room)
        assert client.reply()[0] == "R"
    with raw(served) as client:
        client.startup(application_name="x" * (room + 1))
        assert client.error()["M"] == "invalid length of startup packet"


def test_a_first_packet_may_come_in_any_pieces(served: Served) -> None:
    """Checklist: read exactly 8 bytes for the first packet."""
    with raw(served) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in GSS:
            client.send(bytes([byte]))
        assert client.exactly(1) == b"N"
        client.login()


def test_a_cancel_request_is_never_answered(served: Served) -> None:
    """Checklist: CancelRequest 80877102 -> act, close silently, no reply; a stray NUL makes another secret of it."""
    for secret in (b"four", b"four\0", b"x" * 32, b"x" * 256):
        with raw(served) as client:
            client.send(struct.pack("!iii", 12 + len(secret), messages.CANCEL_REQUEST, 1) + secret)
            assert client.is_closed()
    for secret in (b"", b"abc", b"x" * 257):
        with raw(served) as client:
            client.send(struct.pack("!iii", 12 + len(secret), messages.CANCEL_REQUEST, 1) + secret)
            assert client.error()["C"] == "08P01"


# Silence


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_silent_clients_time_out_at_every_step(server: Server, authority: Authority, loop: str) -> None:
    """Checklist: a client that says nothing, or stops in the middle, is disconnected after listen.login_timeout."""
    served = server.start(tls=authority.server(), login_timeout=2, loop=loop)  # type: ignore[arg-type]
    with contextlib.ExitStack() as clients:
        silent: list[Raw] = []
        told: list[Raw] = []
        begun: list[Raw] = []
        agreed: list[Raw] = []
        for sent, kind in (
            (b"", silent), (b"\0", silent), (SSL[:5], silent), (startup(0, ADA)[:-1], silent),
            (startup(0, ADA), told), (SSL, agreed), (b"\x16\x03\x01", begun),
        ):  # fmt: skip
            kind.append(clients.enter_context(Raw("127.0.0.1", served.port)))
            kind[-1].send(sent)
        assert told[0].reply()[0] == "R"
        assert agreed[0].exactly(1) == b"S"
        for client in (*silent, *told):
            assert client.error()["C"] == "57014"
            assert client.is_closed()
        for client in (*begun, *agreed):
            assert client.is_closed()  # no word in clear where TLS was agreed


# Versions

OPTIONS = {"_pq_.test": "on", "_pq_.more": "x"}


@pytest.mark.parametrize(
    "packet",
    [
        *(startup(minor, ADA) for minor in (0, 1, 2, 3, 9999)),
        *(startup(minor, {**ADA, **OPTIONS}) for minor in (0, 1, 2, 3, 9999)),
        *(startup(0, ADA, major) for major in (1, 2, 4, 1000)),
        startup(0, {"database": "postgres"}),
        startup(0, {"user": ""}),
        startup(0, {**ADA, "replication": "off"}),
        startup(0, {**ADA, "replication": "maybe"}),
        startup(0, ADA)[:3] + b"\x08" + struct.pack("!HH", 3, 0),
        struct.pack("!iHH", 12, 3, 0) + b"user",
        SSL,
        GSS,
        SSL + SSL,
        GSS + SSL,
    ],
    ids=repr,
)
def test_a_first_packet_is_answered_as_postgresql_18_answers_it(
    served: Served, postgres: EmbeddedPostgres, packet: bytes
) -> None:
    """Checklist: 3.0, 3.2 and anything 3.x: NegotiateProtocolVersion with the newest minor, EVERY unknown _pq_ option.

    Wrong major -> FATAL 0A000, v2 -> text error. Our SASL mechanisms are PostgreSQL's. Its source's file, line and
    routine are left out of an error; detail and hint may be worded otherwise.
    """

    def answers(host: str, port: int) -> bytes | list[object]:
        with Raw(host, port) as client:
            client.send(packet)
            client.socket.settimeout(1)
            received = b""
            with pytest.raises(TimeoutError) if packet in (SSL, GSS) else _nothing():
                while more := client.socket.recv(4096):
                    received += more
                    if more[:1] == b"R" or b"R\0\0\0\x17" in more:
                        break
        position, said = received.find(b"E\0\0"), received
        if position < 0:
            return said
        fields = parse_fault(received[position + 5 :]).fields
        return [received[:position], *(fields.get(code) for code in "SVCM")]

    ours = answers("127.0.0.1", served.port)
    theirs = answers(postgres.host, postgres.port)
    assert ours == theirs
    assert ours


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def test_libpq_s_grease_is_reported(served: Served) -> None:
    """Checklist: libpq 19beta sends 3.9999 + _pq_.test_protocol_negotiation and aborts unless it is reported."""
    with Raw("127.0.0.1", served.port, minor=9999) as client:
        client.startup(**{"_pq_.test_protocol_negotiation": ""})
        answer = struct.pack("!HHi", 3, 2, 1) + b"_pq_.test_protocol_negotiation\0"
        assert client.reply() == ("v", answer)
        assert client.reply()[0] == "R"


@pytest.mark.parametrize(("minor", "length"), [(0, 4), (1, 4), (2, 32), (3, 32), (9999, 32)])
def test_cancel_keys_are_as_long_as_postgresql_18_makes_them(
    served: Served, postgres: EmbeddedPostgres, minor: int, length: int
) -> None:
    """Checklist: BackendKeyData: 4-byte key for 3.0, 32 bytes for 3.2; minted here, never the upstream's."""
    with (
        Raw("127.0.0.1", served.port, minor) as client,
        Raw(postgres.host, postgres.port, minor) as direct,
    ):
        client.login()
        direct.login("postgres", postgres.password)
        assert len(client.key) - 4 == len(direct.key) - 4 == length
        assert client.key[4:] != direct.key[4:]


@pytest.mark.parametrize(
    "parameters",
    [{"replication": value} for value in ("true", "database", "on", "1", "TRUE", "yes", "t")],
    ids=repr,
)
def test_replication_is_refused(served: Served, parameters: dict[str, str]) -> None:
    """Checklist: replication=true|database -> FATAL 28000. FATAL errors before auth are plain, with S, V, C, M."""
    with raw(served) as client:
        client.startup(**parameters)
        fields = client.error()
        assert (fields["S"], fields["V"], fields["C"]) == ("FATAL", "FATAL", "28000")
        assert fields["M"]
        assert client.is_closed()
