"""Several upstream servers: failover, target_session_attrs, one clear error; for clients and for the gateway itself."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import structlog
from structlog.testing import capture_logs

from nlsql_gateway.config import Upstream
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.server.connect import open_upstream
from nlsql_gateway.server.postgres import Databases
from tests.server.conftest import Server
from tests.server.debian_postgres import INSTALLED, running
from tests.server.raw import Raw


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("second"), durable=False) as server:
        server.execute(
            "CREATE ROLE twin LOGIN SUPERUSER PASSWORD 'twin'; CREATE TABLE which AS SELECT 'second' AS name"
        )
        yield server


@pytest.fixture
def first(postgres: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    postgres.execute("CREATE ROLE twin LOGIN SUPERUSER PASSWORD 'twin'; CREATE TABLE which AS SELECT 'first' AS name")
    yield postgres
    postgres.execute("DROP TABLE which; DROP ROLE twin")


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where connections are taken and nothing is said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def hosts(*ports: int) -> list[dict[str, object]]:
    return [{"host": "127.0.0.1", "port": port} for port in ports]


def named(upstream: Upstream) -> str:
    """Which server a connection gets to."""

    async def main() -> str:
        try:
            connection = await open_upstream(upstream, "twin", {"database": "postgres"})
            connection.pipe.abort()
            return f"{connection.endpoint.host}:{connection.endpoint.port}"
        finally:
            await asyncio.sleep(0.01)

    return asyncio.run(main())


def several(*ports: int, **more: object) -> Upstream:
    return Upstream.model_validate({"hosts": hosts(*ports), "user": "twin", "sslmode": "disable", **more})


def serve(server: Server, *ports: int, **more: object) -> str:
    """A gateway before the servers on these ports; how to reach it."""
    return server.start(upstream={"hosts": hosts(*ports), "user": "twin", **more}).conninfo()


def test_the_next_server_is_taken_when_the_first_is_gone(
    server: Server, first: EmbeddedPostgres, second: EmbeddedPostgres, nobody: int
) -> None:
    server.secret.write_text("twin")
    conninfo = serve(server, nobody, second.port, first.port)
    with psycopg.connect(conninfo) as client:
        assert client.execute("SELECT name FROM which").fetchone() == ("second",)


def test_a_stopped_server_fails_over_and_a_cancel_goes_to_its_own(
    server: Server, first: EmbeddedPostgres, tmp_path: Path
) -> None:
    server.secret.write_text("twin")
    with EmbeddedPostgres(tmp_path / "third", durable=False) as third:
        third.execute("CREATE ROLE twin LOGIN SUPERUSER PASSWORD 'twin'; CREATE TABLE which AS SELECT 'third' AS name")
        conninfo = serve(server, third.port, first.port)
        with psycopg.connect(conninfo) as before:
            assert before.execute("SELECT name FROM which").fetchone() == ("third",)
            third.stop()
            with pytest.raises(psycopg.OperationalError) as caught:
                before.execute("SELECT 1")
            assert caught.value.sqlstate in ("57P01", "08006")
        with psycopg.connect(conninfo) as after:
            assert after.execute("SELECT name FROM which").fetchone() == ("first",)
            after.execute("SET statement_timeout = '20s'")
            with ThreadPoolExecutor(1) as threads:
                slept = threads.submit(after.execute, "SELECT pg_sleep(20)")
                deadline = time.monotonic() + 10
                while not slept.done() and time.monotonic() < deadline:
                    after.cancel_safe()
                    time.sleep(0.1)
                with pytest.raises(psycopg.errors.QueryCanceled):
                    slept.result(10)


def test_when_none_answers_the_log_names_each_reason_and_the_client_no_host(
    server: Server, nobody: int, silent: int
) -> None:
    with capture_logs() as logs:
        conninfo = serve(server, nobody, silent, connect_timeout=0.3)
        with pytest.raises(psycopg.OperationalError, match="none of the 2 database servers will do") as caught:
            psycopg.connect(conninfo)
    assert str(nobody) not in str(caught.value)
    (entry,) = [entry for entry in logs if entry["event"] == "upstream unavailable"]
    assert f"127.0.0.1 port {nobody}: the database cannot be reached" in entry["detail"]
    assert f"127.0.0.1 port {silent}: the database did not answer within 0.3 s" in entry["detail"]


def test_each_server_has_the_timeout_for_itself(second: EmbeddedPostgres, silent: int) -> None:
    assert named(several(silent, silent, second.port, connect_timeout=0.3)).endswith(str(second.port))


def test_a_server_that_refuses_the_login_ends_the_search(first: EmbeddedPostgres, second: EmbeddedPostgres) -> None:
    second.execute("ALTER ROLE twin PASSWORD 'other'")
    try:
        with pytest.raises(UpstreamError, match="refused the gateway's login"):
            named(several(second.port, first.port))
    finally:
        second.execute("ALTER ROLE twin PASSWORD 'twin'")


def test_load_balancing_takes_all(first: EmbeddedPostgres, second: EmbeddedPostgres) -> None:
    both = several(first.port, second.port, load_balance_hosts="random")
    assert {named(both) for _ in range(30)} == {f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}"}
    assert {named(several(first.port, second.port)) for _ in range(5)} == {f"127.0.0.1:{first.port}"}


def test_the_catalog_comes_from_the_same_list(second: EmbeddedPostgres, nobody: int) -> None:
    async def main() -> bool:
        databases = Databases(several(nobody, second.port), "twin")
        try:
            return ("public", "which") in (await databases.get("postgres").refresh()).relations
        finally:
            await databases.aclose()

    assert asyncio.run(main())


def test_the_catalog_says_that_none_answers(nobody: int, silent: int) -> None:
    async def main() -> None:
        databases = Databases(several(nobody, silent, connect_timeout=0.3), "twin", log=structlog.get_logger("test"))
        try:
            await databases.get("postgres").refresh()
        finally:
            await databases.aclose()

    with capture_logs() as logs, pytest.raises(UpstreamError, match="none of the 2 database servers"):
        asyncio.run(main())
    (entry,) = logs
    assert str(nobody) in entry["detail"]
    assert str(silent) in entry["detail"]


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[int, int]]:
    """The ports of a primary and its standby; twin may log in."""
    if not INSTALLED:
        assert os.environ.get("CI") != "true", "CI installs postgresql-15"  # noqa: TID251
        pytest.skip("no PostgreSQL of Debian's is installed")
    with running(INSTALLED[-1], wal_level="replica", max_wal_senders="4", hot_standby="on") as primary:
        with psycopg.connect(f"host=127.0.0.1 port={primary} user=postgres", autocommit=True) as admin:
            admin.execute("CREATE ROLE twin LOGIN")
        with running(INSTALLED[-1], standby_of=primary) as standby:
            yield primary, standby


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [("any", 0), ("primary", 0), ("standby", 1), ("read-write", 0), ("read-only", 1), ("prefer-standby", 1)],
)
@pytest.mark.parametrize("pinned", [False, True])
def test_target_session_attrs(pair: tuple[int, int], wanted: str, taken: int, pinned: bool) -> None:
    """Each kind is found, whichever stands first; our own read-only pin does not make a primary a standby."""
    pin = {"default_transaction_read_only": "on"} if pinned else {}

    async def main(ports: tuple[int, int]) -> int:
        try:
            upstream = several(*ports, target_session_attrs=wanted)
            connection = await open_upstream(upstream, None, {"database": "postgres", **pin})
            connection.pipe.abort()
            return connection.endpoint.port
        finally:
            await asyncio.sleep(0.01)

    assert asyncio.run(main(pair)) == pair[taken]
    if wanted != "any":
        assert asyncio.run(main((pair[1], pair[0]))) == pair[taken]


def test_prefer_standby_takes_a_primary_when_there_is_no_other(pair: tuple[int, int], nobody: int) -> None:
    assert named(several(nobody, pair[0], target_session_attrs="prefer-standby")).endswith(str(pair[0]))


def test_no_server_of_the_kind(pair: tuple[int, int]) -> None:
    with pytest.raises(UpstreamError, match="target_session_attrs asks for: it is a primary"):
        named(several(pair[0], target_session_attrs="standby"))


@pytest.mark.parametrize("wanted", ["primary", "standby", "read-write", "read-only", "prefer-standby"])
def test_the_gateways_own_connections_choose_alike(pair: tuple[int, int], wanted: str) -> None:
    async def main() -> str:
        databases = Databases(several(*reversed(pair), target_session_attrs=wanted), None)
        try:
            async with databases.get("postgres")._connection() as connection:
                return str(await connection.fetchval("SELECT pg_is_in_recovery()"))
        finally:
            await databases.aclose()

    assert asyncio.run(main()) == str(wanted in ("standby", "read-only", "prefer-standby"))


def test_administrators_shutdown_reaches_the_client(server: Server, postgres: EmbeddedPostgres) -> None:
    served = server.start()
    with Raw("127.0.0.1", served.port).login() as client:
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '' AND "
            "backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        error = client.error()
        assert (error["V"], error["C"]) == ("FATAL", "57P01")
        assert client.is_closed()
