"""The gateway's own connections to the upstream: the catalog, EXPLAIN, and the service role's powers.

Clients' statements do not come here; they go through ``connect.py`` and ``relay.py``. These connections are few, made
when first needed, and read only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from nlsql_gateway.config import Upstream
from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.server.catalog_reading import Picture, read
from nlsql_gateway.server.probe import Role, probe
from nlsql_gateway.server.service_login import STATEMENT_TIMEOUT, connect_arguments, translated
from nlsql_gateway.sql import Catalog

__all__ = ["Databases", "Role", "UpstreamDatabase", "probe"]

MAX_CONNECTIONS: Final = 3
"""Of one database: a catalog is read while questions are explained."""

_PATIENCE = STATEMENT_TIMEOUT + 5.0
"""Seconds, kept by us, for a server that does not keep its own."""

_CLOSING = 5.0


class Databases:
    """All upstream databases that clients named, each with its connections. Bound to one event loop."""

    def __init__(
        self,
        upstream: Upstream,
        password: str | None,
        search_path: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``search_path``: as the policy pins it; None leaves the role's own. Raises ConfigError for a certificate."""
        self._upstream = upstream
        self._arguments = connect_arguments(upstream, password, search_path)
        self._monotonic = monotonic
        self._databases: dict[str, UpstreamDatabase] = {}

    def get(self, name: str) -> UpstreamDatabase:
        """The database ``name``; nothing is connected yet."""
        database = self._databases.get(name)
        if database is None:
            database = UpstreamDatabase(self._upstream, {**self._arguments, "database": name}, self._monotonic)
            self._databases[name] = database
        return database

    async def aclose(self) -> None:
        for database in self._databases.values():
            await database.aclose()
        self._databases.clear()


class UpstreamDatabase:
    """One database behind us; what ``admission.Database`` asks for."""

    def __init__(self, upstream: Upstream, arguments: Mapping[str, Any], monotonic: Callable[[], float]) -> None:
        """``arguments``: asyncpg's, the database among them. ``Databases.get`` makes these."""
        self._upstream = upstream
        self._arguments = arguments
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
        """The picture of the last reading; None when there is none or ``upstream.catalog_refresh`` has passed."""
        if self._picture is None or self._monotonic() - self._read_at >= self._upstream.catalog_refresh:
            return None
        return self._picture.catalog

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
                self._picture = await read(connection, self._picture)
        except UpstreamError as failure:
            self._failure = failure
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
                # Extended protocol: one statement, no more.
                prepared = await connection.prepare(f"EXPLAIN (COSTS OFF) {sql}")
                if prepared.get_parameters():
                    raise UpstreamError("there is no parameter $1", sqlstate="42P02")
                await prepared.fetch()
            finally:
                if not connection.is_closed():
                    await transaction.rollback()

    async def aclose(self) -> None:
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
                        min_size=0, max_size=MAX_CONNECTIONS, command_timeout=_PATIENCE, **self._arguments
                    )
            async with self._pool.acquire(timeout=self._upstream.connect_timeout + _PATIENCE) as connection:
                yield connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise translated(error, self._upstream) from error
