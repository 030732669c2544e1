"""Schemas as the gateway sees them: read by its own catalog reading from a PostgreSQL that has them.

Each database of a source becomes a schema of one server's database, so that the catalog is read once for thousands of
them; in the Catalog that a prompt is written from its tables stand in ``public``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.server.catalog_reading import read
from nlsql_gateway.sql.catalog import Catalog, Column, ForeignKey, Relation
from nlsql_gateway.training.prepare_layout import Split, lines

SEARCH_PATH = ("pg_catalog", "public")
BATCH = 500
"""Schemas in one catalog reading."""


@dataclass(frozen=True, slots=True)
class Database:
    id: str
    source: str
    split: Split
    ddl: str
    relations: tuple[Relation, ...]
    contents: str = ""
    "An SQL script with its tables and rows, as a member of an archive: ``archive.tar.gz:member``; empty: none."
    rows: str = ""
    "A script that fills the tables of ``ddl``; of made-up databases."

    @property
    def catalog(self) -> Catalog:
        relations = {relation.key: relation for relation in self.relations}
        return Catalog(self.id, "", 180000, SEARCH_PATH, relations)


def read_catalogs(schemas: Mapping[str, str]) -> tuple[dict[str, tuple[Relation, ...]], dict[str, str]]:
    """DDL by database -> its relations, and why it could not be loaded, for those that could not."""
    with (
        TemporaryDirectory(prefix="nlsql-training-") as folder,
        EmbeddedPostgres(Path(folder), durable=False, settings={"max_locks_per_transaction": "1024"}) as server,
    ):
        return asyncio.run(_read_all(server.conninfo(), dict(schemas)))


async def _read_all(
    conninfo: str, schemas: Mapping[str, str]
) -> tuple[dict[str, tuple[Relation, ...]], dict[str, str]]:
    found: dict[str, tuple[Relation, ...]] = {}
    failed: dict[str, str] = {}
    connection = await connect(conninfo)
    try:
        ids = list(schemas)
        for start in range(0, len(ids), BATCH):
            names = {f"d{number}": one for number, one in enumerate(ids[start : start + BATCH])}
            for name, one in names.items():
                try:
                    await connection.execute(f"CREATE SCHEMA {name}; SET search_path TO {name}; {schemas[one]}")
                except asyncpg.PostgresError as error:
                    failed[one] = str(error)
            catalog = (await read(connection, None)).catalog
            for name, one in names.items():
                if one not in failed:
                    found[one] = _of_schema(name, catalog)
                await connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
    finally:
        await connection.close()
    return found, failed


async def connect(conninfo: str) -> asyncpg.Connection:
    """From a libpq connection string as EmbeddedPostgres gives it."""
    parts = dict(part.split("=", 1) for part in conninfo.split())
    return await asyncpg.connect(
        host=parts["host"],
        port=int(parts["port"]),
        user=parts["user"].strip("'"),
        password=parts.get("password", "").strip("'"),
        database=parts["dbname"].strip("'"),
        ssl=False,
    )


def _of_schema(name: str, catalog: Catalog) -> tuple[Relation, ...]:
    relations = [relation for key, relation in sorted(catalog.relations.items()) if key[0] == name]
    return tuple(
        replace(
            relation,
            schema="public",
            estimated_rows=-1,
            foreign_keys=tuple(replace(key, target=("public", key.target[1])) for key in relation.foreign_keys),
        )
        for relation in relations
        if relation.kind != "sequence"
    )


def as_row(database: Database) -> dict[str, Any]:
    return asdict(database)


def databases_in(path: Path) -> dict[str, Database]:
    """The databases of a file that a step wrote, by id; none where there is no such file."""
    if not path.exists():
        return {}
    found = (_database(row) for row in lines(path))
    return {database.id: database for database in found}


def _database(row: dict[str, Any]) -> Database:
    return Database(**{**row, "relations": tuple(_relation(one) for one in row["relations"])})


def _relation(row: dict[str, Any]) -> Relation:
    columns = tuple(Column(**{**one, "values": tuple(one["values"])}) for one in row["columns"])
    keys = tuple(
        ForeignKey(tuple(one["columns"]), _key(one["target"]), tuple(one["target_columns"]))
        for one in row["foreign_keys"]
    )
    parents = tuple(_key(one) for one in row["parents"])
    return Relation(
        **{
            **row,
            "columns": columns,
            "foreign_keys": keys,
            "parents": parents,
            "primary_key": tuple(row["primary_key"]),
        }
    )


def _key(names: Sequence[str]) -> tuple[str, str]:
    schema, name = names
    return (schema, name)


def tables_of(relations: Iterable[Relation]) -> list[str]:
    return [relation.name for relation in relations]
