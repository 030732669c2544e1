"""Visitors: people and BI tools that come, ask and go for a long time; and one that means harm."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import asyncpg

from tests.e2e.harness import PASSWORDS
from tests.kills.crowd import LOST, PATIENCE

CHART: Final = (
    "SELECT date_trunc('month', placed) AS month, region, sum(amount) AS revenue, count(DISTINCT name) AS buyers"
    " FROM orders JOIN customers ON customers.id = orders.customer_id WHERE amount > {n}"
    " GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 1000"
)

STATEMENTS: Final[tuple[tuple[str, str, int], ...]] = (
    ("look-up", "SELECT name, region FROM customers WHERE id = {n}", 40),
    ("count", "SELECT count(*) FROM customers", 10),
    ("chart", CHART, 15),
    ("table", "SELECT * FROM (SELECT * FROM orders WHERE customer_id < {n}) AS virtual_table LIMIT 500", 15),
    ("catalog", "SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2", 5),
    ("refused", "SELECT * FROM salaries WHERE id = {n}", 5),
    ("question", "-- ask: how many customers are there, {n}?", 5),
)
"""Name, text, how often of 95; the other 5 leave without a word."""

TABLES: Final = """
CREATE TABLE customers (id integer PRIMARY KEY, name text, region text);
CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer REFERENCES customers, amount numeric, placed date);
CREATE TABLE salaries (id integer, salary integer);
CREATE TABLE numbers AS SELECT x, repeat('x', 1000) AS word FROM generate_series(1, 100000) x;
INSERT INTO customers SELECT n, 'name ' || n, CASE WHEN n % 3 = 0 THEN 'West' ELSE 'East' END
  FROM generate_series(1, 2000) n;
INSERT INTO orders SELECT n, n % 2000 + 1, n % 700, date '2025-01-01' + n % 365 FROM generate_series(1, 20000) n;
CREATE INDEX ON orders (customer_id);
ANALYZE;
"""


@dataclass
class Times:
    """Seconds that answers took, by kind of statement, since the last ``take``."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    told: Counter[str] = field(default_factory=Counter)
    "ok, SQLSTATE, lost, timeout; of all times."

    def take(self) -> dict[str, list[float]]:
        found, self.seconds = self.seconds, defaultdict(list)
        return found


def percentile(values: list[float], share: float) -> float:
    """In milliseconds; the nearest rank (https://en.wikipedia.org/wiki/Percentile)."""
    ranked = sorted(values)
    return round(ranked[min(len(ranked) - 1, int(share * len(ranked)))] * 1000, 1) if ranked else 0.0


async def connect(port: int, database: str) -> asyncpg.Connection:
    return await asyncpg.connect(
        host="127.0.0.1", port=port, user="ada", password=PASSWORDS["ada"], database=database, ssl=False,
        timeout=PATIENCE, command_timeout=PATIENCE, server_settings={"application_name": "visitor"},
    )  # fmt: skip


async def visit(
    port: int, database: str, chance: random.Random, times: Times, stop: asyncio.Event, pause: float
) -> None:
    """Come and go until ``stop``; between two statements ``pause`` seconds, on average."""
    weights = [weight for *_, weight in STATEMENTS]
    while not stop.is_set():
        try:
            began = time.monotonic()
            connection = await connect(port, database)
            times.seconds["login"].append(time.monotonic() - began)
        except (*LOST, asyncpg.PostgresError, TimeoutError) as error:
            times.told[f"login: {getattr(error, 'sqlstate', None) or type(error).__name__}"] += 1
            await asyncio.sleep(0.2)
            continue
        try:
            for _ in range(chance.randrange(5, 100)):
                await _pause(stop, chance.expovariate(1 / pause))
                if stop.is_set() or connection.is_closed() or chance.random() < 0.005:
                    break  # many leave without a word
                [(kind, text, _)] = chance.choices(STATEMENTS, weights)
                await _one(
                    connection, kind, text.format(n=chance.randrange(1, 700)), times, prepared=chance.random() < 0.5
                )
        finally:
            if chance.random() < 0.5:
                connection.terminate()
            else:
                with suppress(*LOST, asyncpg.PostgresError, TimeoutError):
                    await connection.close(timeout=5)


async def _one(connection: asyncpg.Connection, kind: str, text: str, times: Times, *, prepared: bool) -> None:
    began = time.monotonic()
    try:
        await (connection.fetch(text) if prepared else connection.execute(text))
        times.told["ok"] += 1
    except TimeoutError:
        times.told["timeout"] += 1
    except LOST:
        times.told["lost"] += 1
    except asyncpg.PostgresError as error:
        times.told[error.sqlstate or "unknown"] += 1
    times.seconds[kind].append(time.monotonic() - began)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


# One that means harm, in one way each


async def huge_statements(port: int, database: str, stop: asyncio.Event) -> int:
    """Texts of a megabyte, each another one, so that each is read whole."""
    count = 0
    while not stop.is_set():
        with suppress(*LOST, asyncpg.PostgresError, TimeoutError):
            connection = await connect(port, database)
            try:
                while not stop.is_set():
                    count += 1
                    wanted = " OR ".join(f"id = {count * 100_000 + n}" for n in range(60_000))
                    with suppress(asyncpg.PostgresError):
                        await connection.execute(f"SELECT name FROM customers WHERE {wanted}")
            finally:
                connection.terminate()
    return count


async def slow_reads(port: int, database: str, stop: asyncio.Event) -> int:
    """Results of a hundred megabytes on twenty connections, of which nobody reads more than the beginning."""

    async def one() -> None:
        connection = await connect(port, database)
        asyncio.get_running_loop().call_soon(connection._transport.pause_reading)
        try:
            with suppress(*LOST, asyncpg.PostgresError, TimeoutError):
                await connection.execute("SELECT * FROM numbers")
        finally:
            connection.terminate()

    async with asyncio.TaskGroup() as tasks:
        held = [tasks.create_task(one()) for _ in range(20)]
        await stop.wait()
        for task in held:
            task.cancel()
    return len(held)


async def cancel_floods(port: int, database: str, stop: asyncio.Event) -> int:
    """Cancel requests with keys that nobody has, fifty at a time."""
    request = (16).to_bytes(4) + (80877102).to_bytes(4)
    count = 0

    async def one() -> None:
        nonlocal count
        while not stop.is_set():
            with suppress(OSError, TimeoutError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request + random.randbytes(8))
                async with asyncio.timeout(5):
                    await reader.read()
                writer.close()
                count += 1

    async with asyncio.TaskGroup() as tasks:
        for _ in range(50):
            tasks.create_task(one())
    return count


HARM: Final[dict[str, Callable[[int, str, asyncio.Event], Awaitable[int]]]] = {
    "huge statements": huge_statements,
    "slow reads": slow_reads,
    "floods of cancels": cancel_floods,
}
