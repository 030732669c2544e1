"""The values by which a query orders its rows, made visible. Pure.

Two rows with equal keys may come in either order; nothing in the rows themselves tells which ones those are.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError


@dataclass(frozen=True, slots=True)
class Keyed:
    sql: str
    "The query with its keys as further columns behind its own; '' when they cannot be written so."
    keys: int
    "How many."


def with_order_keys(sql: str) -> Keyed | None:
    """``sql`` with its order keys selected too; None when it has no ORDER BY of its own."""
    try:
        tree = sqlglot.parse_one(sql, dialect="postgres")
    except (SqlglotError, RecursionError):
        return None
    while isinstance(tree, exp.Subquery) and tree.args.get("order") is None:
        tree = tree.this
    order = tree.args.get("order")
    if order is None:
        return None
    if not isinstance(tree, exp.Select):
        return Keyed("", 0)
    selected = list(tree.expressions)
    keys = [_key(ordered.this, selected) for ordered in order.expressions]
    if any(key is None for key in keys):
        return Keyed("", 0)
    for number, key in enumerate(keys):
        assert key is not None
        tree = tree.select(exp.alias_(key.copy(), f"order_key_{number}"), copy=False)
    return Keyed(tree.sql(dialect="postgres", normalize_functions=False), len(keys))


def _key(key: exp.Expr, selected: list[exp.Expr]) -> exp.Expr | None:
    """What orders: an output column by its number or name stands for its expression (PostgreSQL manual, SELECT)."""
    if isinstance(key, exp.Literal) and not key.is_string:
        place = int(key.name) - 1
        if place >= len(selected) or any(item.is_star for item in selected[: place + 1]):
            return None
        return selected[place].unalias()
    if isinstance(key, exp.Column) and not key.table:
        name = _folded(key.this)
        for item in selected:
            if isinstance(item, exp.Alias) and name == _folded(item.args["alias"]):
                return _expr(item.this)
    return key


def _folded(name: exp.Identifier) -> str:
    """As the server knows it: names without quotes are lower case (PostgreSQL manual, 4.1.1)."""
    return str(name.name if name.quoted else name.name.lower())


def _expr(value: object) -> exp.Expr:
    assert isinstance(value, exp.Expr)
    return value
