"""What words mean in a database, as its people say it: frozen values. ``semantics_loading.py`` makes them from YAML.

docs/semantics.md is the manual of the file. ``Meanings`` are those of one database; what of them concerns a question is
found by ``semantics_hints.relevant``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from nlsql_gateway.sql.catalog import Catalog, Column, Relation

Name = tuple[str, ...]
"""A name as written: (table,), (table, column), (schema, table) or (schema, table, column)."""
Side = tuple[Name, str]
"""A table and one of its columns."""
Type = Literal["text", "integer", "number", "date", "boolean"]


@dataclass(frozen=True, slots=True)
class Uses:
    """What a piece of SQL names: somebody who does not see all of it is told nothing of it."""

    tables: tuple[Name, ...] = ()
    columns: tuple[Name, ...] = ()
    "(column,) in any of the tables; or with its table before it."


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    sql: str
    "An expression."
    uses: Uses
    description: str = ""
    also: tuple[str, ...] = ()
    "Other words for it."


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition that holds unless the question says otherwise."""

    condition: str
    uses: Uses
    unless: tuple[str, ...] = ()
    "Words that say otherwise."


@dataclass(frozen=True, slots=True)
class Term:
    name: str
    meaning: str
    tables: tuple[Name, ...] = ()
    "Whoever does not see these is not told."


@dataclass(frozen=True, slots=True)
class Parameter:
    type: Type = "text"
    values: tuple[str, ...] = ()
    "The only ones that it may have; empty: any."


@dataclass(frozen=True, slots=True)
class Verified:
    """A question whose SQL somebody has looked at."""

    wordings: tuple[str, ...]
    "The question first, then other ways to say it; {name} stands for a parameter."
    sql: str
    ":name stands for the value of a parameter."
    parameters: Mapping[str, Parameter]
    by: str
    on: date
    line: int = field(default=0, compare=False)
    "Where it stands in the file."


@dataclass(frozen=True, slots=True)
class Meanings:
    """Of one database."""

    synonyms: Mapping[str, tuple[Name, ...]] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    joins: tuple[tuple[tuple[Side, Side], ...], ...] = ()
    "Each a way to join two tables: pairs of columns that are equal."
    filters: tuple[Filter, ...] = ()
    glossary: tuple[Term, ...] = ()
    questions: tuple[Verified, ...] = ()


@dataclass(frozen=True, slots=True)
class Semantics:
    version: str = ""
    "SHA-256 of the file; empty: there is none."
    databases: Mapping[str, Meanings] = field(default_factory=dict)

    def of(self, database: str) -> Meanings:
        return self.databases.get(database, NOTHING)


NOTHING = Meanings()


def table(schema: Catalog, name: Name) -> Relation | None:
    """The table that ``name``, (table,) or (schema, table), is for somebody who sees ``schema``."""
    if len(name) > 2:
        return None
    return schema.resolve(name[0] if len(name) == 2 else None, name[-1])


def found(schema: Catalog, name: Name) -> tuple[Relation, Column | None] | None:
    """What ``name`` stands for: a table, or a column with its table. None: nothing that can be seen."""
    relation = table(schema, name)
    if relation is not None:
        return relation, None
    relation = table(schema, name[:-1]) if len(name) > 1 else None
    column = relation.column(name[-1]) if relation is not None else None
    return (relation, column) if relation is not None and column is not None else None


def seen(schema: Catalog, uses: Uses) -> bool:
    """Whether all that is named can be seen."""
    tables = [table(schema, name) for name in uses.tables]
    if None in tables:
        return False
    known = {column.name for relation in tables if relation is not None for column in relation.columns}
    return all(
        name[0] in known if len(name) == 1 else (place := found(schema, name)) is not None and place[1] is not None
        for name in uses.columns
    )
