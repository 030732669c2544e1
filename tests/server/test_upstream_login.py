"""Login at a server with TLS: channel binding, the gateway's own certificate; and what a hostile server may say."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from pydantic import ValidationError

from nlsql_gateway.config import Keepalive, Upstream
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.server.connect import UpstreamConnection, open_upstream
from nlsql_gateway.server.postgres import Databases
from nlsql_gateway.server.standby import ask
from nlsql_gateway.wire import downstream
from nlsql_gateway.wire.messages import message
from tests.server.conftest import Server
from tests.server.debian_postgres import INSTALLED, running
from tests.server.raw import Raw, query
from tests.server.tls_front import certificate, tls_front


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A certificate that signed itself for the server, and one for the client, with their keys."""
    server = certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1")
    client = certificate(tmp_path_factory.mktemp("tls"), "modern")
    return {"server": server[0], "server key": server[1], "client": client[0], "client key": client[1]}


@pytest.fixture(scope="module")
def encrypted(files: dict[str, Path]) -> Iterator[int]:
    if not INSTALLED:
        assert os.environ.get("CI") != "true", "CI installs postgresql-15"  # noqa: TID251
        pytest.skip("no PostgreSQL of Debian's is installed: the wheel's has no TLS")
    given = {"server.crt": "server", "server.key": "server key", "root.crt": "client"}
    hba = """host all postgres 127.0.0.1/32 trust
hostssl all trusted 127.0.0.1/32 trust
host all modern 127.0.0.1/32 scram-sha-256
hostssl all certified 127.0.0.1/32 cert map=names
"""
    contents = {name: files[source].read_bytes() for name, source in given.items()}
    contents["pg_ident.conf"] = b"names modern certified\n"
    with running(INSTALLED[-1], hba=hba, files=contents, ssl="on", ssl_ca_file="root.crt") as port:
        with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres", autocommit=True) as admin:
            admin.execute("CREATE ROLE modern LOGIN PASSWORD 'secret'")
            admin.execute("CREATE ROLE certified LOGIN; CREATE ROLE trusted LOGIN")
        yield port


def asked(where: Upstream, question: str) -> str:
    async def main() -> str:
        try:
            connection = await open_upstream(where, "secret", {"database": "postgres"})
            answer = await ask(connection.pipe, question)
            connection.pipe.abort()
            return answer
        finally:
            await asyncio.sleep(0.01)

    return asyncio.run(main())


def at(port: int, user: str, files: dict[str, Path], **more: object) -> Upstream:
    base = {"host": "127.0.0.1", "port": port, "user": user, "sslmode": "verify-full"}
    return Upstream.model_validate({**base, "root_certificate": files["server"], **more})


@pytest.mark.parametrize("setting", ["disable", "prefer", "require"])
def test_channel_binding(encrypted: int, files: dict[str, Path], setting: str) -> None:
    assert asked(at(encrypted, "modern", files, channel_binding=setting), "SELECT current_user") == "modern"


def test_require_takes_no_login_without_binding(encrypted: int, files: dict[str, Path]) -> None:
    with pytest.raises(UpstreamError) as caught:
        asked(at(encrypted, "trusted", files, channel_binding="require"), "SELECT 1")
    assert "without channel binding" in caught.value.detail


def test_a_channel_that_ends_on_the_way_is_found_out(encrypted: int, files: dict[str, Path], tmp_path: Path) -> None:
    """Somebody in between has a certificate that we trust and ends our TLS: nothing but binding shows it."""
    made, key = certificate(tmp_path, "127.0.0.1")
    with tls_front("127.0.0.1", encrypted, made, key) as port:
        trusting = {**files, "server": made}
        assert asked(at(port, "modern", trusting, channel_binding="disable"), "SELECT current_user") == "modern"
        with pytest.raises(UpstreamError) as caught:
            asked(at(port, "modern", trusting, channel_binding="require"), "SELECT 1")
    assert "does not offer channel binding" in caught.value.detail


def test_require_needs_a_proven_certificate_for_the_gateways_own_connections() -> None:
    with pytest.raises(ValidationError, match="channel_binding require needs sslmode verify-ca or verify-full"):
        Upstream(user="x", channel_binding="require")


def test_the_gateways_own_certificate(encrypted: int, files: dict[str, Path]) -> None:
    own = {"certificate": files["client"], "key": files["client key"]}
    assert asked(at(encrypted, "certified", files, **own), "SELECT current_user") == "certified"
    with pytest.raises(UpstreamError, match="refused the gateway's login"):
        asked(at(encrypted, "certified", files), "SELECT 1")

    async def catalog() -> bool:
        databases = Databases(at(encrypted, "certified", files, **own), None)
        try:
            return ("pg_catalog", "pg_class") in (await databases.get("postgres").refresh()).relations
        finally:
            await databases.aclose()

    assert asyncio.run(catalog())


