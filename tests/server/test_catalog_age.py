"""How old a picture of the catalog may be: it is read again in the background, and serves meanwhile, up to a bound."""

from __future__ import annotations

import asyncio

from nlsql_gateway.config import Upstream
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.server.postgres import Databases


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_stale_picture_serves_while_it_is_read_again(postgres: EmbeddedPostgres) -> None:
    async def main() -> None:
        clock = Clock()
        databases = Databases(at(postgres), postgres.password, monotonic=clock)
        async with databases.open():
            database = databases.get("postgres")
            before = await database.refresh()
            clock.now += 59
            assert database.catalog() is before
            assert database._begun == 1
            clock.now += 2
            assert database.catalog() is before, "nobody waits"
            assert database.catalog() is before, "and it is read once, not for each statement"
            assert database._background is not None
            await database._background
            clock.now += 59
            assert database.catalog() is not None
            assert database._begun == 2, "it was read a second ago"
            clock.now += 120
            assert database.catalog() is None, "too old: who needs it waits"

    asyncio.run(main())


def test_a_reading_under_way_ends_with_the_gateway(postgres: EmbeddedPostgres) -> None:
    async def main() -> None:
        clock = Clock()
        databases = Databases(at(postgres), postgres.password, monotonic=clock)
        async with databases.open():
            await databases.get("postgres").refresh()
            clock.now += 61
            assert databases.get("postgres").catalog() is not None

    asyncio.run(main())


def test_a_server_that_is_gone_is_not_asked_for_each_statement(postgres: EmbeddedPostgres) -> None:
    async def main() -> None:
        clock = Clock()
        databases = Databases(at(postgres), postgres.password, monotonic=clock)
        async with databases.open():
            database = databases.get("postgres")
            before = await database.refresh()
            database._login = database._login.__class__(at(postgres, port=1), "", None)
            assert database._pool is not None
            await database._pool.close()
            clock.now += 61
            for _ in range(20):
                assert database.catalog() is before
                await asyncio.sleep(0.01)
            assert database._begun == 2

    asyncio.run(main())


def at(postgres: EmbeddedPostgres, port: int | None = None) -> Upstream:
    return Upstream(host=postgres.host, port=port or postgres.port, user="postgres", catalog_refresh=60.0)
