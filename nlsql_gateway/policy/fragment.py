"""Fragment: the condition of a row filter, parsed once when the policy is loaded.

It is spliced into people's statements, so it must mean the same whatever stands around it. Tables in its sub-queries
are written with their schema: a CTE cannot stand in for them. Columns of the filtered table get the table's name in
front of them, and every bare column must be in the catalog: then no column of the query around it can take its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nlsql_gateway.errors import GatewayError
from nlsql_gateway.policy.literals import literal
from nlsql_gateway.policy.nodes import strange
from nlsql_gateway.policy.values import Attribute
from nlsql_gateway.sql import Kind, Statement, classify
from nlsql_gateway.sql.grammar import Node, scan
from nlsql_gateway.sql.quoting import identifier
from nlsql_gateway.sql.statement import Batch
from nlsql_gateway.sql.survey import ColumnUse, survey

PERSON = "person"
_BEFORE = "SELECT FROM t WHERE ("
_AFTER = "\n)"  # the newline ends a comment behind the condition


@dataclass(frozen=True, slots=True)
class _Attribute:
    name: str


@dataclass(frozen=True, slots=True)
class _Table:
    """Where the name of the filtered table goes."""


@dataclass(frozen=True, slots=True)
class Fragment:
    text: str
    "As written in the policy."
    parts: tuple[str | _Attribute | _Table, ...]
    attributes: frozenset[str]
    "The person's attributes that it needs."
    columns: frozenset[str]
    "Columns that the filtered table must have."
    bare: frozenset[str]
    "Columns written without a table in its sub-queries: one of ``relations`` must have each."
    relations: tuple[tuple[str, str], ...]
    "(schema, name) of every table in its sub-queries, repeated as often as written."
    functions: tuple[str, ...]

    def render(self, called: str, attributes: Mapping[str, Attribute]) -> str | None:
        """The condition for a table called ``called``; None when the person lacks an attribute that it needs."""
        if not self.attributes <= attributes.keys():
            return None
        return "".join(
            part
            if isinstance(part, str)
            else literal(attributes[part.name])
            if isinstance(part, _Attribute)
            else identifier(called)
            for part in self.parts
        )


def parse(text: str, tables: frozenset[str]) -> Fragment:
    """The condition ``text`` of a row filter on tables with these names. Raises ValueError with what is wrong."""
    statement = _parsed(text)
    found = survey(statement.node)
    if refused := strange(found.keys):
        raise ValueError(f"not allowed in a condition: {refused}")
    if unclear := next((text for text in _constants(statement.node) if _UNCLEAR_DATE.match(text)), None):
        raise ValueError(f"{unclear}: write dates as 2024-01-31; a client could set DateStyle to read it otherwise")
    nested = _nested(statement.node)
    inner = [use for use in found.tables if use.location in nested]
    if any(not use.schema for use in inner):
        raise ValueError("write tables in sub-queries with their schema: public.regions")
    if hidden := tables & {use.called for use in found.relations if use.location in nested}:
        raise ValueError(f"give {', '.join(sorted(hidden))} in the sub-query an alias of its own")
    columns = [_read(use, use.location in nested, tables) for use in found.columns]
    return Fragment(
        text=text,
        parts=tuple(_parts(text, columns)),
        attributes=frozenset(column.attribute for column in columns if column.attribute),
        columns=frozenset(column.own for column in columns if column.own),
        bare=frozenset(column.bare for column in columns if column.bare),
        relations=tuple((use.schema, use.name) for use in inner),
        functions=tuple(use.written for use in found.functions),
    )


_UNCLEAR_DATE: Final = re.compile(r"\s*\d{1,2}\s*[/.-]\s*\d{1,2}\s*[/.-]\s*\d+")


def _constants(item: Any) -> Iterator[str]:
    if isinstance(item, list):
        for child in item:
            yield from _constants(child)
    elif isinstance(item, dict):
        if "sval" in item and isinstance(item["sval"], dict):
            yield item["sval"].get("sval", "")
        for value in item.values():
            yield from _constants(value)


@dataclass(frozen=True, slots=True)
class _Column:
    start: int
    "Byte offset in the condition."
    names: int
    "How many names are written, dots between them."
    attribute: str = ""
    own: str = ""
    bare: str = ""


def _parsed(text: str) -> Statement:
    try:
        batch = classify(_BEFORE + text + _AFTER)
    except GatewayError as error:
        raise ValueError(error.message) from error
    if not isinstance(batch, Batch) or [statement.kind for statement in batch.statements] != [Kind.SELECT]:
        raise ValueError("write one condition, such as: region = person.region")
    return batch.statements[0]


def _read(use: ColumnUse, nested: bool, tables: frozenset[str]) -> _Column:
    fields = use.fields
    start = use.location - len(_BEFORE)
    if fields[0] == PERSON and len(fields) == 2:
        return _Column(start, 2, attribute=fields[1])
    if fields[0] in tables and len(fields) == 2:
        return _Column(start, 2, own="" if fields[1] == "*" else fields[1])
    if len(fields) == 1:
        if fields[0] == "*":
            return _Column(start, 0)
        return _Column(start, 1, bare=fields[0]) if nested else _Column(start, 1, own=fields[0])
    if not nested:
        raise ValueError(f"{'.'.join(fields)}: write columns of the table alone, or with the table's name")
    return _Column(start, 0)


def _parts(text: str, columns: list[_Column]) -> Iterator[str | _Attribute | _Table]:
    source = text.encode()
    scanned = scan(text)
    tokens = {token.start: index for index, token in enumerate(scanned)}
    at = 0
    for column in sorted(columns, key=lambda column: column.start):
        first = tokens[column.start]
        if column.attribute:
            yield source[at : column.start].decode()
            yield _Attribute(column.attribute)
            at = scanned[first + 2].end
        elif column.own:
            yield source[at : column.start].decode()
            yield _Table()
            if column.names == 1:
                yield "."
                at = column.start
            else:
                at = scanned[first].end
    yield source[at:].decode()


def _nested(node: Node) -> frozenset[int]:
    """The locations of everything inside sub-queries."""
    locations: set[int] = set()
    for select in _subselects(node):
        found = survey(select)
        locations.update(relation.location for relation in found.relations)
        locations.update(column.location for column in found.columns)
    return frozenset(locations)


def _subselects(item: Any) -> Iterator[Node]:
    if isinstance(item, list):
        for child in item:
            yield from _subselects(child)
    elif isinstance(item, dict):
        for key, value in item.items():
            if key == "subselect":
                yield value
            else:
                yield from _subselects(value)
