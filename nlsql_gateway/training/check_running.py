"""The databases that golds are run on: one PostgreSQL, a schema for each database while its golds are run."""

from __future__ import annotations

import secrets
import tarfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from nlsql_gateway.ask.vocabulary import Place, Vocabulary
from nlsql_gateway.ask.vocabulary_reading import Source, Statistic, read
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.evaluation.tables import Table, table
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.training.check_contents import batches, contents
from nlsql_gateway.training.prepare_catalogs import Database, connect

MOST_ROWS: Final = 5000
SECONDS: Final = 10
READER: Final = "reader"
SCHEMA: Final = "public"
MOST_BYTES: Final = 8 * 1024 * 1024
"""Of a vocabulary, as for one person at a gateway."""
SETTINGS: Final = {"max_locks_per_transaction": "1024", "statement_timeout": f"{SECONDS * 1000}"}


@dataclass(frozen=True, slots=True)
class Failure:
    why: str


class Golds:
    """Runs golds on one database at a time, as a user that may read its tables and nothing else."""

    def __init__(self, server: EmbeddedPostgres, owner: asyncpg.Connection, reader: asyncpg.Connection) -> None:
        self._server = server
        self._owner = owner
        self._reader = reader

    async def load(self, database: Database, golds: Iterable[str], seed: int) -> None:
        """Put ``database`` in the place of the one before, with its own rows or generated ones.

        Raises UpstreamError: its script does not run.
        """
        await self._owner.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")
        opening = f"SET search_path TO {SCHEMA};\n"
        if database.contents or database.rows:
            script = _member(database.contents) if database.contents else f"{database.ddl}\n{database.rows}".encode()
            self._server.load([opening.encode(), script], "postgres")
        else:
            await self._fill(opening + database.ddl, database, golds, seed)
        await self._owner.execute(
            f"GRANT USAGE ON SCHEMA {SCHEMA} TO {READER}; GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {READER}"
        )

    async def _fill(self, ddl: str, database: Database, golds: Iterable[str], seed: int) -> None:
        try:
            await self._owner.execute(ddl)
        except asyncpg.PostgresError as error:
            raise UpstreamError(f"{database.id}: {error}") from error
        # Foreign keys are triggers (manual, "session_replication_role"): rows come in any order, some without partner.
        await self._owner.execute("SET session_replication_role TO replica")
        for rows in batches(list(contents(database.catalog, golds, seed))).values():
            try:
                await self._owner.execute(";".join(rows))  # one transaction
            except (asyncpg.PostgresError, OverflowError):
                for row in rows:
                    try:
                        await self._owner.execute(row)
                    except asyncpg.PostgresError:  # a constant that is no value of the column, a key that is there
                        continue
        await self._owner.execute("SET session_replication_role TO origin")

    async def vocabulary(self, catalog: Catalog) -> Vocabulary:
        """The values of the database that is loaded, as the gateway reads them."""

        async def look(sql: str) -> Sequence[Sequence[object]] | None:
            found = await self.run(sql)
            return None if isinstance(found, Failure) else found.rows

        async def no_statistics(_: Sequence[Place]) -> Sequence[Statistic]:
            return ()  # nothing was analysed

        shown = {key: [column.name for column in relation.columns] for key, relation in catalog.relations.items()}
        return await read(catalog, Source(look, no_statistics, shown, whole=()), MOST_BYTES)

    async def run(self, sql: str) -> Table | Failure:
        """Its rows, at most MOST_ROWS, or why there are none."""
        try:
            async with self._reader.transaction(readonly=True):
                statement = await self._reader.prepare(sql)
                width = len(statement.get_attributes())
                rows = await (await statement.cursor()).fetch(MOST_ROWS + 1)
        except asyncpg.QueryCanceledError:
            return Failure("it takes too long")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, OverflowError) as error:
            return Failure(f"it does not run: {type(error).__name__}")
        if len(rows) > MOST_ROWS:
            return Failure("it gives very many rows")
        return table(width, [tuple(row) for row in rows])


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Golds]:
    """A PostgreSQL in ``folder`` for as long as this is open."""
    with EmbeddedPostgres(folder, durable=False, settings=SETTINGS) as server:
        owner = await connect(server.conninfo())
        try:
            password = secrets.token_hex(16)
            await owner.execute(
                f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; DROP ROLE IF EXISTS {READER};"
                f"CREATE ROLE {READER} LOGIN PASSWORD '{password}'; ALTER ROLE {READER} SET search_path TO {SCHEMA}"
            )
            reader = await connect(server.conninfo(user=READER, password=password))
            try:
                yield Golds(server, owner, reader)
            finally:
                await reader.close()
        finally:
            await owner.close()


def _member(place: str) -> bytes:
    archive, _, name = place.rpartition(":")
    with tarfile.open(archive) as opened:
        file = opened.extractfile(name)
        assert file is not None  # prepare listed files
        return file.read()
