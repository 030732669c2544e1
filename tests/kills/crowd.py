"""A crowd of clients that go on whatever is killed: statements of all kinds, each with a tag that no other has."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final, TypeAlias

import asyncpg

from tests.e2e.harness import PASSWORDS

PATIENCE: Final = 60.0
"""Seconds after which a client that waits for an answer counts as hung."""

LOST: Final = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.ConnectionDoesNotExistError)

Kind: TypeAlias = Callable[[asyncpg.Connection, str], Awaitable[object]]


async def simple(connection: asyncpg.Connection, tag: str) -> None:
    await connection.execute(f"SELECT '{tag}' AS tag, 1 AS one")


async def rewritten(connection: asyncpg.Connection, tag: str) -> None:
    await connection.execute(f"SELECT name, '{tag}' AS tag FROM customers")


async def several(connection: asyncpg.Connection, tag: str) -> None:
    await connection.execute(f"SELECT '{tag}' AS first; SELECT '{tag}' AS second")


async def failing(connection: asyncpg.Connection, tag: str) -> None:
    await connection.execute(f"SELECT '{tag}' AS tag, 1 / (SELECT 0)")


async def refused(connection: asyncpg.Connection, tag: str) -> None:
    await connection.execute(f"DELETE FROM customers WHERE name = '{tag}'")


async def with_parameter(connection: asyncpg.Connection, tag: str) -> None:
    await connection.fetch("SELECT $1::text AS tag, count(*) FROM customers", tag)


async def prepared(connection: asyncpg.Connection, tag: str) -> None:
    statement = await connection.prepare(f"SELECT $1::text AS tag, '{tag[:2]}' AS of, name FROM customers")
    for number in range(3):
        await statement.fetch(f"{tag} {number}")


async def block(connection: asyncpg.Connection, tag: str) -> None:
    async with connection.transaction():
        await simple(connection, tag)


async def cancelled(connection: asyncpg.Connection, tag: str) -> None:
    statement = f"SELECT '{tag}' AS tag, count(*) FROM generate_series(1, 50000000)"
    await connection.execute(statement, timeout=0.02)


async def cut(connection: asyncpg.Connection, tag: str) -> None:
    asyncio.get_running_loop().call_later(0.003, connection.terminate)
    await connection.execute(f"SELECT '{tag}' AS tag, count(*) FROM generate_series(1, 20000)")


async def question(connection: asyncpg.Connection, tag: str) -> None:
    await connection.execute(f"-- ask: how many customers, {tag}")


KINDS: Final[tuple[Kind, ...]] = (
    *(simple, rewritten, several, failing, refused, with_parameter, prepared, block, cancelled, cut, question),
)


@dataclass
class Crowd:
    """Clients of the gateway at ``port``, which may change. What each was told is kept by tag."""

    port: Callable[[], int]
    database: str
    seed: int
    told: dict[str, str] = field(default_factory=dict)
    "ok, the SQLSTATE, timeout, or lost; nothing yet: it is still waited for."
    kinds: dict[str, str] = field(default_factory=dict)
    hung: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    "Statements that succeeded, by kind."
    _stopping: bool = False
    _numbers: Iterator[int] = field(default_factory=count)

    async def run(self, clients: int) -> None:
        """Until ``stop``."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(clients):
                tasks.create_task(self._client(random.Random(f"{self.seed} {number}")))

    def stop(self) -> None:
        self._stopping = True

    async def _client(self, chance: random.Random) -> None:
        while not self._stopping:
            try:
                connection = await asyncpg.connect(
                    host="127.0.0.1", port=self.port(), user="ada", password=PASSWORDS["ada"], ssl=False,
                    database=self.database, timeout=PATIENCE, command_timeout=PATIENCE,
                    server_settings={"application_name": "crowd"},
                )  # fmt: skip
            except (*LOST, asyncpg.PostgresError):
                await asyncio.sleep(0.05)
                continue
            except TimeoutError:
                self.hung.append("a login")
                continue
            try:
                for _ in range(chance.randrange(1, 30)):
                    if self._stopping or connection.is_closed():
                        break
                    await self._one(connection, chance.choice(KINDS))
            finally:
                connection.terminate()

    async def _one(self, connection: asyncpg.Connection, kind: Kind) -> None:
        tag, name = f"t{next(self._numbers)}-", kind.__name__
        self.kinds[tag] = name
        try:
            async with asyncio.timeout(PATIENCE):
                await kind(connection, tag)
        except TimeoutError:
            self.told[tag] = "timeout"
            if kind is not cancelled:
                self.hung.append(tag)
        except LOST:
            self.told[tag] = "lost"
        except AttributeError:
            if not connection.is_closed():  # asyncpg itself, when it learns that between its Parse and its Bind
                raise
            self.told[tag] = "lost"
        except asyncpg.PostgresError as error:
            self.told[tag] = error.sqlstate or "unknown"
        else:
            self.told[tag] = "ok"
            self.done[name] += 1
