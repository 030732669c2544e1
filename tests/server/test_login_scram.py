"""PROTOCOL: SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, with libpq and with bare messages; nobody learns who exists."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

import pg8000.native
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.server.tls import end_point, server_tls
from nlsql_gateway.wire import upstream
from nlsql_gateway.wire.messages import message, parse_fault
from nlsql_gateway.wire.scram import ClientExchange, Verifier
from tests.server.authority import Authority, Hash
from tests.server.conftest import Served, Server
from tests.server.raw import Raw
from tests.server.test_login_tls import trusting

PLUS = b"SCRAM-SHA-256-PLUS\0"
PLAIN = b"SCRAM-SHA-256\0"


# Channel binding


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("ec", hashes.SHA256()),
        ("ec", hashes.SHA384()),
        ("rsa", hashes.SHA256()),
        ("rsa", hashes.SHA512()),
        ("rsa-pss", hashes.SHA256()),
        ("rsa-pss", hashes.SHA384()),
    ],
    ids=lambda value: getattr(value, "name", value),
)
@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
def test_libpq_binds_the_channel(server: Server, tmp_path: Path, kind: str, function: Hash, negotiation: str) -> None:
    """Checklist: SCRAM-SHA-256-PLUS with tls-server-end-point when TLS: libpq's channel_binding=require."""
    authority = Authority(tmp_path, kind=kind, hash_=function)
    served = server.start(tls=authority.server())
    for binding in ("require", "prefer", "disable"):
        conninfo = served.conninfo(sslmode="require", channel_binding=binding, sslnegotiation=negotiation)
        with psycopg.connect(conninfo) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(served.conninfo(sslmode="require", channel_binding="require", password="wrong"))


@pytest.mark.parametrize("function", [hashes.SHA256(), hashes.SHA384()], ids=lambda value: value.name)
def test_pg8000_binds_the_channel(server: Server, tmp_path: Path, function: Hash) -> None:
    """Another implementation of -PLUS: it takes the mechanism that is offered first, and its own hash."""
    authority = Authority(tmp_path, hash_=function)
    served = server.start(tls=authority.server())
    connection = pg8000.native.Connection(
        "ada", host="localhost", port=served.port, database="postgres", password="secret",
        ssl_context=trusting(authority),
    )  # fmt: skip
    try:
        assert connection.auth.mechanism_name == "SCRAM-SHA-256-PLUS"
        assert connection.run("SELECT 1") == [[1]]
    finally:
        connection.close()


@pytest.mark.parametrize("name", ["md5", "sha1"])
def test_a_weak_hash_is_exchanged_for_sha_256(name: str) -> None:
    """Checklist: MD5->SHA-256 cert-hash rule (RFC 5929, section 4.1). TLS itself refuses such certificates today."""
    certificate = x509.load_pem_x509_certificate((Path(__file__).parent / "certificates" / f"{name}.pem").read_bytes())
    function = certificate.signature_hash_algorithm
    assert function is not None
    assert function.name == name
    der = certificate.public_bytes(serialization.Encoding.DER)
    assert end_point(certificate) == hashlib.sha256(der).digest()


def test_a_certificate_without_a_hash_offers_no_binding(server: Server, tmp_path: Path) -> None:
    """Checklist: an Ed25519 cert has no hash: drop -PLUS. The client then says y, and is right."""
    authority = Authority(tmp_path, kind="ed25519")
    served = server.start(tls=authority.server())
    with psycopg.connect(served.conninfo(sslmode="require", channel_binding="prefer")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="channel binding"):
        psycopg.connect(served.conninfo(sslmode="require", channel_binding="require"))
    with Raw("127.0.0.1", served.port) as client:
        client.start_tls(trusting(authority))
        client.startup()
        assert client.reply() == ("R", struct.pack("!i", 10) + PLAIN + b"\0")


