"""The gateway's own connections to the upstream: the catalog, EXPLAIN, and the service role's powers.

Clients' statements do not come here; they go through ``connect.py`` and ``relay.py``. These connections are few, made
when first needed, and read only.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg
import structlog

from nlsql_gateway.ask import Place, Statistic
from nlsql_gateway.config import Upstream
from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.server.catalog_reading import Picture, read
from nlsql_gateway.server.probe import Role, probe
from nlsql_gateway.server.service_login import ERRORS, STATEMENT_TIMEOUT, ServiceLogin, translated
from nlsql_gateway.sql import Catalog

__all__ = ["Databases", "Role", "UpstreamDatabase", "probe"]

LOOKED_AT: Final = 200
"Rows of a query of ours on a person's behalf; further ones are not fetched."
MAX_CONNECTIONS: Final = 3
"""Of one database: a catalog is read while questions are explained."""

MOST_COMMON: Final = 500
"Values that statistics give of one column."

# Of a partitioned table, or one with children, what holds for all of it comes first (manual, 52.28). The values are an
# anyarray, which is read by way of its text.
_STATISTICS: Final = f"""
SELECT DISTINCT ON (1, 2, 3) s.schemaname::text, s.tablename::text, s.attname::text, s.n_distinct::float8,
    coalesce((s.most_common_vals::text::text[])[1:{MOST_COMMON}], '{{}}')
FROM pg_catalog.pg_stats s JOIN unnest($1::text[], $2::text[], $3::text[]) AS w (s, t, c)
    ON s.schemaname::text = w.s AND s.tablename::text = w.t AND s.attname::text = w.c
ORDER BY 1, 2, 3, s.inherited DESC"""

_PATIENCE = STATEMENT_TIMEOUT + 5.0
"""Seconds, kept by us, for a server that does not keep its own."""

_CLOSING = 5.0

_PAUSE = 1.0
"""Seconds from a failed reading in the background to the next."""


class Databases:
    """All upstream databases that clients named, each with its connections. Bound to one event loop."""

    def __init__(
        self,
        upstream: Upstream,
        password: str | None,
        search_path: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        log: structlog.stdlib.BoundLogger | None = None,
    ) -> None:
        """``search_path``: as the policy pins it; None leaves the role's own. Raises ConfigError for a certificate."""
        self.tasks: asyncio.TaskGroup | None = None
        "Where pictures that age are read again, while it lasts; set it before ``get``."
        self._login = ServiceLogin(upstream, password, search_path)
        self._monotonic = monotonic
        self._log = log
        self._databases: dict[str, UpstreamDatabase] = {}

    def get(self, name: str) -> UpstreamDatabase:
        """The database ``name``; nothing is connected yet."""
        database = self._databases.get(name)
        if database is None:
            database = UpstreamDatabase(self._login, name, self._monotonic, self._log)
            database.tasks = self.tasks
            self._databases[name] = database
        return database

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """While this lasts, pictures that age are read again in the background; at its end all is closed."""
        failure: BaseException | None = None
        async with asyncio.TaskGroup() as tasks:
            self.tasks = tasks
            try:
                yield
            except BaseException as error:  # noqa: BLE001 - as it is, not in the group of a TaskGroup
                failure = error
            finally:
                self.tasks = None
                await self.aclose()
        if failure is not None:
            raise failure

    async def aclose(self) -> None:
        for database in self._databases.values():
            await database.aclose()
        self._databases.clear()


