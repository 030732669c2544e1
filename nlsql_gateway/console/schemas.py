"""The schema browser: the tables and columns that the gateway says this person may see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from nlsql_gateway.console import words
from nlsql_gateway.console.asking import database_of
from nlsql_gateway.console.calls import Call, Problem, page
from nlsql_gateway.errors import UpstreamError

TAB: Final = "schema"
"""Its connection: one for all pages of the schema in a session."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    shown: str
    "as it is, masked, or in aggregates."
    key: str
    description: str


@dataclass(frozen=True, slots=True)
class Table:
    schema: str
    name: str
    kind: str
    is_whole: bool
    "All rows are seen."
    description: str
    columns: list[Column] = field(default_factory=list)

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def first_rows(self) -> str:
        """A statement that shows some."""
        schema, name = (part.replace('"', '""') for part in (self.schema, self.name))
        return f'SELECT *\nFROM "{schema}"."{name}"\nLIMIT 100'


async def schema_page(call: Call) -> Response:
    database = database_of(call)
    wanted = call.query.get("find", "").strip()[:200]
    line = call.site.desk(call.person).line(database, TAB)
    try:
        async with line.busy:
            tables = _tables(await line.visible())
    except UpstreamError as error:
        raise Problem(
            502, words.title(error.sqlstate), f"{error.message}.", error.hint or words.todo(error.sqlstate)
        ) from error
    found = [table for table in tables if _fits(table, wanted.casefold())]
    return call.render("schema.html", database=database, tables=found, count=len(tables), find=wanted)


def _tables(rows: list[tuple[str | None, ...]]) -> list[Table]:
    found: dict[tuple[str, str], Table] = {}
    for row in rows:
        schema, name, kind, row_set, description, *column = (cell or "" for cell in row)
        table = found.setdefault((schema, name), Table(schema, name, kind, row_set == "all", description))
        table.columns.append(Column(*column))
    return list(found.values())


def _fits(table: Table, wanted: str) -> bool:
    texts = (table.full_name, table.description, *(f"{one.name} {one.description}" for one in table.columns))
    return any(wanted in text.casefold() for text in texts)


routes = [page("/d/{database}/schema", schema_page)]
