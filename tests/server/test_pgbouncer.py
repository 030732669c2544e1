"""PgBouncer between the gateway and the server, in session and in transaction mode: what is pinned holds in both.

The service role may write here, and a function that writes is allowed by the policy: only the pins stand in its way.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psycopg
import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e.harness import COMMAND, RunningGateway, gateway
from tests.server.bouncer import PROGRAM, pgbouncer

DATABASE = "pooled"
ROLE = "pool_gateway"
PASSWORD = "pooled secret"

SCHEMA = """
CREATE SCHEMA shop; CREATE SCHEMA evil;
CREATE TABLE shop.items (id int PRIMARY KEY, name text);
INSERT INTO shop.items VALUES (1, 'good 1'), (2, 'good 2'), (3, 'good 3');
CREATE TABLE evil.items (id int PRIMARY KEY, name text); INSERT INTO evil.items VALUES (1, 'evil');
CREATE TABLE shop.written (at timestamptz);
CREATE FUNCTION shop.write_it() RETURNS text LANGUAGE plpgsql VOLATILE AS
    $$BEGIN INSERT INTO shop.written VALUES (now()); RETURN 'written'; END$$;
GRANT USAGE ON SCHEMA shop, evil TO pool_gateway;
GRANT ALL ON ALL TABLES IN SCHEMA shop, evil TO pool_gateway;
"""

POLICY = """
version: 1
name: pooled
search_path: [shop]
settings: {pin: {statement_timeout: 20s}}
functions: {allow: [shop.write_it]}
default: [reader]
roles: {reader: {read: ["shop.*"]}}
"""

PINS = """
ALTER ROLE pool_gateway SET default_transaction_read_only = on; ALTER ROLE pool_gateway SET search_path = shop;
ALTER ROLE pool_gateway SET statement_timeout = '20s'; ALTER ROLE pool_gateway SET client_encoding = 'UTF8';
"""


@dataclass
class Pooled:
    mode: str
    gateway: RunningGateway
    bouncer: int
    postgres: EmbeddedPostgres

    def connect(self, *, autocommit: bool = True, **more: object) -> psycopg.Connection:
        return psycopg.connect(self.gateway.conninfo(), autocommit=autocommit, **more)  # type: ignore[arg-type]

    def another(self) -> psycopg.Connection:
        """Somebody else in the same pool, who goes past the gateway."""
        where = f"host=127.0.0.1 port={self.bouncer} user={ROLE} dbname={DATABASE}"
        return psycopg.connect(where, password=PASSWORD, autocommit=True, prepare_threshold=None)

    def written(self) -> str:
        return self.postgres.execute("SELECT count(*) FROM shop.written", DATABASE).strip()


@pytest.fixture(scope="module")
def pooled_server(postgres: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    if PROGRAM is None:
        assert os.environ.get("CI") != "true", "CI installs pgbouncer"  # noqa: TID251
        pytest.skip("pgbouncer is not installed")
    postgres.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
    postgres.execute(f"CREATE DATABASE {DATABASE}")
    postgres.execute(SCHEMA, DATABASE)
    postgres.execute(PINS)
    yield postgres
    postgres.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    postgres.execute(f"DROP ROLE {ROLE}")


@contextmanager
def started(folder: Path, server: EmbeddedPostgres, mode: str, **more: str) -> Iterator[Pooled]:
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    with (
        pgbouncer(server.host, server.port, mode=mode, users={ROLE: PASSWORD}, **more) as port,
        gateway(
            folder / "gateway",
            server,
            database=DATABASE,
            policy=policy,
            role=ROLE,
            password=PASSWORD,
            upstream={"host": "127.0.0.1", "port": port, "pooler": mode},
        ) as running,
    ):
        yield Pooled(mode, running, port, server)


@pytest.fixture(scope="module", params=["session", "transaction"])
def pooled(
    request: pytest.FixtureRequest, pooled_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pooled]:
    with started(tmp_path_factory.mktemp(request.param), pooled_server, request.param) as running:
        yield running


@pytest.fixture(scope="module")
def single(pooled_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pooled]:
    """Transaction mode with one server connection, apart from those of the catalog, for all."""
    folder = tmp_path_factory.mktemp("single")
    with started(folder, pooled_server, "transaction", default_pool_size="1", server_reset_query="") as running:
        yield running


def test_statements_run(pooled: Pooled) -> None:
    with pooled.connect() as client:
        assert client.execute("SELECT name FROM items ORDER BY id").fetchall() == [
            ("good 1",),
            ("good 2",),
            ("good 3",),
        ]
        assert client.execute("SELECT name FROM items WHERE id = %s", [2]).fetchone() == ("good 2",)
        assert client.info.encoding == "utf-8"
        assert client.execute("SELECT 'ä\\n'").fetchone() == ("ä\\n",)


def test_both_kinds_of_pins_are_in_force(pooled: Pooled) -> None:
    with pooled.connect() as client:
        for name, value in {
            "transaction_read_only": "on",
            "search_path": "shop",
            "statement_timeout": "20s",
            "standard_conforming_strings": "on",
            "client_encoding": "UTF8",
            "row_security": "on",
        }.items():
            assert client.execute(f"SHOW {name}").fetchone() == (value,)


ATTEMPTS = [
    "RESET ALL",
    "DISCARD ALL",
    "RESET default_transaction_read_only",
    "RESET search_path",
    "SET search_path TO DEFAULT",
    "SET LOCAL search_path TO DEFAULT",
    "SET search_path = evil",
    "SET default_transaction_read_only = off",
    "SET LOCAL transaction_read_only = off",
    "SET TRANSACTION READ WRITE",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "SELECT set_config('default_transaction_read_only', 'off', false)",
    "SELECT set_config('transaction_read_only', 'off', true)",
    "BEGIN READ WRITE",
    "BEGIN; SET TRANSACTION READ WRITE",
    "COMMIT; SELECT shop.write_it()",
    "ROLLBACK; SELECT shop.write_it()",
    "COMMIT AND CHAIN",
    "BEGIN; COMMIT; SELECT shop.write_it()",
    "SET ROLE NONE",
    "SET SESSION AUTHORIZATION DEFAULT",
]


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize("inside", [False, True])
def test_nothing_opens_it_for_writing_or_another_path(pooled: Pooled, attempt: str, inside: bool) -> None:
    before = pooled.written()
    with pooled.connect() as client:
        if inside:
            client.execute("BEGIN")
        with suppress(psycopg.Error):
            client.execute(attempt)
        with pytest.raises(psycopg.Error) as caught:
            client.execute("SELECT shop.write_it()")
        assert caught.value.sqlstate in ("25006", "25P02")
        client.execute("ROLLBACK")
        assert client.execute("SELECT count(*) FROM items").fetchone() == (3,), "that of shop"
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            client.execute("SELECT shop.write_it()")
    assert pooled.written() == before == "0"


def pipelined(client: psycopg.Connection, *texts: str) -> list[psycopg.Cursor]:
    """All before one Sync."""
    with client.pipeline():
        return [client.execute(text) for text in texts]


def test_extended_protocol_behind_a_commit_is_pinned_too(pooled: Pooled) -> None:
    with pooled.connect() as client, pytest.raises(psycopg.Error) as caught:
        pipelined(client, "BEGIN", "SELECT 1", "COMMIT", "SELECT shop.write_it()")
    assert caught.value.sqlstate == "25006"
    with pooled.connect() as client:
        results = pipelined(client, "BEGIN", "SELECT 1", "COMMIT", "SELECT name FROM items", "BEGIN", "SELECT 3")
        assert results[3].fetchone() == ("good 1",)
        assert results[5].fetchone() == (3,)
        assert client.info.transaction_status.name == "INTRANS"
    with pooled.connect() as client, pytest.raises(psycopg.errors.DivisionByZero):
        pipelined(client, "BEGIN", "SELECT 1 / (id - 1) FROM items WHERE id = 1", "COMMIT", "SELECT name FROM items")
    assert pooled.written() == "0"


def test_transactions_and_their_errors(pooled: Pooled) -> None:
    with pooled.connect() as client:
        client.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        assert client.execute("SHOW transaction_isolation").fetchone() == ("repeatable read",)
        client.execute("SAVEPOINT a")
        with pytest.raises(psycopg.errors.DivisionByZero):
            client.execute("SELECT 1 / (id - 1) FROM items WHERE id = 1")
        assert client.info.transaction_status.name == "INERROR"
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            client.execute("SELECT 1")
        client.execute("ROLLBACK TO a")
        assert client.execute("SELECT 1").fetchone() == (1,)
        client.execute("COMMIT")
        assert client.info.transaction_status.name == "IDLE"
        with pytest.raises(psycopg.errors.DivisionByZero):
            client.execute("SELECT 1 / (id - 1) FROM items WHERE id = 1")
        assert client.info.transaction_status.name == "IDLE"
        notices: list[str] = []
        client.add_notice_handler(lambda notice: notices.append(str(notice.message_primary)))
        client.execute("BEGIN")
        client.execute("COMMIT")
        assert notices == []


def test_prepared_statements_outlive_their_server_connection(pooled: Pooled) -> None:
    with pooled.connect() as one, pooled.connect() as other:
        for number in range(12):
            assert one.execute("SELECT name FROM items WHERE id = %s", [1], prepare=True).fetchone() == ("good 1",)
            assert other.execute("SELECT id FROM items WHERE id = %s", [2], prepare=True).fetchone() == (2,)
            assert one.execute("SELECT %s::int", [number], prepare=True).fetchone() == (number,)
        with one.transaction():
            assert one.execute("SELECT name FROM items WHERE id = %s", [3], prepare=True).fetchone() == ("good 3",)
        with pytest.raises(psycopg.Error):
            one.execute("SELECT 1 / (%s::int - 5)", [5], prepare=True)
        assert one.execute("SELECT name FROM items WHERE id = %s", [2], prepare=True).fetchone() == ("good 2",)


def test_cursors_inside_a_transaction(pooled: Pooled) -> None:
    with pooled.connect(autocommit=False) as client, client.cursor("rows") as cursor:
        cursor.execute("SELECT id FROM items ORDER BY id")
        assert cursor.fetchmany(2) == [(1,), (2,)]
        assert cursor.fetchall() == [(3,)]


def test_asyncpg_as_it_is(pooled: Pooled) -> None:
    async def main() -> None:
        async with asyncpg.create_pool(
            host="127.0.0.1", port=pooled.gateway.port, user="ada", password="ada-secret", database=DATABASE,
            min_size=2, max_size=4,
        ) as pool:  # fmt: skip
            for _ in range(5):
                assert await pool.fetchval("SELECT name FROM items WHERE id = $1", 2) == "good 2"
            async with pool.acquire() as connection, connection.transaction(readonly=True):
                rows = [row["id"] async for row in connection.cursor("SELECT id FROM items ORDER BY id", prefetch=1)]
            assert rows == [1, 2, 3]
            results = await asyncio.gather(*(pool.fetchval("SELECT $1::int", number) for number in range(50)))
            assert results == list(range(50))

    asyncio.run(main())


def test_large_results_and_copy(pooled: Pooled) -> None:
    with pooled.connect() as client:
        query = "SELECT n, repeat('x', 1000) FROM generate_series(1, 20000) n"
        assert len(client.execute(query).fetchall()) == 20000
        with client.cursor().copy("COPY (SELECT id FROM items ORDER BY id) TO STDOUT") as copy:
            assert b"".join(copy) == b"1\n2\n3\n"
        assert client.execute(f"SELECT length('{'y' * 900_000}')").fetchone() == (900_000,)


def test_cancel(pooled: Pooled) -> None:
    with pooled.connect() as client:
        client.execute("BEGIN")
        client.execute("SET LOCAL statement_timeout = '200ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            client.execute("SELECT count(*) FROM generate_series(1, 1000000000)")
        client.execute("ROLLBACK")
        assert client.execute("SELECT 1").fetchone() == (1,)


def test_settings_of_the_clients_own(pooled: Pooled) -> None:
    """What PgBouncer keeps holds on; what drivers set as they connect is taken; RESET and DISCARD do no harm."""
    with pooled.connect() as client, pooled.connect() as other:
        client.execute("SET TimeZone = 'Asia/Tokyo'")
        client.execute("SET DateStyle = 'German'")
        for _ in range(4):
            assert other.execute("SHOW TimeZone").fetchone() != ("Asia/Tokyo",)
            assert client.execute("SHOW TimeZone").fetchone() == ("Asia/Tokyo",)
        client.execute("SET extra_float_digits = 3")
        client.execute("SET client_min_messages = notice")
        client.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
        client.execute(
            "SELECT set_config('bytea_output', 'hex', false) FROM pg_show_all_settings() WHERE name = 'bytea_output'"
        )
        assert client.execute("SET extra_float_digits = 2; DEALLOCATE ALL").statusmessage == "SET"
        assert client.execute("DISCARD ALL").statusmessage == "DISCARD ALL"
        assert client.execute("DEALLOCATE ALL").statusmessage == "DEALLOCATE ALL"
        assert client.execute("DISCARD PLANS").statusmessage == "DISCARD PLANS"
        assert client.execute("SELECT count(*) FROM items").fetchone() == (3,)


def test_startup_parameters_that_a_pooler_does_not_take(pooled: Pooled) -> None:
    with pooled.connect(options="-c extra_float_digits=2 -c statement_timeout=150ms") as client:
        assert client.execute("SHOW extra_float_digits").fetchone() == ("2",)
        with pytest.raises(psycopg.errors.QueryCanceled):
            client.execute("SELECT count(*) FROM generate_series(1, 1000000000)")


def test_what_a_client_sets_holds_for_it_alone_until_it_is_reset(pooled: Pooled) -> None:
    with pooled.connect() as client, pooled.connect() as other:

        def shown() -> tuple[object, object]:
            mine, theirs = client.execute("SHOW statement_timeout"), other.execute("SHOW statement_timeout")
            return (mine.fetchone() or ("",))[0], (theirs.fetchone() or ("",))[0]

        client.execute("SET SESSION statement_timeout TO '3s'")
        client.execute("SET IntervalStyle = 'iso_8601'")
        assert shown() == shown() == ("3s", "20s")
        with suppress(psycopg.errors.DivisionByZero), client.transaction():
            client.execute("SET statement_timeout = '4s'")
            assert shown() == ("4s", "20s")
            client.execute("SELECT 1 / (id - 1) FROM items WHERE id = 1")
        assert shown() == ("3s", "20s")
        client.execute("BEGIN")
        client.execute("SET statement_timeout = '5s'")
        client.execute("ROLLBACK")
        assert shown() == ("3s", "20s")
        with client.transaction():
            client.execute("SET statement_timeout = '6s'")
            client.execute("SET LOCAL lock_timeout = '7s'")
        assert shown() == ("6s", "20s")
        assert client.execute("SHOW lock_timeout").fetchone() == ("0",)
        client.execute("SET statement_timeout = '8s'", prepare=True)
        assert shown() == ("8s", "20s")
        client.execute("RESET statement_timeout")
        assert shown() == ("20s", "20s")
        assert client.execute("SHOW IntervalStyle").fetchone() == ("iso_8601",)
        client.execute("DISCARD ALL")
        assert client.execute("SHOW IntervalStyle").fetchone() == ("postgres",)
        assert client.execute("SHOW search_path").fetchone() == ("shop",)


@pytest.mark.parametrize(
    "text",
    [
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "SELECT set_config('statement_timeout', '1s', false)",
        "COMMIT AND CHAIN",
        "SELECT 1; COMMIT; SELECT 2",
    ],
)
def test_what_needs_a_session_is_refused_with_a_hint(single: Pooled, text: str) -> None:
    with single.connect() as client:
        with pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
            client.execute(text)
        assert caught.value.diag.message_hint
        assert client.execute("SELECT 1").fetchone() == (1,)


def test_what_another_client_of_the_pool_leaves_behind_changes_nothing(single: Pooled) -> None:
    with single.another() as other, single.connect() as client:
        for text in (
            "SET default_transaction_read_only = off",
            "SET search_path = evil",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            "SET standard_conforming_strings = off",
            "SET client_encoding = 'LATIN1'",
            "SET row_security = off",
            "SET statement_timeout = 0",
        ):
            other.execute(text)
            assert client.execute("SELECT name FROM items WHERE id = 1").fetchone() == ("good 1",)
            assert client.execute("SELECT 'ä\\' || name FROM items WHERE id = %s", [1]).fetchone() == ("ä\\good 1",)
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                client.execute("SELECT shop.write_it()")
        assert other.execute("SHOW search_path").fetchone() == ("evil",), "the very server connection"
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), client.transaction():
            client.execute("SELECT shop.write_it()")
        other.execute("DISCARD ALL")
    assert single.written() == "0"


def test_a_session_that_somebody_left_changed_is_not_taken(pooled_server: EmbeddedPostgres, tmp_path: Path) -> None:
    """Session mode without PgBouncer's server_reset_query."""
    with started(tmp_path, pooled_server, "session", default_pool_size="1", server_reset_query="") as pooled:
        with pooled.another() as other:
            other.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.OperationalError, match="does not keep the settings that the policy pins"):
            pooled.connect()
        assert "default_transaction_read_only" in (pooled.gateway.folder / "gateway.log").read_text()


def check(pooled: Pooled) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "UPSTREAM_PASSWORD": PASSWORD}  # noqa: TID251
    return subprocess.run(
        [COMMAND, "check", "--config", pooled.gateway.config, "--database", DATABASE],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip


def test_check_prints_the_statements_for_pins_that_are_not_the_roles(pooled: Pooled) -> None:
    assert "ALTER ROLE" not in check(pooled).stdout
    pooled.postgres.execute(
        f"ALTER ROLE {ROLE} RESET search_path; ALTER ROLE {ROLE} RESET default_transaction_read_only"
    )
    kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'"
    try:
        pooled.postgres.execute(kill)
        output = check(pooled).stdout
        assert f"ALTER ROLE {ROLE} SET search_path = shop;" in output
        assert f"ALTER ROLE {ROLE} SET default_transaction_read_only = 'on';" in output
        assert "statement_timeout" not in output
        if pooled.mode == "transaction":
            with pooled.connect() as client, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                client.execute("SELECT shop.write_it()")
        else:
            with pytest.raises(psycopg.OperationalError, match="does not keep the settings"):
                pooled.connect()
    finally:
        pooled.postgres.execute(PINS)
        pooled.postgres.execute(kill)
