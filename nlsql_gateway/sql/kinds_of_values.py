"""What kind of value an expression of a SELECT gives, as far as a catalog tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sqlglot import exp

from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.names import Outline, fold, mentions, outline_of

ValueKind = Literal["integer", "text", "date", "timestamp", "interval", ""]
KindOf = Callable[[exp.Expr], ValueKind]

_INTEGERS = frozenset({"smallint", "integer", "bigint"})
_CAST_INTEGERS = frozenset({exp.DataType.Type.INT, exp.DataType.Type.BIGINT, exp.DataType.Type.SMALLINT})
_MAX_DEPTH = 8
"""Sub-queries within sub-queries that are followed."""


def kinds_of(tree: exp.Query, catalog: Catalog) -> KindOf:
    """The kind of the expressions of ``tree``, which must not change while it is asked.

    ``sum`` of integers is taken for an integer though Postgres gives numeric for bigint: a cast too many does no harm.
    Raises StatementError.
    """
    known = column_kinds(outline_of(tree, catalog), catalog)
    columns = {id(column): known.get(index, "") for index, column in enumerate(mentions(tree))}
    named: dict[str, exp.Expr] = {}
    for alias in tree.find_all(exp.Alias):
        named.setdefault(fold(alias.args["alias"]), alias.this)

    def kind(value: exp.Expr, depth: int = 0) -> ValueKind:
        if depth > _MAX_DEPTH:
            return ""
        match value:
            case exp.Literal():
                return "text" if value.is_string else ("integer" if value.is_int else "")
            case exp.Count() | exp.Length() | exp.RowNumber():
                return "integer"
            case (
                exp.Paren() | exp.Sum() | exp.Max() | exp.Min() | exp.Neg() | exp.Abs() | exp.Filter() | exp.Distinct()
            ):
                inner = value.expressions[0] if isinstance(value, exp.Distinct) else value.this
                return kind(inner, depth + 1)
            case exp.Avg():
                return "interval" if kind(value.this, depth + 1) == "interval" else ""
            case exp.Window():
                return kind(value.this, depth + 1)
            case exp.CurrentTimestamp():
                return "timestamp"
            case exp.Add() | exp.Sub() | exp.Mul() | exp.Div() | exp.Mod():
                sides = {kind(value.this, depth + 1), kind(value.expression, depth + 1)}
                if isinstance(value, exp.Sub) and "timestamp" in sides and sides <= {"timestamp", "date"}:
                    return "interval"
                return "integer" if sides == {"integer"} else ""
            case exp.Case():
                branches = [branch.args["true"] for branch in value.args["ifs"]]
                branches += [value.args["default"]] if value.args.get("default") is not None else []
                kinds = {kind(branch, depth + 1) for branch in branches if not isinstance(branch, exp.Null)}
                return "integer" if kinds == {"integer"} else ""
            case exp.Coalesce() | exp.Nullif():
                return kind(value.this, depth + 1)
            case exp.Cast():
                return "integer" if value.to.this in _CAST_INTEGERS else ""
            case exp.Subquery() if isinstance(value.this, exp.Select) and len(value.this.selects) == 1:
                return kind(value.this.selects[0].unalias(), depth + 1)
            case exp.Column():
                found = columns.get(id(value), "")
                if not found and fold(value.this) in named and named[fold(value.this)] is not value:
                    return kind(named[fold(value.this)], depth + 1)
                return found
        return ""

    return kind


def column_kinds(names: Outline, catalog: Catalog) -> dict[int, ValueKind]:
    """Index of a mention -> the kind of the one column that it means; mentions of others are left out."""
    found: dict[int, ValueKind] = {}
    for scope in names.scopes:
        for use in scope.uses:
            sources = [source for source in (*scope.sources, *scope.outer) if use.table in ("", source.alias)]
            for source in sources:
                relation = catalog.relations.get(source.relation) if source.relation is not None else None
                column = relation.column(use.column) if relation is not None else None
                if column is not None:
                    found[use.index] = kind_of_type(column.type)
                    break
    return found


def kind_of_type(type_name: str) -> ValueKind:
    bare = type_name.split("(")[0].strip()
    if bare in _INTEGERS:
        return "integer"
    if bare in ("text", "character varying", "character", "citext", "name"):
        return "text"
    if bare.startswith("timestamp"):
        return "timestamp"
    return "date" if bare == "date" else ""
