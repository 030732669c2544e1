"""Pass: columns that may be read in aggregates only (``aggregate_only``), each over a smallest number of rows.

Such a column is not in the sub-query that stands for its table, as if it were hidden, except in a query block that
names it in nothing but aggregates that the policy allows. There ``rewrite`` adds to HAVING that a group counts the
least number of rows. What is counted are rows of the table itself, by where they are stored: a join or a function that
repeats rows could reach any number with one of them, or make one outweigh the others, so a group in which a row occurs
twice is left out too. The person's own HAVING is computed on groups that are large enough and on no others.

The aggregate's argument must be the column itself, or a cast that cannot fail: any expression could single out a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from nlsql_gateway.policy.case import Block, Case, Read
from nlsql_gateway.policy.decision import Deny, Reason
from nlsql_gateway.policy.grouping import tables_of
from nlsql_gateway.policy.model import ROW
from nlsql_gateway.policy.words import hinted
from nlsql_gateway.sql.grammar import Node
from nlsql_gateway.sql.quoting import identifier
from nlsql_gateway.sql.survey import ColumnUse, strings, survey

_STORED: Final = frozenset({"table", "partitioned table", "materialized view"})
"""Kinds of relations whose rows have a ctid (manual, 5.6 "System Columns")."""

_PLAIN_CALL: Final = frozenset({"funcname", "args", "funcformat", "location"})
"""What there is of a call without FILTER, DISTINCT, ORDER BY, WITHIN GROUP, OVER, VARIADIC and *."""

_NUMBERS: Final = {"smallint": 1, "integer": 2, "bigint": 3, "numeric": 4, "real": 5, "double precision": 6}
_WIDER: Final = {"int4": {1, 2}, "int8": {1, 2, 3}, "numeric": {1, 2, 3, 4}, "float8": {1, 2, 3, 5, 6}}
"""Casts that no value fails."""


def check_aggregates(case: Case) -> Case | Deny:
    protected = {read.use.location: read for read in case.reads if read.access is not None and read.access.aggregates}
    if not protected:
        return case
    selects: list[tuple[Node, list[Read]]] = []
    for select in case.survey.selects:
        reads = [protected[at] for at in tables_of(select["fromClause"]) if at in protected]
        if reads:
            selects.append((select, reads))
    approved: dict[int, tuple[Read, str]] = {}
    aliases: set[int] = set()
    for select, reads in selects:
        approved.update(_approved(case, select, reads))
        aliases.update(_output_names(select))
    blocks: list[Block] = []
    for select, reads in selects:
        columns = survey(select).columns
        for use in columns:
            if use.location not in approved and use.location not in aliases and (found := _owner(use.fields, reads)):
                return _denied(case, use, found)
        own = {location: approved[location] for location in _own(select) if location in approved}
        used = {
            read.use.location: (read, frozenset(name for other, name in own.values() if other is read))
            for read, _ in own.values()
        }
        if used:
            refused = _exposed(case, select, columns, [read for read, _ in used.values()])
            if refused is not None:
                return refused
            blocks.append(
                Block(select, tuple((read, _check(case, select, read, names)) for read, names in used.values()))
            )
    grouped = {read.use.location for block in blocks for read, _ in block.checks}
    return replace(
        case,
        reads=tuple(replace(read, grouped=read.use.location in grouped) for read in case.reads),
        blocks=tuple(blocks),
    )


def _approved(case: Case, select: Node, reads: Sequence[Read]) -> Iterator[tuple[int, tuple[Read, str]]]:
    """The locations of columns that are the whole argument of an aggregate that the policy allows for them."""
    for call in _calls(select):
        name = strings(call["funcname"])
        arguments = call.get("args", [])
        functions = case.catalog.functions.get(name[-1], ())
        if (
            not call.keys() <= _PLAIN_CALL
            or len(arguments) != 1
            or name[:-1] not in ((), ("pg_catalog",))
            or any(function.schema != "pg_catalog" or function.kind != "aggregate" for function in functions)
        ):
            continue
        node, target = arguments[0], ""
        if "TypeCast" in node:
            target = _plain_type(node["TypeCast"]["typeName"])
            node = node["TypeCast"]["arg"]
            if not target:
                continue
        if "ColumnRef" not in node:
            continue
        fields = strings(node["ColumnRef"]["fields"])
        owners = [read for read in reads if not read.use.renames and _names(fields, read)]
        if len(owners) != 1 or owners[0].access is None:
            continue
        for rule in owners[0].access.aggregates:
            fits = not target or _NUMBERS.get(rule.column.type.partition("(")[0], 0) in _WIDER[target]
            if rule.column.name == fields[-1] and name[-1] in rule.functions and fits:
                yield node["ColumnRef"].get("location", 0), (owners[0], fields[-1])


def _plain_type(name: Node) -> str:
    """The type's own name if it is one of those that casts may name, without modifiers."""
    names = strings(name.get("names", []))
    plain = (
        names[:-1] == ("pg_catalog",) and names[-1] in _WIDER and not name.keys() & {"typmods", "arrayBounds", "setof"}
    )
    return names[-1] if plain else ""


def _clauses(select: Node) -> list[Any]:
    return [select.get("targetList", []), select.get("havingClause", {}), select.get("sortClause", [])]


