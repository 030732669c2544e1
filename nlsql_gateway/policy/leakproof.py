"""Which comparisons cannot fail and tell nothing of their arguments but by their result.

All that is named here is marked leakproof in pg_proc of PostgreSQL 15 and 18 (``pg_operator.oprcode``,
``pg_proc.proleakproof``; manual, "CREATE FUNCTION", LEAKPROOF); tests/policy/test_leakproof.py asks the server. Only
operand types for which pg_catalog has an operator of exactly these types, or that it takes without converting anything:
so no conversion, which could fail, comes between.
"""

from __future__ import annotations

import re
from typing import Final

from nlsql_gateway.sql import Column
from nlsql_gateway.sql.grammar import Node
from nlsql_gateway.sql.survey import strings

UNTYPED: Final = "unknown"
"""A quoted constant: it takes the type of the other side."""

ORDERS: Final = frozenset({"=", "<>", "<", "<=", ">", ">="})
_EQUALITY: Final = frozenset({"=", "<>"})

_FAMILIES: Final = {
    "smallint": "integers",
    "integer": "integers",
    "bigint": "integers",
    "real": "floats",
    "double precision": "floats",
    "text": "texts",
    "character varying": "texts",
    "character": "characters",
    **dict.fromkeys(("boolean", "uuid", "date", "timestamp without time zone", "timestamp with time zone", "interval")),
}
"""Types that are compared with each other, or (None) with themselves alone."""

_EQUAL_ONLY: Final = frozenset({"texts", "characters"})
"""What comes before what is the collation's affair."""

_WRITTEN: Final = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "varchar": "character varying",
    "bpchar": "character",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    **{name: name for name in ("text", "uuid", "date", "interval")},
}
"""What the grammar calls a type -> what format_type() does."""

_MODIFIER: Final = re.compile(r"\(\d+(,-?\d+)?\)")


def plain(kind: str) -> str:
    """A type as format_type() writes it, without its length or precision."""
    return _MODIFIER.sub("", kind)


def comparable_type(column: Column) -> str:
    """``plain``; '' for a generated column, and for a collation of its own: with another's no two texts compare."""
    return "" if column.generated or column.collated else plain(column.type)


def is_constant(node: Node) -> bool:
    """Whether the planner computes it once, rows or none: of literals, and nothing but immutable functions."""
    if "TypeCast" in node:
        return "A_Const" in node["TypeCast"]["arg"]
    if "A_Expr" not in node:
        return "A_Const" in node
    body = node["A_Expr"]
    return (
        strings(body.get("name", [])) in (("+",), ("-",), ("*",))
        and all(is_constant(body[side]) for side in ("lexpr", "rexpr") if side in body)
        and constant_type(node) != ""
    )


def constant_type(node: Node) -> str:
    """Of a constant; '' for one that is not compared here."""
    if "TypeCast" in node:
        return written(node["TypeCast"]["typeName"])
    if "A_Expr" in node:
        left, right = (constant_type(node["A_Expr"].get(side, {})) for side in ("lexpr", "rexpr"))
        return "integer" if left == right == "integer" else ""
    constant = node.get("A_Const", {})
    if "ival" in constant:
        return "integer"
    if "fval" in constant:
        text = constant["fval"].get("fval", "")
        return "bigint" if text.lstrip("-").isdigit() and len(text) < 19 else ""
    if "boolval" in constant:
        return "boolean"
    return UNTYPED if "sval" in constant or constant.get("isnull") else ""


def written(type_name: Node) -> str:
    """The type of a cast; '' for one that is not compared here."""
    if type_name.get("arrayBounds") or type_name.get("setof") or type_name.get("pct_type"):
        return ""
    names = strings(type_name.get("names", []))
    return _WRITTEN.get(names[-1], "") if names[:-1] in ((), ("pg_catalog",)) and names else ""


def family(kind: str) -> str:
    """What types are compared with each other as; '' for a type that is not compared here."""
    return (_FAMILIES[kind] or kind) if kind in _FAMILIES else ""


def simple(kind: str) -> bool:
    """Whether values of this type are compared with each other without fail, leakproof or not."""
    return kind in _FAMILIES or kind == "numeric"


def comparable(left: str, operator: str, right: str) -> bool:
    """Whether pg_catalog's ``operator`` on these types (``plain``, or UNTYPED) is leakproof and converts nothing."""
    if left == UNTYPED:
        left = right
    if right == UNTYPED:
        right = left
    if left not in _FAMILIES or right not in _FAMILIES or operator not in ORDERS:
        return False
    return family(left) == family(right) and (family(left) not in _EQUAL_ONLY or operator in _EQUALITY)
