"""From the first byte to ReadyForQuery, with bare messages and with real clients."""

from __future__ import annotations

import struct

import psycopg
import pytest

from nlsql_gateway.config import Tls
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.wire import upstream
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