class UpstreamDatabase:
    """One database behind us; what ``admission.Database`` asks for."""

    def __init__(
        self,
        login: ServiceLogin,
        name: str,
        monotonic: Callable[[], float],
        log: structlog.stdlib.BoundLogger | None,
    ) -> None:
        """``Databases.get`` makes these."""
        self.tasks: asyncio.TaskGroup | None = None
        "Where a picture that ages is read again; None: who needs a new one waits for it."
        self._upstream = login.upstream
        self._log = log
        self._background: asyncio.Task[None] | None = None
        self._login = login
        self._name = name
        self._monotonic = monotonic
        self._opening = asyncio.Lock()
        self._pool: asyncpg.Pool | None = None
        self._reading = asyncio.Lock()
        self._begun = 0
        "How many readings have begun."
        self._ended = 0
        "The number of the newest reading that ended, with a picture or a failure."
        self._failure: UpstreamError | None = None
        "Of that reading."
        self._picture: Picture | None = None
        self._read_at = 0.0

    def catalog(self) -> Catalog | None:
        """The picture of the last reading; None when there is none or it is too old.

        When ``upstream.catalog_refresh`` has passed it is read again in the background, and serves on meanwhile, for as
        long again: nobody's statement waits.
        """
        if self._picture is None:
            return None
        age, bound = self._monotonic() - self._read_at, self._upstream.catalog_refresh
        if age >= (bound if self.tasks is None else 2 * bound):
            return None
        if age >= bound and self.tasks is not None and self._background is None:
            self._background = self.tasks.create_task(self._refresh_later())
        return self._picture.catalog

    async def _refresh_later(self) -> None:
        try:
            await self.refresh()
        except UpstreamError:
            await asyncio.sleep(_PAUSE)  # logged; a server that is gone is not asked for each statement
        finally:
            self._background = None

    async def refresh(self) -> Catalog:
        """Read the picture again; the same object as before when nothing changed. Raises UpstreamError.

        Callers that wait together share one reading, its failure too: behind a host that does not answer nobody waits
        for more than two. Nobody gets one that began before the call: what was created before it is in the picture.
        """
        begun = self._begun
        async with self._reading:
            if self._ended <= begun:
                await self._read()
            if self._failure is not None:
                failure = self._failure
                raise UpstreamError(failure.message, hint=failure.hint, sqlstate=failure.sqlstate) from failure
            assert self._picture is not None
            return self._picture.catalog

    async def _read(self) -> None:
        """One reading, into ``_picture`` or ``_failure``. Cancelled, it counts for nothing: the next caller reads."""
        self._begun += 1
        number = self._begun
        try:
            async with self._connection() as connection:
                started = self._monotonic()
                self._picture = await read(connection, self._picture, self._login.opens_with)
        except UpstreamError as failure:
            self._failure = failure
            if self._log is not None:
                self._log.warning("catalog not read", problem=failure.message, detail=failure.detail)
        else:
            self._failure, self._read_at = None, started
        self._ended = number

    async def explain(self, sql: str) -> None:
        """Let the server plan the one statement ``sql``, in a read-only transaction that is rolled back.

        Raises UpstreamError: with PostgreSQL's message, hint and SQLSTATE when it refuses the statement.
        """
        async with self._connection() as connection:
            transaction = connection.transaction(readonly=True)
            await transaction.start()
            try:
                if self._login.opens_with:
                    await connection.execute(self._login.opens_with)
                # Extended protocol: one statement, no more. Unnamed: behind a pooler a name could be another's.
                prepared = await connection.prepare(f"EXPLAIN (COSTS OFF) {sql}", name="")
                if prepared.get_parameters():
                    raise UpstreamError("there is no parameter $1", sqlstate="42P02")
                await prepared.fetch()
            finally:
                if not connection.is_closed():
                    await transaction.rollback()

    async def look(self, sql: str, seconds: float, rows: int | None = None) -> list[tuple[object, ...]]:
        """The first ``rows``, else LOOKED_AT, of the one query ``sql``, in a read-only transaction that is rolled back.

        Raises UpstreamError, as ``explain``; with 57014 when it takes longer than ``seconds``.
        """
        async with self._connection() as connection:
            transaction = connection.transaction(readonly=True)
            await transaction.start()
            try:
                if self._login.opens_with:
                    await connection.execute(self._login.opens_with)
                await connection.execute(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}")
                prepared = await connection.prepare(sql, name="")
                cursor = await prepared.cursor()
                return [tuple(row) for row in await cursor.fetch(rows or LOOKED_AT)]
            finally:
                if not connection.is_closed():
                    await transaction.rollback()

    async def statistics(self, places: Sequence[Place]) -> list[Statistic]:
        """What pg_stats has of columns of text, in one query: the most common values, at most MOST_COMMON of each.

        Raises UpstreamError.
        """
        names = [[key[0] for key, _ in places], [key[1] for key, _ in places], [column for _, column in places]]
        async with self._connection() as connection, connection.transaction(readonly=True):
            if self._login.opens_with:
                await connection.execute(self._login.opens_with)
            prepared = await connection.prepare(_STATISTICS, name="")
            rows = await prepared.fetch(*names)
        return [
            Statistic(((schema, table), column), distinct, tuple(common))
            for schema, table, column, distinct, common in rows
        ]

    async def cost(self, sql: str) -> float:
        """The planner's total cost of the one query ``sql``: of its generic plan when it has parameters.

        Raises UpstreamError, as ``explain``.
        """
        async with self._connection() as connection:
            transaction = connection.transaction(readonly=True)
            await transaction.start()
            name = f"nlsql_gateway_{uuid.uuid4().hex}"
            named = False
            try:
                if self._login.opens_with:
                    await connection.execute(self._login.opens_with)
                parameters = (await connection.prepare(sql, name="")).get_parameters()
                if parameters:  # EXPLAIN (GENERIC_PLAN) is newer than the oldest server that we know (manual, PREPARE)
                    await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
                    named = True
                    await connection.execute(f"PREPARE {name} AS {sql}")
                    sql = f"EXECUTE {name} ({', '.join(['NULL'] * len(parameters))})"
                prepared = await connection.prepare(f"EXPLAIN (FORMAT JSON) {sql}", name="")
                plan = json.loads(await prepared.fetchval())
                return float(plan[0]["Plan"]["Total Cost"])
            finally:
                if not connection.is_closed():
                    await transaction.rollback()
                    if named:
                        with suppress(asyncpg.PostgresError):  # PREPARE itself may have failed
                            await connection.execute(f"DEALLOCATE {name}")

    async def aclose(self) -> None:
        if self._background is not None:
            self._background.cancel()
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                async with asyncio.timeout(_CLOSING):
                    await pool.close()
            except (TimeoutError, OSError, asyncpg.InterfaceError):
                pool.terminate()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        """A connection from the pool; whatever goes wrong while it is used becomes UpstreamError."""
        try:
            async with self._opening:
                if self._pool is None:
                    self._pool = await asyncpg.create_pool(
                        min_size=0,
                        max_size=MAX_CONNECTIONS,
                        command_timeout=_PATIENCE,
                        database=self._name,
                        connect=self._login.connect,
                        reset=_unchanged,
                    )
            async with self._pool.acquire(timeout=self._upstream.connect_timeout + _PATIENCE) as connection:
                yield connection
        except ERRORS as error:
            raise translated(error, self._upstream.endpoints[0], self._upstream) from error


async def _unchanged(_: object) -> None:
    """Nothing of ours outlives its transaction, so nothing is reset; behind a pooler that could be another's."""
