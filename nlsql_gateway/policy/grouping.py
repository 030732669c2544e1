"""Helps ``rewrite``: GROUP BY a primary key.

``SELECT c.id, c.name … GROUP BY c.id`` is valid on a table, because the key determines the name (manual, 7.2.3), and
not on the sub-query that stands for the table. The other columns that are used are put into GROUP BY: the groups stay
the same. Where it is not certain whose column a bare name is, nothing is done and the server says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nlsql_gateway.policy.case import Read
from nlsql_gateway.sql.grammar import Node
from nlsql_gateway.sql.quoting import identifier
from nlsql_gateway.sql.survey import Survey, strings, survey


@dataclass(frozen=True, slots=True)
class Addition:
    """Columns to write in front of the first GROUP BY item."""

    location: int
    text: str


def additions(found: Survey, reads: Sequence[Read]) -> Iterator[Addition]:
    """What the statement's GROUP BY clauses need once the restricted ones of ``reads`` are sub-queries."""
    by_location = {read.use.location: read for read in reads}
    for select in found.selects:
        if not all(_grouped(item, select) for item in select.get("groupClause", [{}])):
            continue  # something else than columns
        tables = [by_location.get(location) for location in tables_of(select.get("fromClause", []))]
        for read in tables:
            if read is None or read.access is None or not read.restricted or read.use.renames:
                continue
            if read.access.relation.primary_key:
                others = [other for other in tables if other is not read]
                text = ", ".join(_missing(select, read, others))
                if text:
                    yield Addition(_location(select["groupClause"][0]), f"{text}, ")


def _missing(select: Node, read: Read, others: Sequence[Read | None]) -> list[str]:
    assert read.access is not None
    called, relation = read.use.called, read.access.relation
    merged = frozenset(joined_using(select.get("fromClause", [])))

    def is_own(name: str) -> bool:
        if relation.column(name) is None:
            return False
        return name in merged or all(other is not None and _lacks(other, name) for other in others)

    def column(fields: tuple[str, ...]) -> str | None:
        if len(fields) > 1 and fields[-2] == called:
            return fields[-1]
        return fields[0] if len(fields) == 1 and is_own(fields[0]) else None

    items = [_grouped(item, select) for item in select["groupClause"]]
    everywhere = {column(fields) for item in items if item for fields in item.everywhere}
    anywhere = {column(fields) for item in items if item for fields in item.anywhere}
    if not everywhere.issuperset(relation.primary_key):
        return []
    clauses: Node = {key: select[key] for key in ("targetList", "havingClause", "sortClause") if key in select}
    used = {column(use.fields) for use in survey(clauses).columns}
    wanted = read.access.names if "*" in used else used & read.access.names
    return [
        f"{identifier(called)}.{identifier(shown.name)}"
        for shown, _ in read.access.columns
        if shown.name in wanted - anywhere
    ]


def _lacks(read: Read, name: str) -> bool:
    return read.access is not None and read.access.relation.column(name) is None and not read.use.renames


def tables_of(items: list[Node]) -> Iterator[int]:
    """The locations of a FROM clause's tables; -1 for anything else that has columns."""
    for item in items:
        if "RangeVar" in item:
            yield item["RangeVar"].get("location", 0)
        elif "JoinExpr" in item:
            yield from tables_of([item["JoinExpr"]["larg"], item["JoinExpr"]["rarg"]])
        else:
            yield -1


def joined_using(items: list[Node]) -> Iterator[str]:
    """The columns that USING makes one of several: a bare name that is valid means all of them."""
    for item in items:
        if "JoinExpr" in item:
            join = item["JoinExpr"]
            yield from strings(join.get("usingClause", []))
            yield from joined_using([join["larg"], join["rarg"]])


@dataclass(frozen=True, slots=True)
class _Grouped:
    """The columns of a GROUP BY item, by their names as written."""

    everywhere: frozenset[tuple[str, ...]]
    "In all its grouping sets: only these determine others (parse_agg.c, gset_common)."
    anywhere: frozenset[tuple[str, ...]]
    "In some: NULL in the other sets, so they must not be added to those."


def _grouped(item: Node, select: Node) -> _Grouped | None:
    """None: there is something else than columns in it."""
    if "RowExpr" in item or "GroupingSet" in item:
        ((tag, body),) = item.items()
        inner = [_grouped(child, select) for child in body.get("args", body.get("content", []))]
        known = [one for one in inner if one is not None]
        if len(known) < len(inner):
            return None
        everywhere = [one.everywhere for one in known]
        anywhere = frozenset[tuple[str, ...]]().union(*(one.anywhere for one in known))
        if tag == "RowExpr":
            return _Grouped(frozenset[tuple[str, ...]]().union(*everywhere), anywhere)
        common = everywhere[0].intersection(*everywhere) if body.get("kind") == "GROUPING_SET_SETS" else frozenset()
        return _Grouped(common, anywhere)
    fields = _fields(item, select)
    return _Grouped(frozenset({fields}), frozenset({fields})) if fields else None


def _fields(item: Node, select: Node) -> tuple[str, ...]:
    """The names of a GROUP BY item that is a column, or the ordinal of one; () for anything else."""
    number = item.get("A_Const", {}).get("ival", {}).get("ival")
    targets = select.get("targetList", [])
    if number is not None and 0 < number <= len(targets):
        item = targets[number - 1]["ResTarget"].get("val", {})
        return strings(item["ColumnRef"]["fields"]) if "ColumnRef" in item else ("",)
    return strings(item["ColumnRef"]["fields"]) if "ColumnRef" in item else ()


def _location(item: Node) -> int:
    ((_, body),) = item.items()
    location: int = body.get("location", 0)
    return location
