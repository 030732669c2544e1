"""Where an encoding has single bytes only, the server may make letters beyond ASCII small; libpg_query does not."""

from __future__ import annotations

import asyncio

import asyncpg

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.policy import Allow, Deny, Reason, decide, load
from nlsql_gateway.server.catalog_reading import read
from nlsql_gateway.sql import Batch, Catalog, classify

POLICY = load('version: 1\nname: t\nusers: {x: {roles: r}}\nroles: {r: {read: "public.*"}}\n', "t")


async def catalog_of(server: EmbeddedPostgres, database: str) -> Catalog:
    connection = await asyncpg.connect(
        host=server.host, port=server.port, user=server.superuser, password=server.password, database=database
    )
    try:
        await connection.execute('CREATE TABLE "Ärzte" ("Änr" integer)')
        return (await read(connection, None)).catalog
    finally:
        await connection.close()


def decided(sql: str, catalog: Catalog) -> Allow | Deny:
    batch = classify(sql)
    assert isinstance(batch, Batch)
    return decide(batch.statements[0], POLICY.principal("x"), catalog, POLICY)


def test_unquoted_letters_beyond_ascii(postgres: EmbeddedPostgres) -> None:
    for name, encoding in (("latin_names", "LATIN1"), ("utf_names", "UTF8")):
        postgres.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
        try:
            catalog = asyncio.run(catalog_of(postgres, name))
        finally:
            postgres.execute(f"DROP DATABASE {name}")
        single = encoding == "LATIN1"
        assert catalog.folds_beyond_ascii is single
        for sql in ("SELECT 1 FROM Ärzte", 'SELECT Änr FROM "Ärzte"', "SELECT 1 AS Ä", "SELECT Ä()"):
            found = decided(sql, catalog)
            assert (isinstance(found, Deny) and found.reason is Reason.NOT_UNDERSTOOD) is single, found
        for sql in ('SELECT "Änr" FROM "Ärzte"', "SELECT 'Ä', $$Ä$$, 1 AS größe -- Ä", "SELECT E'Ä' AS \"Ä\""):
            assert isinstance(decided(sql, catalog), Allow)