def test_without_tls_no_binding_is_offered(server: Server, authority: Authority) -> None:
    """Checklist: md5 and cleartext are never offered; -PLUS only over TLS, before the plain mechanism."""
    served = server.start(tls=authority.server())
    with Raw("127.0.0.1", served.port) as client:
        client.startup()
        assert client.reply() == ("R", struct.pack("!i", 10) + PLAIN + b"\0")
    with pytest.raises(psycopg.OperationalError, match="channel binding required"):
        psycopg.connect(served.conninfo(sslmode="disable", channel_binding="require"))
    with Raw("127.0.0.1", served.port) as client:
        client.start_tls(trusting(authority))
        client.startup()
        assert client.reply() == ("R", struct.pack("!i", 10) + PLUS + PLAIN + b"\0")


def test_a_downgrade_is_detected(server: Server, authority: Authority) -> None:
    """Checklist: y GS2 flag = downgrade detection: the client could bind and did not see our offer. n is accepted."""
    served = server.start(tls=authority.server())
    with Raw("127.0.0.1", served.port) as client:
        client.start_tls(trusting(authority))
        with pytest.raises(AssertionError, match="channel binding negotiation error"):
            client.login(exchange=ClientExchange("secret", os.urandom(18), could_bind=True))
        assert client.is_closed()
    with Raw("127.0.0.1", served.port) as client:
        client.start_tls(trusting(authority))
        client.login(exchange=ClientExchange("secret", os.urandom(18)))
    with Raw("127.0.0.1", served.port) as client:
        client.login(exchange=ClientExchange("secret", os.urandom(18), could_bind=True))


def test_a_binding_to_another_channel_is_refused(server: Server, authority: Authority) -> None:
    """What a man in the middle with a certificate of his own would bring about."""
    tls = authority.server()
    served = server.start(tls=tls)
    ours, other = server_tls(tls), server_tls(authority.server())
    assert ours is not None
    assert other is not None
    for bound, problem in ((other.end_point, "binding check failed"), (b"", "binding check failed")):
        with Raw("127.0.0.1", served.port) as client:
            client.start_tls(trusting(authority))
            with pytest.raises(AssertionError, match=problem):
                client.login(exchange=ClientExchange("secret", os.urandom(18), end_point=bound))
    with Raw("127.0.0.1", served.port) as client:
        client.start_tls(trusting(authority))
        client.login(exchange=ClientExchange("secret", os.urandom(18), end_point=ours.end_point))
    with Raw("127.0.0.1", served.port) as client, pytest.raises(AssertionError, match="invalid SASL"):
        client.login(exchange=ClientExchange("secret", os.urandom(18), end_point=ours.end_point))


# Malformed answers


def sasl(data: bytes, mechanism: str = "SCRAM-SHA-256") -> bytes:
    return upstream.sasl_initial(mechanism, data)


@pytest.mark.parametrize(
    "answer",
    [
        sasl(b"", "MD5"),
        sasl(b"n,,n=,r=abc", "SCRAM-SHA-256-PLUS"),
        message(b"p", PLAIN + struct.pack("!i", 99) + b"short"),
        message(b"p", PLAIN + struct.pack("!i", -2)),
        message(b"p", PLAIN + struct.pack("!i", -1)),
        message(b"p", PLAIN + struct.pack("!i", 2**31 - 1)),
        message(b"p", PLAIN),
        message(b"p", b""),
        message(b"p", b"secret\0"),
        message(b"Q", b"SELECT 1\0"),
        *map(
            sasl,
            (
                b"", b"n,,", b"not SCRAM", b"x,,n=,r=abc", b"n,,n=,r=abc", b"y,,n=,r=abc", b"n,,n=*,r=abc,x=1",
                b"p=tls-unique,,n=,r=abc", b"p=tls-server-end-point,,n=,r=abc", b"n,a=x,n=,r=abc", b"n,,m=x,n=,r=abc",
                b"n,,r=abc,n=", b"n,,n=,r=a b", b"n,,n=,r=a\0b", b"n,,n=,r=" + b"a" * 900,
            ),
        ),
    ],
    ids=repr,
)  # fmt: skip
def test_a_sasl_answer_is_taken_or_refused_as_by_postgresql_18(
    served: Served, postgres: EmbeddedPostgres, answer: bytes
) -> None:
    """Checklist: SCRAM-SHA-256 server side: a challenge, or FATAL with PostgreSQL's own SQLSTATE."""

    def said(host: str, port: int) -> tuple[str | None, ...]:
        with Raw(host, port) as client:
            client.startup()
            assert client.reply()[0] == "R"
            client.send(answer)
            kind, body = client.reply()
            if kind == "R":
                return kind, body[:4].hex()
            assert client.is_closed()
            fields = parse_fault(body).fields
            return kind, fields.get("S"), fields.get("V"), fields.get("C")

    assert said("127.0.0.1", served.port) == said(postgres.host, postgres.port)