def _inside(item: Any) -> Iterator[tuple[str, Node]]:
    """(kind, node) of everything in the clauses of a query, its sub-queries excepted."""
    stack = [item]
    while stack:
        at = stack.pop()
        if isinstance(at, list):
            stack.extend(at)
        elif isinstance(at, dict):
            for key, value in at.items():
                if key != "SubLink" and isinstance(value, dict | list):
                    if isinstance(value, dict):
                        yield key, value
                    stack.append(value)


def _calls(select: Node) -> Iterator[Node]:
    return (node for kind, node in _inside(_clauses(select)) if kind == "FuncCall")


def _own(select: Node) -> Iterator[int]:
    """The locations of the columns in the clauses that may have aggregates."""
    return (node.get("location", 0) for kind, node in _inside(_clauses(select)) if kind == "ColumnRef")


def _output_names(select: Node) -> Iterator[int]:
    """ORDER BY finds output columns first (manual, "SELECT"): their names, where nothing else stands in the item."""
    named = {item["ResTarget"].get("name") for item in select.get("targetList", [])}
    for item in select.get("sortClause", []):
        reference = item["SortBy"]["node"].get("ColumnRef", {})
        fields = strings(reference.get("fields", []))
        if len(fields) == 1 and fields[0] in named:
            yield reference.get("location", 0)


def _names(fields: tuple[str, ...], read: Read) -> bool:
    """Whether this could be one of the columns of ``read`` that are for aggregates only."""
    assert read.access is not None
    known = any(rule.column.name == fields[-1] for rule in read.access.aggregates)
    return known and (len(fields) == 1 or fields[-2] == read.use.called)


def _owner(fields: tuple[str, ...], reads: Sequence[Read]) -> Read | None:
    return next((read for read in reads if _names(fields, read)), None)


def _exposed(case: Case, select: Node, columns: Sequence[ColumnUse], reads: Sequence[Read]) -> Deny | None:
    """A query block whose tables have these columns in them must not reach them in any other way."""
    if ROW in case.survey.using | case.survey.attributes | {name for use in case.survey.columns for name in use.fields}:
        return case.deny(Reason.UNKNOWN_NAME, f"column {ROW} does not exist", sqlstate="42703")
    for read in reads:
        assert read.access is not None
        if read.access.relation.kind not in _STORED:
            return case.deny(
                Reason.CONSTRUCT,
                f"{read.use.written} has columns for aggregates only, and its rows cannot be counted",
                hint="read the tables behind it",
                location=read.use.location,
            )
    stars = {
        target["val"]["ColumnRef"].get("location", 0)
        for target in (item["ResTarget"] for item in select.get("targetList", []))
        if "ColumnRef" in target.get("val", {})
    }
    called = {read.use.called for read in reads}
    for use in columns:
        alone = use.fields == ("*",) and use.location in stars
        if (
            alone
            or (use.fields[-1] == "*" and use.fields[-2:-1] and use.fields[-2] in called)
            or use.fields[-1] in called
        ):
            return case.deny(
                Reason.CONSTRUCT,
                "a whole row is not allowed beside aggregates of a column that may be read in aggregates only",
                hint="name the columns",
                location=use.location,
            )
    aliased = any(kind == "JoinExpr" and "alias" in node for kind, node in _inside(select["fromClause"]))
    if aliased or not select.get("targetList"):
        return case.deny(
            Reason.CONSTRUCT,
            "this form is not allowed with aggregates of a column that may be read in aggregates only",
            hint="write SELECT aggregates FROM tables, joins without an alias of their own",
        )
    return None


def _check(case: Case, select: Node, read: Read, names: frozenset[str]) -> str:
    """What a group must meet, as SQL."""
    assert read.access is not None
    called = identifier(read.use.called)
    row = f"{called}.{ROW}"
    alone = len(select["fromClause"]) == 1 and "RangeVar" in select["fromClause"][0] and not _repeats(case)
    terms = [] if alone else [f"pg_catalog.count({row}) OPERATOR(pg_catalog.=) pg_catalog.count(DISTINCT {row})"]
    for rule in read.access.aggregates:
        if rule.column.name in names:
            value = f"{called}.{identifier(rule.column.name)}"
            counted = (
                f"pg_catalog.count({value})"
                if alone
                else f"pg_catalog.count(DISTINCT {row}) FILTER (WHERE {value} IS NOT NULL)"
            )
            terms.append(f"{counted} OPERATOR(pg_catalog.>=) {rule.groups_of}")
    return " AND ".join(terms)


def _repeats(case: Case) -> bool:
    """Whether a function could repeat rows: GROUP BY generate_series(1, 5) does."""
    if case.survey.attributes:
        return True
    return any(
        not (known := case.catalog.functions.get(use.name, ())) or any(function.returns_set for function in known)
        for use in case.survey.functions
    )


def _denied(case: Case, use: ColumnUse, read: Read) -> Deny:
    assert read.access is not None
    (rule,) = [rule for rule in read.access.aggregates if rule.column.name == use.fields[-1]]
    functions = ", ".join(f"{name}({use.fields[-1]})" for name in sorted(rule.functions)[:3])
    return case.deny(
        Reason.COLUMN_DENIED,
        f"column {'.'.join(use.fields)} may be read in aggregates only",
        hint=hinted(
            rule.because,
            f"use {functions} over at least {rule.groups_of} rows, without FILTER, DISTINCT, OVER or an expression;"
            " elsewhere name columns with their table",
        ),
        location=use.location,
    )
