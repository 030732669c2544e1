"""One schema on the embedded PostgreSQL and on every other version that is installed: the same picture."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from nlsql_gateway.config import Upstream
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.server.catalog_reading import build, version
from nlsql_gateway.server.postgres import Databases
from nlsql_gateway.sql import Catalog, Function, Relation
from tests.server.debian_postgres import INSTALLED, running

DATABASE = "versions"

SCHEMA = """
CREATE SCHEMA shop;
CREATE TABLE shop.regions (id int PRIMARY KEY, name varchar(20) NOT NULL);
COMMENT ON TABLE shop.regions IS 'Where we sell';
COMMENT ON COLUMN shop.regions.name IS 'In English';
CREATE TABLE shop.sales (
    id bigint GENERATED ALWAYS AS IDENTITY, region int REFERENCES shop.regions, day date NOT NULL,
    net numeric(10,2), gross numeric(12,2) GENERATED ALWAYS AS (net * 1.2) STORED, PRIMARY KEY (id, day)
) PARTITION BY RANGE (day);
CREATE TABLE shop.sales_2026 PARTITION OF shop.sales FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE shop.lines (sale bigint, day date, what text, FOREIGN KEY (sale, day) REFERENCES shop.sales);
CREATE TABLE shop.old (extra int) INHERITS (shop.regions);
CREATE TYPE shop.size AS ENUM ('small', 'it''s large');
ALTER TYPE shop.size ADD VALUE 'middle' BEFORE 'it''s large';
CREATE DOMAIN shop.fit AS shop.size;
CREATE TABLE shop.shirts (
    size shop.size, fit shop.fit, sizes shop.size[],
    colour text CHECK (colour IN ('red', 'o''clock, (blue)')), "Cut, or" varchar(9) CHECK ("Cut, or" IN ('a', 'b')),
    code char(2) CHECK (code IN ('x', 'y') AND code <> 'x'), kind text CHECK (kind IN ('a', 'b') OR length(kind) > 5),
    price int CHECK (price IN (1, 2)), one text CHECK (one = 'only'), state text, CHECK (state IN ('new') OR one = '')
);
CREATE VIEW shop.names WITH (security_barrier) AS SELECT name FROM shop.regions;
CREATE MATERIALIZED VIEW shop.kept AS SELECT name FROM shop.regions;
CREATE FUNCTION shop.peek(int) RETURNS SETOF int LANGUAGE sql SECURITY DEFINER STABLE AS 'SELECT 1';
"""

Picture = tuple[Mapping[tuple[str, str], Relation], Mapping[str, tuple[Function, ...]]]


async def make(port: int, password: str) -> None:
    arguments: dict[str, Any] = {"host": "127.0.0.1", "port": port, "user": "postgres", "password": password}
    connection = await asyncpg.connect(database="postgres", **arguments)
    await connection.execute(f"CREATE DATABASE {DATABASE}")
    await connection.close()
    connection = await asyncpg.connect(database=DATABASE, **arguments)
    await connection.execute(SCHEMA)
    await connection.close()


async def read(port: int, password: str) -> Catalog:
    databases = Databases(Upstream(host="127.0.0.1", port=port, user="postgres"), password)
    try:
        database = databases.get(DATABASE)
        catalog = await database.refresh()
        assert await database.refresh() is catalog
        await database.explain("SELECT * FROM shop.sales JOIN shop.lines ON sale = id")
        return catalog
    finally:
        await databases.aclose()


def ours(catalog: Catalog) -> Picture:
    """What SCHEMA made: the systems' own relations and functions differ from version to version."""
    relations = {key: relation for key, relation in catalog.relations.items() if key[0] == "shop"}
    functions = {name: found for name, found in catalog.functions.items() if found[0].schema == "shop"}
    return relations, functions


@pytest.fixture(scope="module")
def embedded(postgres: EmbeddedPostgres) -> Catalog:
    asyncio.run(make(postgres.port, postgres.password))
    catalog = asyncio.run(read(postgres.port, postgres.password))
    postgres.execute(f"DROP DATABASE {DATABASE}")
    return catalog


def test_what_the_schema_made_is_there(embedded: Catalog) -> None:
    relations, functions = ours(embedded)
    assert len(relations) == 9  # with the identity's sequence
    assert list(functions) == ["peek"]
    assert relations["shop", "old"].parents == (("shop", "regions"),)
    assert relations["shop", "sales_2026"].parents == (("shop", "sales"),)


def test_what_a_column_may_hold(embedded: Catalog) -> None:
    shirts = ours(embedded)[0]["shop", "shirts"]
    assert {column.name: column.values for column in shirts.columns if column.values} == {
        "size": ("small", "middle", "it's large"),
        "fit": ("small", "middle", "it's large"),
        "colour": ("red", "o'clock, (blue)"),
        "Cut, or": ("a", "b"),
    }


def test_every_other_version_here_gives_the_same_picture(embedded: Catalog) -> None:
    """A loop, not parameters: where no other is installed there is nothing to skip."""
    for server in INSTALLED:
        with running(server) as port:
            asyncio.run(make(port, ""))
            catalog = asyncio.run(read(port, ""))
        assert catalog.server_version // 10000 == int(server.parts[4])
        assert ours(catalog) == ours(embedded)
        assert catalog.search_path == embedded.search_path
        assert ("pg_catalog", "pg_class") in catalog.relations
        assert catalog.functions["pg_read_file"][0].volatility == "volatile"


def test_a_picture_of_nothing() -> None:
    catalog = build(("empty", 180000, ["pg_catalog"], False), [], [], [], [], [], [])
    assert (catalog.database, catalog.relations, catalog.functions) == ("empty", {}, {})
    assert version(catalog) == catalog.version
    assert version(replace(catalog, search_path=("public",))) != catalog.version


def test_an_estimate_of_zero_was_no_estimate_before_14() -> None:
    table = [(1, "public", "t", "r", "", False)]
    for server_version, rows in ((130000, -1), (140000, 0)):
        catalog = build(("d", server_version, [], False), table, [(1, 0.0)], [], [], [], [])
        assert catalog.relations["public", "t"].estimated_rows == rows
