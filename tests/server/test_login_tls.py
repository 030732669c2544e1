"""PROTOCOL: TLS towards clients: asked for and direct, its policy, certificates that are exchanged while it serves."""

from __future__ import annotations

import asyncio
import os
import pty
import shutil
import socket
import ssl
import struct
import subprocess
import sys
from pathlib import Path
from typing import Literal

import asyncpg
import psycopg
import pytest

from nlsql_gateway.config import Tls
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.server.tls import server_tls
from nlsql_gateway.wire import messages, upstream
from tests.server.authority import Authority
from tests.server.conftest import Served, Server
from tests.server.raw import Raw, query, startup

Loop = Literal["uvloop", "asyncio"]
SSL = upstream.ssl_request()


def trusting(authority: Authority, *alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.file))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def verified(served: Served, authority: Authority, **more: object) -> psycopg.Connection:
    return psycopg.connect(served.conninfo(host="localhost", sslmode="verify-full", sslrootcert=authority.file, **more))


# Asked for by SSLRequest


def test_libpq_asks_for_tls_and_may_do_without(server: Server, authority: Authority) -> None:
    """Checklist: SSLRequest -> S, then TLS."""
    served = server.start(tls=authority.server())
    with verified(served, authority) as connection:
        assert connection.pgconn.ssl_in_use
        assert len(connection.execute("SELECT repeat('x', 10000000)").fetchall()[0][0]) == 10_000_000
    with psycopg.connect(served.conninfo(sslmode="disable")) as connection:
        assert not connection.pgconn.ssl_in_use


def test_tls_can_be_required(server: Server, authority: Authority) -> None:
    """Checklist: sslmode fallback reconnects: 28000 makes libpq's allow come again with TLS, its prefer without."""
    served = server.start(tls=authority.server(required=True))
    for mode in ("require", "prefer", "allow"):
        with psycopg.connect(served.conninfo(sslmode=mode)) as connection:
            assert connection.pgconn.ssl_in_use
            connection.cancel_safe()
    with pytest.raises(psycopg.OperationalError, match="TLS is required"):
        psycopg.connect(served.conninfo(sslmode="disable"))
    without = server.start()
    with psycopg.connect(without.conninfo(sslmode="prefer")) as connection:
        assert not connection.pgconn.ssl_in_use


# Direct


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("required", [False, True])
def test_libpq_begins_with_tls(server: Server, authority: Authority, loop: Loop, *, required: bool) -> None:
    """Checklist: direct TLS: first byte 0x16 -> TLS at once; libpq 17+ sslnegotiation=direct; its cancel too."""
    served = server.start(tls=authority.server(required=required), loop=loop)
    for _ in range(3):
        with verified(served, authority, sslnegotiation="direct") as connection:
            assert connection.pgconn.ssl_in_use
            assert len(connection.execute("SELECT repeat('x', 10000000)").fetchall()[0][0]) == 10_000_000
            connection.cancel_safe()


def test_asyncpg_begins_with_tls(server: Server, authority: Authority) -> None:
    """Checklist: direct TLS: asyncpg direct_tls. It names no ALPN by itself, so that its context must."""
    served = server.start(tls=authority.server())

    async def main(*alpn: str) -> object:
        connection = await asyncpg.connect(
            host="localhost", port=served.port, user="ada", password="secret", database="postgres",
            ssl=trusting(authority, *alpn), direct_tls=True,
        )  # fmt: skip
        try:
            return await connection.fetchval("SELECT 41 + $1::int", 1)
        finally:
            await connection.close()

    assert asyncio.run(main("postgresql")) == 42
    with pytest.raises((asyncpg.PostgresError, ConnectionError), match=r"ALPN|closed"):
        asyncio.run(main())


@pytest.mark.parametrize("alpn", [(), ("http/1.1", "h2"), ("postgresql2",)])
def test_direct_tls_without_our_alpn_is_refused(server: Server, authority: Authority, alpn: tuple[str, ...]) -> None:
    """Checklist: ALPN must be postgresql, refuse otherwise. By SSLRequest it need not be named (libpq before 17)."""
    served = server.start(tls=authority.server())
    with Raw("127.0.0.1", served.port) as client:
        client.start_tls(trusting(authority, *alpn), direct=True)
        client.startup()
        assert "without ALPN" in client.error()["M"]
        assert client.is_closed()
    with Raw("127.0.0.1", served.port) as client:
        client.start_tls(trusting(authority))
        client.login()
    with Raw("127.0.0.1", served.port) as client:
        client.start_tls(trusting(authority, "h2", "postgresql"), direct=True)
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.selected_alpn_protocol() == "postgresql"
        client.login()


