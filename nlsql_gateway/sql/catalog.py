"""Catalog: a frozen picture of one database's schemas, relations, columns, types, keys and functions.

``server/postgres.py`` reads it from the upstream; everything here is pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

RelationKind = Literal["table", "partitioned table", "view", "materialized view", "foreign table", "sequence"]
Volatility = Literal["immutable", "stable", "volatile"]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    "As format_type(atttypid, atttypmod) writes it."
    not_null: bool = False
    comment: str = ""
    generated: bool = False
    collated: bool = False
    "It has another collation than the database's (100 in pg_collation), and than C (950) where its type has that."
    values: tuple[str, ...] = ()
    "All that it may hold: the labels of its enumeration, or the texts of a CHECK (column IN (...)); empty: anything."


@dataclass(frozen=True, slots=True)
class ForeignKey:
    columns: tuple[str, ...]
    target: tuple[str, str]
    "(schema, name) of the referenced table."
    target_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    schema: str
    name: str
    kind: RelationKind
    columns: tuple[Column, ...]
    comment: str = ""
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    parents: tuple[tuple[str, str], ...] = ()
    "(schema, name) of the tables this one inherits from or is a partition of, nearest first."
    estimated_rows: int = -1
    "pg_class.reltuples; -1 when never analysed."
    security_invoker: bool = False
    "Views only: the view runs with the caller's rights."

    @property
    def key(self) -> tuple[str, str]:
        return (self.schema, self.name)

    def column(self, name: str) -> Column | None:
        for column in self.columns:  # a generator takes twice as long
            if column.name == name:
                return column
        return None


@dataclass(frozen=True, slots=True)
class Function:
    schema: str
    name: str
    kind: Literal["function", "procedure", "aggregate", "window"]
    volatility: Volatility
    leakproof: bool = False
    security_definer: bool = False
    returns_set: bool = False
    language: str = "internal"


class Memo(dict[Any, Any]):
    """What was worked out from a catalog; a copy that is sent to another process begins anew."""

    def __reduce__(self) -> tuple[type[Memo], tuple[()]]:
        return (Memo, ())


@dataclass(frozen=True, slots=True)
class Catalog:
    """Immutable; ``version`` changes whenever anything in it does."""

    database: str
    version: str
    "A hash over all the rest, hexadecimal."
    server_version: int
    "As server_version_num: 180006."
    search_path: tuple[str, ...]
    "What current_schemas(true) says for the service role: pg_catalog comes first unless named elsewhere."
    relations: Mapping[tuple[str, str], Relation]
    functions: Mapping[str, tuple[Function, ...]] = field(default_factory=dict)
    "By bare name; all overloads in all schemas."
    own_operators: frozenset[str] | None = None
    "Symbols of operators outside pg_catalog that take one of its types: any could be meant. None: not known."
    own_types: frozenset[tuple[str, str]] = frozenset()
    "(schema, name) of the enumerations, domains, ranges and base types outside pg_catalog; rows of tables left out."
    folds_beyond_ascii: bool = False
    "Its encoding has single bytes only: there the server makes other letters of unquoted names small too."
    overlaps: tuple[tuple[tuple[str, str], str, tuple[str, str], str], ...] = ()
    """(relation, column, relation, column): all values of the former are values of the latter, which has each once;
    as seen in one person's data, never read from a server's catalog."""
    memo: Memo = field(init=False, default_factory=Memo, compare=False, repr=False)
    "Of whoever uses it; goes with the catalog."

    def resolve(self, schema: str | None, name: str) -> Relation | None:
        """The relation that Postgres would find: by the schema given, else by the search path. None: no such one."""
        if schema is not None:
            return self.relations.get((schema, name))
        for candidate in self.search_path:
            found = self.relations.get((candidate, name))
            if found is not None:
                return found
        return None
