"""Texts of an answer, met with the values of a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from nlsql_gateway.ask import Rows
from nlsql_gateway.ask.grounding import MAX_LOOKS, ground
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.ask.shop import catalog, table

PLACES = catalog(
    table("lakes", "id integer, name text, state text, country text, area numeric"),
    table("shops", "id integer, owner text, kind text, city text"),
)
DATA = """
create table lakes (id int, name text, state text, country text, area numeric);
insert into lakes values (1, 'Lake Ontario', 'New York', 'USA', 5), (2, 'Lake Erie', 'Ohio', 'USA', 6),
  (3, '100%_pure', 'Maine', 'USA', 7);
create table shops (id int, owner text, kind text, city text);
insert into shops values (1, 'O''Neil', 'Bakery', 'york'), (2, 'Ann\\b', 'Butcher', 'York');
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(Path(tmp_path_factory.mktemp("grounding")), auth="trust", durable=False) as postgres:
        yield postgres


def grounded(server: EmbeddedPostgres, sql: str) -> tuple[str, tuple[str, ...], int]:
    """The text, what was not found, and how many looks it took."""
    looks = 0

    async def main() -> tuple[str, tuple[str, ...], int]:
        connection = await asyncpg.connect(
            host=server.host, port=server.port, user=server.superuser, database="postgres"
        )

        async def look(text: str) -> Rows | None:
            nonlocal looks
            looks += 1
            return [tuple(row) for row in await connection.fetch(text)]

        try:
            await connection.execute(f"begin; {DATA}")
            found = await ground(sql, PLACES, look)
            await connection.fetch(found.sql)
            return found.sql, found.unmet, looks
        finally:
            await connection.close()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("sql", "met"),
    [
        # as it is stored
        ("SELECT id FROM lakes WHERE state = 'new york'", "SELECT id FROM lakes WHERE state = 'New York'"),
        (
            "SELECT id FROM lakes WHERE state IN ('ohio', 'Maine')",
            "SELECT id FROM lakes WHERE state IN ('Ohio', 'Maine')",
        ),
        ("SELECT id FROM shops WHERE owner = 'o''neil'", "SELECT id FROM shops WHERE owner = 'O''Neil'"),
        # within a value
        ("SELECT id FROM lakes WHERE name = 'Ontario'", "SELECT id FROM lakes WHERE name ILIKE '%Ontario%'"),
        (
            "SELECT id FROM lakes WHERE lower(name) = 'ontario'",
            "SELECT id FROM lakes WHERE LOWER(name) ILIKE '%ontario%'",
        ),
        ("SELECT id FROM lakes WHERE name <> 'Ontario'", "SELECT id FROM lakes WHERE NOT name ILIKE '%Ontario%'"),
        # a value of another column, and of that one only
        ("SELECT l.id FROM lakes l WHERE l.country = 'ohio'", "SELECT l.id FROM lakes AS l WHERE l.state = 'Ohio'"),
    ],
)
def test_put_right(server: EmbeddedPostgres, sql: str, met: str) -> None:
    text, unmet, _ = grounded(server, sql)
    assert text == met
    assert not unmet


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM lakes  WHERE state = 'New York'",
        "SELECT id FROM lakes WHERE lower(state) = 'new york'",
        "SELECT id FROM shops WHERE city = 'york'",  # there, though another case is there too
        "SELECT id FROM shops WHERE owner = E'Ann\\\\b'",
        "SELECT id FROM lakes WHERE name = '100%_pure'",  # marks of LIKE are not looked for
        "SELECT id FROM lakes WHERE area > 5",
    ],
)
def test_left_as_it_is(server: EmbeddedPostgres, sql: str) -> None:
    text, unmet, _ = grounded(server, sql)
    assert text == sql
    assert not unmet


def test_what_is_nowhere_is_said(server: EmbeddedPostgres) -> None:
    text, unmet, looks = grounded(server, "SELECT id FROM lakes WHERE state = 'Atlantis'")
    assert text == "SELECT id FROM lakes WHERE state = 'Atlantis'"
    assert unmet == ("Atlantis",)
    assert looks == 2


def test_looks_are_bounded(server: EmbeddedPostgres) -> None:
    many = ", ".join(f"'state {number}'" for number in range(3 * MAX_LOOKS))
    _, unmet, looks = grounded(server, f"SELECT id FROM lakes WHERE state IN ({many})")
    assert len(unmet) == looks == MAX_LOOKS


def test_what_may_not_be_looked_at_stays() -> None:
    async def look(_: str) -> Rows | None:
        return None

    found = asyncio.run(ground("SELECT id FROM lakes WHERE state = 'ohio'", PLACES, look))
    assert (found.sql, found.met, found.unmet) == ("SELECT id FROM lakes WHERE state = 'ohio'", 0, ())


def test_what_cannot_be_read_stays() -> None:
    async def look(_: str) -> Rows | None:
        raise AssertionError

    assert asyncio.run(ground("SELECT FROM", PLACES, look)).sql == "SELECT FROM"
