"""What psql and drivers do beside asking: browse, prepare, transact."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import psycopg
import pytest
import sqlalchemy

from tests.e2e.harness import PASSWORDS, RunningGateway

SYSTEM_PSQL = Path("/usr/bin/psql")


@pytest.mark.parametrize(
    "command",
    [r"\d", r"\d customers", r"\d+ orders", r"\dt", r"\di", r"\dv", r"\l", r"\dn", r"\df", r"\du", r"\dp", r"\dT",
     r"\conninfo", r"\encoding", r"\dx", r"\dd", r"\d products_pkey"],
)  # fmt: skip
def test_psql_browses(gateway: RunningGateway, command: str) -> None:
    # An older psql cannot list the databases of a newer server, with or without a gateway.
    others = [SYSTEM_PSQL] if SYSTEM_PSQL.exists() and command != r"\l" else []
    for psql in (None, *others):
        done = gateway.psql("-c", command, psql=psql)
        assert done.returncode == 0, done.stderr
        assert "ERROR" not in done.stderr


def test_psql_d_shows_the_columns(gateway: RunningGateway) -> None:
    done = gateway.psql("-c", r"\d customers")
    for word in ("customer_id", "email", "PRIMARY KEY", "FOREIGN KEY"):
        assert word in done.stdout


def test_transactions_and_savepoints(gateway: RunningGateway) -> None:
    with psycopg.connect(gateway.conninfo()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        savepoint = connection.transaction()
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), savepoint:
            connection.execute("DELETE FROM customers")
        assert connection.execute("SELECT 2").fetchone() == (2,)
    with psycopg.connect(gateway.conninfo()) as connection, connection.cursor("named") as cursor:
        cursor.execute("SELECT product_id FROM products ORDER BY 1 LIMIT 100")
        cursor.itersize = 7
        assert len(list(cursor)) == 100


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN READ WRITE",
        "SET transaction_read_only = off",
        "SET default_transaction_read_only = off",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SET standard_conforming_strings = off",
        "SET client_encoding = 'LATIN1'",
        "SET ROLE postgres",
        "COPY customers TO '/tmp/x'",
        "LOCK TABLE customers",
        "CREATE TEMP TABLE t (a int)",
        "SELECT pg_notify('c', 'x')",
        "PREPARE TRANSACTION 'x'",
        "SELECT 1; DELETE FROM orders",
    ],
)
def test_the_pins_hold(gateway: RunningGateway, text: str) -> None:
    with psycopg.connect(gateway.conninfo(), autocommit=True) as connection:
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(text)
        assert caught.value.sqlstate in ("25006", "42501"), caught.value
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_reset_and_discard_bring_the_pins_back(gateway: RunningGateway) -> None:
    with psycopg.connect(gateway.conninfo(), autocommit=True, prepare_threshold=None) as connection:
        for text in ("RESET ALL", "DISCARD ALL"):
            connection.execute(text)
            assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
            assert connection.execute("SHOW standard_conforming_strings").fetchone() == ("on",)


def test_asyncpg_introspects_and_resets(gateway: RunningGateway) -> None:
    async def main() -> None:
        async with asyncpg.create_pool(
            host="127.0.0.1", port=gateway.port, user="ada", password=PASSWORDS["ada"], database=gateway.database,
            min_size=1, max_size=2,
        ) as pool:  # fmt: skip
            for _ in range(3):
                async with pool.acquire() as connection:
                    assert await connection.fetchval("SELECT count(*) FROM products WHERE product_id = ANY($1)", [1, 2])
                    assert await connection.fetchrow("SELECT ROW(1, 'x') AS r, ARRAY[1,2] AS a, now()")

    asyncio.run(main())


def test_sqlalchemy_reflects_and_queries(gateway: RunningGateway) -> None:
    engine = sqlalchemy.create_engine(
        f"postgresql+psycopg://ada:{PASSWORDS['ada']}@127.0.0.1:{gateway.port}/{gateway.database}"
    )
    metadata = sqlalchemy.MetaData()
    metadata.reflect(engine)
    assert {"customers", "orders", "order_items", "products"} <= set(metadata.tables)
    orders = metadata.tables["orders"]
    assert [column.name for column in orders.primary_key] == ["order_id"]
    assert {key.column.table.name for key in orders.foreign_keys} >= {"customers", "stores"}
    with engine.connect() as connection:
        query = sqlalchemy.select(sqlalchemy.func.count()).select_from(orders)
        assert connection.execute(query).scalar_one() > 1000
    inspector = sqlalchemy.inspect(engine)
    assert inspector.get_table_comment("orders")["text"]
    assert inspector.get_indexes("orders")
    assert "public" in inspector.get_schema_names()
    engine.dispose()


def test_copy_to_stdout_is_under_the_policy(gateway: RunningGateway) -> None:
    emails = gateway.psql("-c", "COPY (SELECT email FROM customers LIMIT 5) TO STDOUT").stdout.splitlines()
    assert len(emails) == 5
    assert all("*" in email for email in emails)
    table = gateway.psql("-c", "COPY customers TO STDOUT", user="emil")
    assert table.returncode == 0, table.stderr
    assert 0 < len(table.stdout.splitlines()) < int(gateway.psql("-Atc", "SELECT count(*) FROM customers").stdout)
    assert gateway.psql("-c", "COPY customers FROM STDIN", stdin="1\n").returncode == 1


def test_sql_prepare_and_execute_are_admitted(gateway: RunningGateway) -> None:
    typed = "PREPARE p (int) AS SELECT name FROM customers WHERE customer_id = $1;\nEXECUTE p(1);\nDEALLOCATE p;\n"
    done = gateway.psql("-At", stdin=typed)
    assert done.stderr == ""
    done = gateway.psql("-At", stdin="PREPARE p AS DELETE FROM customers;\n")
    assert "read only" in done.stderr or "DELETE" in done.stderr