def test_a_client_may_send_its_first_message_after_an_empty_challenge(served: Served) -> None:
    """Manual, "SASLInitialResponse": -1 if there is no Initial Response."""
    exchange = ClientExchange("secret", b"0" * 18)
    with Raw("127.0.0.1", served.port) as client:
        client.startup()
        assert client.reply()[0] == "R"
        client.send(message(b"p", PLAIN + struct.pack("!i", -1)))
        assert client.reply() == ("R", struct.pack("!i", 11))
        client.send(upstream.sasl(exchange.first()))
        client.send(upstream.sasl(exchange.challenge(client.reply()[1][4:])))
        assert [body[:4] for kind, body in client.until("Z") if kind == "R"] == [b"\0\0\0\x0c", b"\0\0\0\0"]


@pytest.mark.parametrize(
    "answer",
    [
        message(b"p", b"x" * 5000),
        b"p" + struct.pack("!i", 2**31 - 1),
        b"p" + struct.pack("!i", -1),
        b"p" + struct.pack("!i", 3),
        sasl(b"n,,n=,r="),
        sasl(b"n,,n=\xff,r=abc"),
    ],
)
def test_what_is_too_long_or_no_text_ends_the_login(served: Served, answer: bytes) -> None:
    """Checklist: bound SASL lengths (CVE-2026-6664/6665): refused by its length, before the rest is awaited."""
    with Raw("127.0.0.1", served.port) as client:
        client.startup()
        assert client.reply()[0] == "R"
        client.send(answer)
        assert client.error()["S"] == "FATAL"
        assert client.is_closed()


# Who exists


def attempt(served: Served, user: str) -> tuple[list[str], dict[str, str], str]:
    """The kinds of the messages, the error, and salt and iterations, of a login with a wrong password."""
    with Raw("127.0.0.1", served.port) as client:
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


def test_a_user_who_does_not_exist_cannot_be_told_from_a_wrong_password(served: Served) -> None:
    """Checklist: no user enumeration (mock SCRAM salt); iteration count.

    The same messages, the same iteration count, and at every try the same salt for a name.
    """
    known, unknown, again = attempt(served, "ada"), attempt(served, "nobody"), attempt(served, "nobody")
    assert known[0] == unknown[0] == ["R", "R"]
    assert known[1]["C"] == unknown[1]["C"] == "28P01"
    assert known[1]["M"].replace("ada", "nobody") == unknown[1]["M"]
    assert unknown[2] == again[2]
    assert known[2].split(",")[1] == unknown[2].split(",")[1] == "i=4096"
    assert attempt(served, "somebody")[2] != unknown[2]


def test_a_restart_changes_no_salt(server: Server) -> None:
    """Checklist: store verifiers, never passwords; no user enumeration across restarts and beside other gateways."""
    server.users.write_text(f'"ada" "{Verifier.build("secret", b"0123456789abcdef", 10_000)}"\n')
    first, second = server.start(), server.start()
    for user in ("ada", "nobody"):
        before = attempt(first, user)[2]
        assert before == attempt(second, user)[2]
        assert before.endswith(",i=10000")
    assert "secret" not in server.users.read_text()
