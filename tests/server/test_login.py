"""From the first byte to ReadyForQuery, with bare messages and with real clients."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from pathlib import Path

import psycopg
import pytest

from nlsql_gateway.config import Tls
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.server.tls import server_tls
from nlsql_gateway.wire import messages, upstream
from nlsql_gateway.wire.messages import message
from nlsql_gateway.wire.scram import ClientExchange
from tests.server import tls_front
from tests.server.conftest import Served, Server
from tests.server.raw import Raw, query


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    files = tls_front.certificate(tmp_path_factory.mktemp("tls"), "localhost")
    return Tls(certificate=files[0], key=files[1])


def raw(served: Served) -> Raw:
    return Raw("127.0.0.1", served.port)


# The first packets


def test_requests_for_encryption_are_answered_once_each(served: Served) -> None:
    with raw(served) as client:
        client.send(struct.pack("!ii", 8, messages.GSSENC_REQUEST))
        assert client.exactly(1) == b"N"
        client.send(upstream.ssl_request())
        assert client.exactly(1) == b"N"
        client.login()
    for request in (upstream.ssl_request(), struct.pack("!ii", 8, messages.GSSENC_REQUEST)):
        with raw(served) as client:
            client.send(request)
            assert client.exactly(1) == b"N"
            client.send(request)
            assert client.error()["C"] == "08P01"
            assert client.is_closed()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        struct.pack("!ii", 7, 196608),
        struct.pack("!ii", -1, 196608),
        struct.pack("!ii", 10_001, 196608),
        struct.pack("!ii", 9, 196608) + b"x",
        struct.pack("!ii", 9, messages.SSL_REQUEST) + b"\0",
        message(b"Q", b"SELECT 1\0"),
    ],
)
def test_what_is_not_postgresql_is_closed_at_once(served: Served, sent: bytes) -> None:
    with raw(served) as client:
        started = time.monotonic()
        client.send(sent)
        assert client.error()["S"] == "FATAL"
        assert client.is_closed()
        assert time.monotonic() - started < 5


def test_a_client_that_says_nothing_is_disconnected(server: Server) -> None:
    served = server.start(login_timeout=0.3)
    with raw(served) as client:
        assert client.error()["C"] == "57014"
        assert client.is_closed()
    with raw(served) as client:
        client.startup()
        assert client.reply()[0] == "R"
        assert client.error()["C"] == "57014"


def test_a_later_minor_version_is_negotiated_down(served: Served) -> None:
    with raw(served) as client:
        body = struct.pack("!HH", 3, 9999) + b"user\0ada\0database\0postgres\0_pq_.test\0on\0_pq_.more\0x\0\0"
        client.send(struct.pack("!i", len(body) + 4) + body)
        assert client.reply() == ("v", struct.pack("!ii", 196608, 2) + b"_pq_.test\0_pq_.more\0")
        assert client.reply()[0] == "R"


@pytest.mark.parametrize(
    ("body", "sqlstate"),
    [
        (struct.pack("!HH", 2, 0) + b"user\0\0", "0A000"),
        (struct.pack("!HH", 4, 0) + b"user\0ada\0\0", "0A000"),
        (struct.pack("!HH", 3, 0) + b"database\0postgres\0\0", "28000"),
        (struct.pack("!HH", 3, 0) + b"user\0ada\0replication\0database\0\0", "28000"),
        (struct.pack("!HH", 3, 0) + b"user\0ada\0replication\0true\0\0", "28000"),
        (struct.pack("!HH", 3, 0) + b"user\0ada", "08P01"),
    ],
)
def test_startup_packets_that_are_refused(served: Served, body: bytes, sqlstate: str) -> None:
    with raw(served) as client:
        client.send(struct.pack("!i", len(body) + 4) + body)
        fields = client.error()
        assert (fields["S"], fields["V"], fields["C"]) == ("FATAL", "FATAL", sqlstate)
        assert client.is_closed()


# Who it is


def test_parameters_are_the_upstreams_and_the_key_is_ours(served: Served, postgres: EmbeddedPostgres) -> None:
    with raw(served) as client, Raw(postgres.host, postgres.port) as direct:
        client.login(application_name="test", DateStyle="German")
        direct.login("postgres", postgres.password, application_name="test", DateStyle="German")
        assert client.parameters == direct.parameters
        client.send(query("SELECT pg_backend_pid()"))
        assert len(client.key) == 8
        assert str(struct.unpack("!i", client.key[:4])[0]).encode() not in client.until("Z")[1][1]


def test_a_user_who_does_not_exist_cannot_be_told_from_a_wrong_password(served: Served) -> None:
    """The same messages, the same iteration count, and at every try the same salt for a name."""

    def attempt(user: str) -> tuple[list[str], dict[str, str], str]:
        with raw(served) as client:
            client.startup(user)
            kinds = [client.reply()]
            exchange = ClientExchange("wrong", b"0" * 18)
            client.send(upstream.sasl_initial("SCRAM-SHA-256", exchange.first()))
            kinds.append(client.reply())
            challenge = kinds[-1][1][4:]
            client.send(upstream.sasl(exchange.challenge(challenge)))
            fields = client.error()
            assert client.is_closed()
            return [kind for kind, _ in kinds], fields, challenge.decode().split(",", 1)[1]

    known, unknown, again = attempt("ada"), attempt("nobody"), attempt("nobody")
    assert known[0] == unknown[0] == ["R", "R"]
    assert known[1]["C"] == unknown[1]["C"] == "28P01"
    assert known[1]["M"].replace("ada", "nobody") == unknown[1]["M"]
    assert unknown[2] == again[2]
    assert known[2].split(",")[1] == unknown[2].split(",")[1] == "i=4096"
    assert attempt("somebody")[2] != unknown[2]


@pytest.mark.parametrize(
    "answer",
    [
        message(b"p", b"SCRAM-SHA-256-PLUS\0" + struct.pack("!i", 0)),
        message(b"p", b"MD5\0" + struct.pack("!i", 0)),
        message(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", 99) + b"short"),
        message(b"p", b"x" * 5000),
        message(b"Q", b"SELECT 1\0"),
        b"p" + struct.pack("!i", 2**31 - 1),
        upstream.sasl_initial("SCRAM-SHA-256", b"not SCRAM"),
        upstream.sasl_initial("SCRAM-SHA-256", b"p=tls-unique,,n=,r=abc"),
    ],
)
def test_malformed_answers_end_the_login(served: Served, answer: bytes) -> None:
    with raw(served) as client:
        client.startup()
        assert client.reply()[0] == "R"
        client.send(answer)
        assert client.error()["S"] == "FATAL"
        assert client.is_closed()


def test_trust_asks_for_nothing(server: Server) -> None:
    served = server.start(trust=True)
    with psycopg.connect(served.conninfo(user="anybody", password="unasked")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_database_that_does_not_exist_is_the_upstreams_own_error(served: Served) -> None:
    with raw(served) as client, pytest.raises(AssertionError, match="3D000"):
        client.login(database="nowhere")


def test_an_encoding_that_the_gateway_cannot_read_is_refused(served: Served) -> None:
    with raw(served) as client, pytest.raises(AssertionError, match="client_encoding = LATIN1"):
        client.login(client_encoding="LATIN1")
    with raw(served) as client:  # what libpq sends in a C locale
        assert client.login(client_encoding="SQL_ASCII").parameters["client_encoding"] == "UTF8"


def test_an_encoding_that_is_changed_later_ends_the_connection(served: Served) -> None:
    for setting in ("client_encoding = latin1", "standard_conforming_strings = off"):
        with raw(served) as client:
            client.login().send(query(f"SET {setting}"))
            fields = client.error()
            assert (fields["S"], fields["C"]) == ("FATAL", "08P01")
            assert client.is_closed()


# Cancel


def test_a_cancel_request_is_never_answered(served: Served) -> None:
    for secret in (b"four", b"", b"x" * 257, b"x" * 32):
        with raw(served) as client:
            client.send(struct.pack("!iii", 12 + len(secret), messages.CANCEL_REQUEST, 1) + secret)
            if len(secret) in (4, 32):
                assert client.is_closed()
            else:
                assert client.error()["C"] == "08P01"


# TLS


def test_tls(server: Server, certificate: Tls) -> None:
    served = server.start(tls=certificate)
    with psycopg.connect(
        served.conninfo(host="localhost", sslmode="verify-full", sslrootcert=certificate.certificate)
    ) as connection:
        assert connection.info.hostaddr == "127.0.0.1"
        assert connection.pgconn.ssl_in_use
        assert len(connection.execute("SELECT repeat('x', 10000000)").fetchall()[0][0]) == 10_000_000
    with psycopg.connect(served.conninfo(sslmode="disable")) as connection:
        assert not connection.pgconn.ssl_in_use


def test_tls_can_be_required(server: Server, certificate: Tls) -> None:
    served = server.start(tls=certificate.model_copy(update={"required": True}))
    with psycopg.connect(served.conninfo(sslmode="require")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        with psycopg.connect(served.conninfo(sslmode="prefer", application_name="cancelled")) as other:
            other.cancel_safe()
    with pytest.raises(psycopg.OperationalError, match="TLS is required"):
        psycopg.connect(served.conninfo(sslmode="disable"))


def test_no_byte_may_stand_between_the_request_and_the_handshake(server: Server, certificate: Tls) -> None:
    """CVE-2021-23214: what a man in the middle sent in clear would be taken for the client's own."""
    served = server.start(tls=certificate)
    with raw(served) as client:
        client.send(upstream.ssl_request(), upstream.startup({"user": "ada"}))
        fields = client.error()
        assert (fields["C"], fields["M"]) == ("08P01", "received unencrypted data after SSL request")
        assert client.is_closed()


def test_a_second_request_inside_tls_and_a_broken_handshake_end_the_connection(
    server: Server, certificate: Tls
) -> None:
    served = server.start(tls=certificate)
    context = ssl.create_default_context(cafile=str(certificate.certificate))
    for request in (messages.SSL_REQUEST, messages.GSSENC_REQUEST):
        with raw(served) as client:
            client.start_tls(context)
            client.send(struct.pack("!ii", 8, request))
            assert client.error()["C"] == "08P01"
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with raw(served) as client, pytest.raises((ssl.SSLError, ConnectionError)):
        client.start_tls(old)
    with raw(served) as client:
        client.send(upstream.ssl_request())
        assert client.exactly(1) == b"S"
        client.send(b"this is no handshake")
        client.socket.shutdown(socket.SHUT_WR)
        while client.socket.recv(100):
            pass
    with raw(served) as client:
        client.start_tls(context)
        client.login()


def test_a_bad_certificate_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"listen\.tls"):
        server_tls(Tls(certificate=tmp_path / "none.crt", key=tmp_path / "none.key"))
