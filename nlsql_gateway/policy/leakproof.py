"""Which comparisons cannot fail and tell nothing of their arguments but by their result.

All that is named here is marked leakproof in pg_proc of PostgreSQL 15 and 18 (``pg_operator.oprcode``,
``pg_proc.proleakproof``; manual, "CREATE FUNCTION", LEAKPROOF); tests/policy/test_leakproof.py asks the server. Only
operand types for which pg_catalog has an operator of exactly these types, or that it takes without converting anything:
so no conversion, which could fail, comes between.
"""

from __future__ import annotations

import re
from typing import Final

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


def written(type_name: Node) -> str:
    """The type of a cast; '' for one that is not compared here."""
    if type_name.get("arrayBounds") or type_name.get("setof") or type_name.get("pct_type"):
        return ""
    names = strings(type_name.get("names", []))
    return _WRITTEN.get(names[-1], "") if names[:-1] in ((), ("pg_catalog",)) and names else ""


def comparable(left: str, operator: str, right: str) -> bool:
    """Whether pg_catalog's ``operator`` on these types (``plain``, or UNTYPED) is leakproof and converts nothing."""
    if left == UNTYPED:
        left = right
    if right == UNTYPED:
        right = left
    if left not in _FAMILIES or right not in _FAMILIES or operator not in ORDERS:
        return False
    family = _FAMILIES[left] or left
    return family == (_FAMILIES[right] or right) and (family not in _EQUAL_ONLY or operator in _EQUALITY)