@pytest.mark.parametrize("direct", [True, False])
def test_a_request_for_encryption_inside_tls_is_an_error(server: Server, authority: Authority, *, direct: bool) -> None:
    """Checklist: then SSLRequest inside TLS is an error, and GSSENCRequest."""
    served = server.start(tls=authority.server())
    for request in (messages.SSL_REQUEST, messages.GSSENC_REQUEST):
        with Raw("127.0.0.1", served.port) as client:
            client.start_tls(trusting(authority, "postgresql"), direct=direct)
            client.send(struct.pack("!ii", 8, request))
            assert client.error()["C"] == "08P01"
            assert client.is_closed()


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_direct_handshake_may_come_in_any_pieces(server: Server, authority: Authority, loop: Loop) -> None:
    """The ClientHello byte by byte, in two halves, and together with all that a client sends ahead."""
    served = server.start(tls=authority.server(), loop=loop)
    for cut in (1, 2, 5, 100, None):
        with Raw("127.0.0.1", served.port) as client:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            context = trusting(authority, "postgresql")
            tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
            client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    data = outgoing.read()
                    for start in range(0, len(data), cut or len(data) or 1):
                        client.send(data[start : start + (cut or len(data))])
                    incoming.write(client.socket.recv(65536))
            tls.write(startup(0, {"user": "ada", "database": "postgres"}))
            client.send(outgoing.read())
            incoming.write(client.socket.recv(65536))
            assert tls.read(1) == b"R"


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("direct", [True, False])
def test_a_handshake_that_fails_ends_the_connection(
    server: Server, authority: Authority, loop: Loop, *, direct: bool
) -> None:
    served = server.start(tls=authority.server(), loop=loop)
    for said in (b"\x16 this is no handshake", b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"):
        with Raw("127.0.0.1", served.port) as client:
            if not direct:
                client.send(SSL)
                assert client.exactly(1) == b"S"
            client.send(said)
            client.socket.shutdown(socket.SHUT_WR)
            received = b""
            while more := client.socket.recv(100):
                received += more
            assert b"FATAL" not in received
    with Raw("127.0.0.1", served.port) as client:
        client.start_tls(trusting(authority, "postgresql"), direct=direct)
        client.login()


# Policy


def test_tls_is_1_2_or_later(server: Server, authority: Authority) -> None:
    """Checklist: TLS policy: min 1.2, also where OpenSSL's own configuration would allow less."""
    tls = server_tls(authority.server())
    assert tls is not None
    assert tls.context.minimum_version == ssl.TLSVersion.TLSv1_2
    served = server.start(tls=authority.server())
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    for direct in (True, False):
        with Raw("127.0.0.1", served.port) as client, pytest.raises((ssl.SSLError, ConnectionError)):
            client.start_tls(old, direct=direct)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = trusting(authority, "postgresql")
        context.minimum_version = context.maximum_version = version
        with Raw("127.0.0.1", served.port) as client:
            client.start_tls(context, direct=True)
            assert isinstance(client.socket, ssl.SSLSocket)
            assert client.socket.version() == version.name.replace("_", ".")
            client.login()
            assert client.socket.session is None or not client.socket.session.has_ticket


def test_the_name_that_a_client_asks_for_changes_nothing(server: Server, authority: Authority) -> None:
    """Checklist: SNI routing: there is one certificate, whatever the client's SNI is or if it has none."""
    served = server.start(tls=authority.server())
    seen = set()
    for name in ("localhost", "elsewhere.example", None):
        context = trusting(authority, "postgresql")
        context.check_hostname = False
        with (
            socket.create_connection(("127.0.0.1", served.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=name) as client,
        ):
            seen.add(client.getpeercert(binary_form=True))
            client.sendall(startup(0, {"user": "ada"}))
            assert client.recv(1) == b"R"
    assert len(seen) == 1


# Reload


def exchanged(authority: Authority, current: Path) -> None:
    """Put a new certificate in the place of the current one."""
    shutil.copy(authority.server().certificate, current)


def test_a_reload_exchanges_certificates_and_drops_nobody(server: Server, authority: Authority) -> None:
    """Checklist: hot reload of certs without dropping sessions; -PLUS is bound to the certificate of its connection."""
    tls = authority.server()
    served = server.start(tls=tls)
    seen = []
    with verified(served, authority, channel_binding="require") as early, Raw("127.0.0.1", served.port) as waiting:
        seen.append(certificate_of(served.port, authority))
        waiting.send(SSL)
        assert waiting.exactly(1) == b"S"
        exchanged(authority, tls.certificate)
        served.call(served.gateway.reload)
        with verified(served, authority, channel_binding="require") as late:
            seen.append(certificate_of(served.port, authority))
            assert late.execute("SELECT 1").fetchone() == early.execute("SELECT 1").fetchone() == (1,)
        waiting.socket = trusting(authority).wrap_socket(waiting.socket, server_hostname="localhost")
        waiting.login()
        waiting.send(query("SELECT 1"))
        assert [kind for kind, _ in waiting.until("Z")] == ["T", "D", "C", "Z"]
    assert seen[0] != seen[1]


def test_a_reload_that_fails_leaves_what_was_there(server: Server, authority: Authority) -> None:
    tls = authority.server()
    served = server.start(tls=tls)
    before = certificate_of(served.port, authority)
    tls.certificate.write_text("broken")
    served.call(served.gateway.reload)
    assert certificate_of(served.port, authority) == before
    server.users.write_text("broken")
    exchanged(authority, tls.certificate)
    served.call(served.gateway.reload)
    assert certificate_of(served.port, authority) == before
    with verified(served, authority) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_reload_reads_the_users_too(server: Server) -> None:
    served = server.start()
    with psycopg.connect(served.conninfo()) as early:
        server.users.write_text(server.users.read_text().replace('"ada"', '"eva"'))
        served.call(served.gateway.reload)
        with pytest.raises(psycopg.OperationalError, match='failed for user "ada"'):
            psycopg.connect(served.conninfo())
        with psycopg.connect(served.conninfo(user="eva")) as late:
            assert late.execute("SELECT 1").fetchone() == early.execute("SELECT 1").fetchone() == (1,)


def certificate_of(port: int, authority: Authority) -> bytes | None:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        trusting(authority, "postgresql").wrap_socket(plain, server_hostname="localhost") as client,
    ):
        return client.getpeercert(binary_form=True)


# Configuration


def test_a_bad_file_is_an_error_of_the_configuration(tmp_path: Path, authority: Authority) -> None:
    good, none, bad = authority.server(), tmp_path / "none.pem", tmp_path / "bad.pem"
    bad.write_text("bad")
    for tls, key in (
        (Tls(certificate=none, key=none), r"listen\.tls:.*No such file"),
        (Tls(certificate=good.certificate, key=authority.server().key), r"listen\.tls:.*(?i:mismatch)"),
        (good.model_copy(update={"client_ca": none}), r"listen\.tls\.client_ca:.*No such file"),
        (good.model_copy(update={"client_ca": bad}), r"listen\.tls\.client_ca"),
        (good.model_copy(update={"client_crl": bad}), r"listen\.tls\.client_crl"),
    ):
        with pytest.raises(ConfigError, match=key):
            server_tls(tls)


PROGRAM = """
import os, sys
from pathlib import Path
from nlsql_gateway.config import Tls
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.server.tls import server_tls
os.close(os.open(os.ttyname(1), os.O_RDWR))  # the terminal of this session from here on
try:
    server_tls(Tls(certificate=Path(sys.argv[1]), key=Path(sys.argv[2])))
except ConfigError as error:
    print("refused", error.message)
"""


def test_an_encrypted_key_is_an_error_and_no_question(authority: Authority, tmp_path: Path) -> None:
    """OpenSSL would ask for its password on the terminal, for ever at a reload."""
    encrypted = tmp_path / "encrypted.pem"
    encrypted.write_bytes(authority.encrypted_key(b"a password"))
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, authority.file, encrypted],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0
        said = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert said.startswith("refused listen.tls:"), said
