"""auth.method passthrough: the client's own login at the upstream, carried; the gateway knows no password."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.wire import upstream as to_server
from tests.server.conftest import Served, Server
from tests.server.debian_postgres import INSTALLED, running
from tests.server.raw import Raw
from tests.server.tls_front import certificate

HBA = """
local all all trust
host all postgres 127.0.0.1/32 trust
host all old 127.0.0.1/32 md5
host all clear 127.0.0.1/32 password
host all shut 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
"""
ROLES = """
CREATE ROLE modern LOGIN PASSWORD 'secret'; CREATE ROLE clear LOGIN PASSWORD 'secret'; CREATE ROLE shut LOGIN;
SET password_encryption = md5; CREATE ROLE old LOGIN PASSWORD 'secret'
"""


@pytest.fixture(scope="module")
def methods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    folder = tmp_path_factory.mktemp("methods")
    with EmbeddedPostgres(folder, hba=HBA, durable=False, settings={"md5_password_warnings": "off"}) as server:
        server.execute(ROLES)
        yield server


@pytest.fixture
def carried(methods: EmbeddedPostgres, tmp_path: Path) -> Iterator[Served]:
    gateway = Server(methods, tmp_path)
    yield gateway.start(
        auth={"method": "passthrough", "users": None}, upstream={"user": "nobody", "password_file": None}
    )
    gateway.stop()


@pytest.mark.parametrize("user", ["modern", "old"])
def test_scram_and_md5_are_carried_and_statements_run_as_the_client(carried: Served, user: str) -> None:
    with psycopg.connect(carried.conninfo(user=user)) as client:
        assert client.execute("SELECT current_user, session_user").fetchone() == (user, user)


@pytest.mark.parametrize("user", ["modern", "old", "missing"])
def test_the_servers_own_words_on_a_wrong_password(carried: Served, methods: EmbeddedPostgres, user: str) -> None:
    def words(port: int) -> str:
        with pytest.raises(psycopg.OperationalError) as caught:
            psycopg.connect(carried.conninfo(user=user, password="wrong", port=port))
        return str(caught.value).replace(str(port), "PORT")

    assert words(carried.port) == words(methods.port)
    assert "password authentication failed" in words(carried.port)


def test_other_refusals_of_the_server_pass_as_they_are(carried: Served) -> None:
    with pytest.raises(psycopg.OperationalError, match='database "nowhere" does not exist'):
        psycopg.connect(carried.conninfo(user="modern", dbname="nowhere"))
    with pytest.raises(psycopg.OperationalError, match="rejects connection for host"):
        psycopg.connect(carried.conninfo(user="shut"))


def test_a_password_in_clear_is_not_carried_without_tls(carried: Served) -> None:
    with pytest.raises(psycopg.OperationalError, match="in clear text, which is not carried without TLS"):
        psycopg.connect(carried.conninfo(user="clear"))


def test_the_principal_is_the_user_that_the_server_let_in(carried: Served) -> None:
    with psycopg.connect(carried.conninfo(user="modern")) as client:
        client.execute("SELECT 1")
    assert carried.gate.all_closed()


def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(carried: Served, methods: EmbeddedPostgres) -> None:
    with Raw("127.0.0.1", carried.port) as client:
        client.startup("modern")
        assert client.reply()[0] == "R"
    with psycopg.connect(carried.conninfo(user="modern")) as another:
        assert another.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'modern'").fetchone() == (1,)


def test_what_is_no_password_message_ends_the_login(carried: Served) -> None:
    with Raw("127.0.0.1", carried.port) as client:
        client.startup("modern")
        client.reply()
        client.send(to_server.query("SELECT 1"))
        assert client.error()["M"] == "the login at the database failed"
        assert client.is_closed()


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server with TLS, which offers channel binding."""
    if not INSTALLED:
        assert os.environ.get("CI") != "true", "CI installs postgresql-15"  # noqa: TID251
        pytest.skip("no PostgreSQL of Debian's is installed: the wheel's has no TLS")
    made, key = certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1")
    files = {"server.crt": made.read_bytes(), "server.key": key.read_bytes()}
    hba = "host all postgres 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
    with running(INSTALLED[-1], hba=hba, files=files, ssl="on") as port:
        with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres", autocommit=True) as admin:
            admin.execute("CREATE ROLE modern LOGIN PASSWORD 'secret'")
        yield port


def test_channel_binding_cannot_be_carried(methods: EmbeddedPostgres, encrypted: int, tmp_path: Path) -> None:
    """TLS on both ways: a client that would bind is told what to do, one that would not gets in."""
    made, key = certificate(tmp_path, "127.0.0.1")
    server = Server(methods, tmp_path)
    try:
        served = server.start(
            auth={"method": "passthrough", "users": None},
            upstream={"host": "127.0.0.1", "port": encrypted, "sslmode": "require", "password_file": None},
            tls={"certificate": made, "key": key},
        )
        with pytest.raises(psycopg.OperationalError, match="connect with channel_binding=disable"):
            psycopg.connect(served.conninfo(user="modern", sslmode="require"))
        with psycopg.connect(served.conninfo(user="modern", sslmode="require", channel_binding="disable")) as client:
            assert client.execute("SELECT current_user").fetchone() == ("modern",)
        with psycopg.connect(served.conninfo(user="modern", sslmode="disable")) as client:
            assert client.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)
    finally:
        server.stop()
