"""The way to the upstream: each login method and each sslmode, against real servers."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nlsql_gateway.config import Upstream
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.server.connect import Rejected, open_upstream, send_cancel
from nlsql_gateway.wire import downstream, messages, upstream
from tests.server.tls_front import certificate, tls_front

HBA = """
local all all password
host all trusted 127.0.0.1/32 trust
host all old 127.0.0.1/32 md5
host all clear 127.0.0.1/32 password
host all all 127.0.0.1/32 scram-sha-256
"""


@pytest.fixture(scope="module")
def methods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server with a role for each way to log in; the password is ``secret``."""
    sockets = tmp_path_factory.mktemp("sockets")
    for folder in (sockets, *sockets.parents[:2]):
        folder.chmod(0o777)
    settings = {"unix_socket_directories": str(sockets), "md5_password_warnings": "off"}
    with EmbeddedPostgres(tmp_path_factory.mktemp("methods"), hba=HBA, durable=False, settings=settings) as server:
        server.execute("CREATE ROLE trusted LOGIN; CREATE ROLE clear LOGIN PASSWORD 'secret'")
        server.execute("CREATE ROLE modern LOGIN PASSWORD 'secret'")
        server.execute("SET password_encryption = md5; CREATE ROLE old LOGIN PASSWORD 'secret'")
        yield server


def asked(where: Upstream, password: str | None = "secret", **parameters: str) -> str:
    """What the upstream says that we are."""

    async def main() -> str:
        try:
            connection = await open_upstream(where, password, {"database": "postgres", **parameters})
            connection.pipe.write(upstream.query("SELECT current_user"))
            received = b""
            while not received.endswith(downstream.ready()):
                received += await connection.pipe.read(1)
            connection.pipe.abort()
            return received.decode("latin-1")
        finally:
            await asyncio.sleep(0.01)  # the transport closes in the loop's own time

    return asyncio.run(main())


def at(server: EmbeddedPostgres, user: str, **more: object) -> Upstream:
    return Upstream.model_validate({"host": server.host, "port": server.port, "user": user, **more})


@pytest.mark.parametrize("user", ["trusted", "old", "modern"])
def test_every_method(methods: EmbeddedPostgres, user: str) -> None:
    assert user in asked(at(methods, user), None if user == "trusted" else "secret")


@pytest.mark.parametrize("user", ["old", "modern", "clear"])
def test_a_wrong_password_is_not_the_clients_business(methods: EmbeddedPostgres, user: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        asked(at(methods, user), "wrong")
    assert not isinstance(caught.value, Rejected)
    assert caught.value.sqlstate == "08006"
    assert user not in caught.value.message


def test_no_password_where_one_is_asked_for(methods: EmbeddedPostgres) -> None:
    with pytest.raises(UpstreamError) as caught:
        asked(at(methods, "modern"), None)
    assert "none is configured" in caught.value.detail


def test_a_password_in_clear_goes_only_where_nobody_listens(methods: EmbeddedPostgres, tmp_path: Path) -> None:
    with pytest.raises(UpstreamError) as caught:
        asked(at(methods, "clear"))
    assert "clear text without TLS" in caught.value.detail
    with tls_front(methods.host, methods.port, *certificate(tmp_path, "localhost")) as port:
        assert "clear" in asked(Upstream(host="localhost", port=port, user="clear", sslmode="require"))
    folder = methods.execute("SHOW unix_socket_directories")
    assert "clear" in asked(at(methods, "clear", host=folder))


def test_sslmode(methods: EmbeddedPostgres, tmp_path: Path) -> None:
    """The embedded server has no TLS; a front before it has, and wants nothing else."""
    (tmp_path / "other").mkdir()
    files = certificate(tmp_path, "localhost")
    other, _ = certificate(tmp_path / "other", "localhost")
    for mode, right in (("disable", True), ("prefer", True), ("require", False), ("verify-full", False)):
        where = at(methods, "modern", sslmode=mode)
        if right:
            assert "modern" in asked(where)
        else:
            with pytest.raises(UpstreamError, match="does not offer TLS"):
                asked(where)
    with tls_front(methods.host, methods.port, *files) as port:
        for mode, host, root, right in (
            ("prefer", "localhost", None, True),
            ("require", "localhost", None, True),
            ("require", "localhost", other, False),
            ("verify-ca", "127.0.0.1", files[0], True),
            ("verify-ca", "localhost", other, False),
            ("verify-ca", "localhost", None, False),
            ("verify-full", "localhost", files[0], True),
            ("verify-full", "127.0.0.1", files[0], False),
            ("verify-full", "localhost", tmp_path / "missing.pem", False),
        ):
            where = Upstream.model_validate(
                {"host": host, "port": port, "user": "modern", "sslmode": mode, "root_certificate": root}
            )
            if right:
                assert "modern" in asked(where), mode
            else:
                with pytest.raises(UpstreamError, match="TLS with the database failed"):
                    asked(where)


def test_what_the_upstream_rejects_is_told_as_it_says_it(methods: EmbeddedPostgres) -> None:
    with pytest.raises(Rejected) as caught:
        asked(at(methods, "modern"), database="nowhere")
    assert caught.value.sqlstate == "3D000"
    with pytest.raises(Rejected) as caught:
        asked(at(methods, "modern"), work_mem="lots")
    assert caught.value.sqlstate == "22023"


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        where = Upstream(host="127.0.0.1", port=taken.getsockname()[1], user="x")
        with pytest.raises(UpstreamError, match="cannot be reached"):
            asked(where)
        with pytest.raises(UpstreamError, match="cancel request"):
            asyncio.run(send_cancel(where, where.endpoints[0], b"12345678"))


ERROR = messages.fault("FATAL", "28P01", "no").encode()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "closed the connection"),
        (b"SNothing", "sent data before the TLS handshake"),
        (b"N" + b"X\0\0\0\4", ""),
        (b"N" + b"R\0\0\0\3", ""),
        (b"N" + b"R" + b"\x7f\xff\xff\xff", ""),
        (b"N" + downstream.authentication(11, b"r=x,s=eA==,i=1"), ""),
        (b"N" + downstream.authentication(10, b"SCRAM-SHA-512\0\0"), ""),
        (b"N" + downstream.authentication(10, b"SCRAM-SHA-256\0\0") + downstream.authentication(0), ""),
        (b"N" + downstream.authentication(7), ""),
        (b"N" + b"S\0\0\0\5x", ""),
        (b"N" + ERROR, "refused the gateway's login"),
    ],
)
def test_a_peer_that_is_no_postgresql_is_an_error_and_never_a_wait(answer: bytes, problem: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(8)
                first, rest = (answer[:1], answer[1:]) if answer[:1] == b"N" else (answer, b"")
                peer.sendall(first)
                if rest:
                    peer.recv(1000)
                    peer.sendall(rest)
                peer.settimeout(0.2)
                try:
                    while peer.recv(1000):
                        pass
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(UpstreamError) as caught:
            asked(Upstream(host="127.0.0.1", port=server.getsockname()[1], user="x", connect_timeout=3))
        thread.join()
        assert problem in caught.value.message + caught.value.detail


def test_a_peer_that_says_nothing_runs_into_the_time_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        with pytest.raises(UpstreamError, match="did not answer within"):
            asked(Upstream(host="127.0.0.1", port=server.getsockname()[1], user="x", connect_timeout=0.3))
        assert time.monotonic() - started < 3