def test_keepalive_is_set_on_both_sides(server: Server, postgres: EmbeddedPostgres) -> None:
    wanted = Keepalive(idle=33, interval=7, count=4, user_timeout=21.0)

    def options(connection: UpstreamConnection) -> list[int]:
        peer: socket.socket = connection.pipe.transport.get_extra_info("socket")
        names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        return [peer.getsockopt(socket.IPPROTO_TCP, name) for name in names]

    async def main() -> list[int]:
        where = Upstream(host=postgres.host, port=postgres.port, user="postgres", keepalive=wanted)
        connection = await open_upstream(where, postgres.password, {"database": "postgres"})
        found = options(connection)
        connection.pipe.abort()
        await asyncio.sleep(0.01)
        return found

    assert asyncio.run(main()) == [33, 7, 4, 21000]
    served = server.start(keepalive=wanted)
    with Raw("127.0.0.1", served.port).login():
        (session,) = served.gateway._sessions
        peer: socket.socket = session._downstream.transport.get_extra_info("socket")
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 33


@contextmanager
def saying(login: bytes, then: Callable[[socket.socket], None] = lambda _: None) -> Iterator[int]:
    """A server that answers each startup with ``login``, waits for a message, does ``then`` and closes."""

    def serve(listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.settimeout(5)
                    connection.recv(65536)
                    connection.sendall(login)
                    if connection.recv(65536):
                        then(connection)
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


OK = downstream.authentication(0)
LET_IN = OK + downstream.ready()


@pytest.mark.parametrize(
    "nonsense",
    [
        OK + message(b"S", b"no end"),
        OK + b"S" + struct.pack("!i", 2**31 - 1),
        OK + b"S" + struct.pack("!i", -5),
        OK + message(b"S", b"a\0b\0") * 1001,
        OK + OK,
        downstream.ready(),
        message(b"S", b"server_version\0" + b"1\0") + LET_IN,
        message(b"R", b"\0"),
        message(b"R", struct.pack("!i", 99)),
        message(b"R", struct.pack("!i", 11) + b"r=x"),
        message(b"E", b"no fields at all"),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
def test_nonsense_during_login_is_one_clear_error(server: Server, nonsense: bytes) -> None:
    with saying(nonsense) as port:
        served = server.start(upstream={"port": port, "sslmode": "disable", "connect_timeout": 2.0})
        with pytest.raises(psycopg.OperationalError, match="the database") as caught:
            psycopg.connect(served.conninfo())
        assert "internal error" not in str(caught.value)


def test_a_refusal_without_sqlstate_is_passed_on(server: Server) -> None:
    with saying(message(b"E", b"SFATAL\0Mtoo tired\0\0")) as port:
        served = server.start(upstream={"port": port, "sslmode": "disable"})
        with pytest.raises(psycopg.OperationalError, match="too tired"):
            psycopg.connect(served.conninfo())


@pytest.mark.parametrize(
    ("bad", "sqlstate"),
    [
        (b"D" + struct.pack("!i", 3), "08P01"),
        (b"D" + struct.pack("!i", -1), "08P01"),
        (b"E" + struct.pack("!i", 2**31 - 1), "54000"),
        (message(b"Z", b"I") * 2, "08P01"),
        (b"?" + struct.pack("!i", 0), "08P01"),
    ],
)
def test_lengths_and_replies_that_cannot_be_end_the_session(server: Server, bad: bytes, sqlstate: str) -> None:
    with saying(LET_IN, lambda connection: connection.sendall(bad)) as port:
        served = server.start(upstream={"port": port, "sslmode": "disable"})
        with Raw("127.0.0.1", served.port).login() as client:
            client.send(query("SELECT 1"))
            assert client.error()["C"] == sqlstate
            assert client.is_closed()
    assert served.gate.all_closed()


def test_an_error_without_sqlstate_in_a_session(server: Server) -> None:
    reply = message(b"E", b"SERROR\0Msomething\0\0") + downstream.ready()
    with saying(LET_IN, lambda connection: connection.sendall(reply)) as port:
        served = server.start(upstream={"port": port, "sslmode": "disable"})
        with Raw("127.0.0.1", served.port).login() as client:
            client.send(query("SELECT 1"))
            assert client.error()["M"] == "something"
            assert client.until("Z")


def test_a_negative_field_length_of_a_row_is_no_matter_here_and_of_our_own_questions_an_error(server: Server) -> None:
    """The relay hands rows on by their headers (CVE-2026-4427); what the gateway reads itself is checked."""
    row = message(b"D", struct.pack("!Hi", 1, -2)) + message(b"C", b"SELECT 1\0") + downstream.ready()
    with saying(LET_IN, lambda connection: connection.sendall(row)) as port:
        served = server.start(upstream={"port": port, "sslmode": "disable"})
        with Raw("127.0.0.1", served.port).login() as client:
            client.send(query("SELECT 1"))
            assert [kind for kind, _ in client.until("Z")] == ["D", "C", "Z"]
        where = {
            "host": "127.0.0.1",
            "port": port,
            "user": "x",
            "sslmode": "disable",
            "target_session_attrs": "primary",
        }
        with pytest.raises(UpstreamError) as caught:
            asked(Upstream.model_validate(where), "SELECT 1")
        assert "impossible length" in caught.value.detail
