"""asyncpg: everything prepared and binary, a pool with its reset, cursors, timeouts, COPY."""

from __future__ import annotations

import asyncio
import io

import asyncpg
import pytest

from tests.e2e.harness import PASSWORDS, RunningGateway


async def connect(gateway: RunningGateway) -> asyncpg.Connection:
    return await asyncpg.connect(
        host="127.0.0.1", port=gateway.port, user="ada", password=PASSWORDS["ada"], database=gateway.database
    )


def test_a_governed_session(governed: RunningGateway) -> None:
    async def main() -> None:
        connection = await connect(governed)
        try:
            rows = await connection.fetch("SELECT email, signed_up_on FROM customers WHERE region_id = $1 LIMIT 5", 1)
            assert len(rows) == 5
            assert all("***@***" in row["email"] for row in rows)
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch("SELECT salary FROM employees WHERE employee_id = $1", 1)
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                await connection.execute("DELETE FROM customers WHERE customer_id = $1", 1)
            with pytest.raises(TimeoutError):
                await connection.fetch("SELECT count(*) FROM order_items a, order_items b, order_items c", timeout=0.3)
            assert await connection.fetchval("SELECT $1::int[]", [1, 2]) == [1, 2]
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                cursor = connection.cursor("SELECT product_id FROM products ORDER BY 1 LIMIT 30", prefetch=7)
                assert len([row async for row in cursor]) == 30
            out = io.BytesIO()
            await connection.copy_from_query("SELECT email FROM customers LIMIT $1", 3, output=out)
            assert out.getvalue().count(b"***@***") == 3
            await connection.reset()
            assert await connection.fetchval("SHOW default_transaction_read_only") == "on"
        finally:
            await connection.close()

    asyncio.run(main())


def test_an_open_session(passing: RunningGateway, table: str) -> None:
    async def main() -> None:
        connection = await connect(passing)
        try:
            await connection.executemany("INSERT INTO things VALUES ($1, $2)", [(n, "x") for n in range(200, 500)])
            copied = await connection.copy_records_to_table("things", records=[(n, "y") for n in range(600, 700)])
            assert copied == "COPY 100"
            assert await connection.fetchval("SELECT count(*) FROM things") == 500
            heard: asyncio.Queue[str] = asyncio.Queue()
            await connection.add_listener("news", lambda *event: heard.put_nowait(event[3]))
            await connection.execute("NOTIFY news, 'hello'")
            async with asyncio.timeout(20):
                assert await heard.get() == "hello"
            await connection.execute("CREATE TYPE pair AS (a int, b text)")
            assert await connection.fetchval("SELECT ROW(1, 'x')::pair") == (1, "x")
            await connection.execute("DROP TYPE pair")
        finally:
            await connection.close()

    asyncio.run(main())
