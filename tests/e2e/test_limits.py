"""Limits on what a statement returns and takes, with real clients: exactly so many rows, then an error in step."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

import asyncpg
import psycopg
import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e.behind import STANDING, standing
from tests.e2e.harness import PASSWORDS, RunningGateway

POLICY = """
version: 1
name: limits
limits: {rows: 100, bytes: 1000000, timeout: 5s}
users:
  ada: {roles: [few]}
  emil: {roles: [few, more, plain]}
  nora: {roles: [plain]}
  petra: {roles: [thin]}
roles:
  few: {read: public.*, limits: {rows: 10, timeout: 2s}}
  more: {read: public.*, limits: {rows: 50, timeout: 3s}}
  plain: {read: public.*}
  thin: {read: public.*, limits: {bytes: 100}}
"""


@pytest.fixture(scope="module", params=STANDING)
def gateway(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    postgres.execute("CREATE DATABASE limits")
    postgres.load(
        [b"CREATE TABLE numbers AS SELECT x, repeat('a', 10) AS word FROM generate_series(1, 100000) x;"], "limits"
    )
    folder = tmp_path_factory.mktemp("limits")
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    with standing(request.param, folder, postgres, database="limits", policy=policy) as running:
        yield running
    postgres.execute("DROP DATABASE limits WITH (FORCE)")


def connect(gateway: RunningGateway, user: str = "ada") -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(gateway.conninfo(user), autocommit=True)


@pytest.mark.parametrize(("user", "most"), [("ada", 10), ("emil", 50), ("nora", 100)])
@pytest.mark.parametrize("prepare", [None, True])
def test_exactly_so_many_rows_pass(gateway: RunningGateway, user: str, most: int, prepare: bool | None) -> None:
    with connect(gateway, user) as connection:
        text = "SELECT x FROM numbers ORDER BY x LIMIT "
        assert len(connection.execute(text + str(most), prepare=prepare).fetchall()) == most
        for rows in (most + 1, most + 1000, 100_000):
            with pytest.raises(psycopg.errors.ProgramLimitExceeded, match=f"more than {most} rows"):
                connection.execute(text + str(rows), prepare=prepare)
            assert connection.info.transaction_status.name == "IDLE"
            assert connection.execute("SELECT 1").fetchone() == (1,)
    outcomes = [record for record in gateway.records() if record.get("limit") == "rows"]
    assert outcomes
    assert {(record["rows"], record["sqlstate"]) for record in outcomes} <= {
        (10, "54000"),
        (50, "54000"),
        (100, "54000"),
    }


def test_bytes(gateway: RunningGateway) -> None:
    with connect(gateway, "petra") as connection:
        text = "SELECT word FROM numbers LIMIT "  # 2 + 4 + 10 bytes a row
        assert len(connection.execute(text + "6").fetchall()) == 6
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="more than 100 bytes"):
            connection.execute(text + "7")
        with pytest.raises(psycopg.errors.ProgramLimitExceeded):
            connection.execute("SELECT repeat('a', 1000000)")
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_statements_in_one_query_count_each(gateway: RunningGateway) -> None:
    ten = "SELECT x FROM numbers LIMIT 10"
    assert gateway.psql("-At", "-c", f"{ten}; {ten}").stdout.count("\n") == 20
    for text in (f"SELECT x FROM numbers; {ten}", f"{ten}; SELECT x FROM numbers LIMIT 11; {ten}"):
        done = gateway.psql("-At", "-c", text)
        assert done.returncode == 1
        assert done.stderr.startswith("ERROR:  the statement returns more than 10 rows\nHINT:")
    done = gateway.psql("-At", stdin="SELECT x FROM numbers LIMIT 11;\nSELECT 'still here';\n")
    assert done.stdout == "still here\n"


def test_in_a_transaction_block_the_state_is_the_servers(gateway: RunningGateway) -> None:
    with connect(gateway) as connection:
        for rows in (11, 100_000):
            connection.execute("BEGIN")
            with pytest.raises(psycopg.errors.ProgramLimitExceeded):
                connection.execute(f"SELECT x FROM numbers LIMIT {rows}")
            state = connection.info.transaction_status.name
            with (
                contextlib.nullcontext() if state == "INTRANS" else pytest.raises(psycopg.errors.InFailedSqlTransaction)
            ):
                connection.execute("SELECT 1")
            connection.execute("ROLLBACK")
            assert connection.info.transaction_status.name == "IDLE"


def test_cursors_count_over_all_their_fetches(gateway: RunningGateway) -> None:
    with connect(gateway) as connection, connection.transaction(force_rollback=True):
        connection.execute("DECLARE c CURSOR FOR SELECT x FROM numbers")
        connection.execute("DECLARE d CURSOR FOR SELECT x FROM numbers")
        assert len(connection.execute("FETCH 6 FROM c").fetchall()) == 6
        assert len(connection.execute("FETCH 4 FROM c", prepare=True).fetchall()) == 4
        assert len(connection.execute("FETCH 10 FROM d").fetchall()) == 10
        with pytest.raises(psycopg.errors.ProgramLimitExceeded):
            connection.execute("FETCH 1 FROM c")
    with connect(gateway) as connection, connection.transaction(force_rollback=True):
        connection.execute("DECLARE c CURSOR FOR SELECT x FROM numbers")
        with pytest.raises(psycopg.errors.ProgramLimitExceeded):
            connection.execute("FETCH ALL FROM c")


def test_copy(gateway: RunningGateway) -> None:
    with connect(gateway) as connection:
        cursor = connection.cursor()
        for rows, fits in ((10, True), (11, False), (100_000, False)):
            text = f"COPY (SELECT x FROM numbers LIMIT {rows}) TO STDOUT"
            got: list[object] = []
            with contextlib.nullcontext() if fits else pytest.raises(psycopg.errors.ProgramLimitExceeded):  # noqa: SIM117
                with cursor.copy(text) as copy:
                    got.extend(copy.rows())
            assert len(got) == 10
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_asyncpg_and_a_portal_in_pieces(gateway: RunningGateway) -> None:
    async def use() -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=gateway.port, user="ada", password=PASSWORDS["ada"], database="limits"
        )
        try:
            for rows in (11, 100_000):
                with pytest.raises(asyncpg.ProgramLimitExceededError):
                    await connection.fetch("SELECT x FROM numbers LIMIT $1", rows)
                assert await connection.fetchval("SELECT 1") == 1
            async with connection.transaction():
                cursor = await connection.cursor("SELECT x FROM numbers")
                assert len(await cursor.fetch(6)) == 6
                assert len(await cursor.fetch(4)) == 4
                with pytest.raises(asyncpg.ProgramLimitExceededError):
                    await cursor.fetch(1)
        finally:
            await connection.close()

    asyncio.run(use())


def test_in_a_pipeline_the_session_ends_rather_than_hit_another_statement(gateway: RunningGateway) -> None:
    connection = connect(gateway)
    with pytest.raises(psycopg.Error) as caught, connection.pipeline():  # noqa: PT012
        connection.execute("SELECT x FROM numbers LIMIT 11")
        connection.execute("SELECT 1")
    assert isinstance(caught.value, psycopg.errors.ProgramLimitExceeded | psycopg.OperationalError)
    connection.close()
    with connect(gateway) as another, another.pipeline():
        cursors = [another.execute(f"SELECT x FROM numbers LIMIT {rows}") for rows in (10, 9, 10)]
    assert [len(cursor.fetchall()) for cursor in cursors] == [10, 9, 10]


@pytest.mark.parametrize(("user", "most"), [("ada", "2s"), ("emil", "3s"), ("nora", "5s")])
def test_the_timeout_may_be_shorter_only(gateway: RunningGateway, user: str, most: str) -> None:
    with connect(gateway, user) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == (most,)
        for value in ("'6s'", "0", "DEFAULT", "'1us'"):
            with (
                pytest.raises(psycopg.errors.InsufficientPrivilege) if value != "DEFAULT" else contextlib.nullcontext()
            ):
                connection.execute(f"SET statement_timeout TO {value}")
        connection.execute("SET statement_timeout TO '100ms'")
        started = time.monotonic()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT count(*) FROM numbers a, numbers b")
        assert time.monotonic() - started < 60
        connection.execute("RESET ALL")
        assert connection.execute("SHOW statement_timeout").fetchone() == (most,)
    with psycopg.connect(gateway.conninfo(user, options="'-c statement_timeout=1s'")) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("1s",)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(gateway.conninfo(user, options="'-c statement_timeout=0'"))
