"""Masks as SQL expressions. Each keeps the column's type, so that clients see the same result description.

A mask that does not fit its column's type hides all of it: NULL. Functions are written with pg_catalog, so that no
search path can put others in their place.
"""

from __future__ import annotations

from nlsql_gateway.policy.literals import string
from nlsql_gateway.policy.model import ColumnMask
from nlsql_gateway.sql import Column

HASH_KEY = "nlsql_gateway.hash_key"
"""The setting that holds the secret of the hash mask. It is pinned at startup and nobody may read it, so the secret
stands neither in the rewritten SQL nor in the audit log. On a connection without it the mask is NULL."""

_TEXT = ("text", "character varying", "character", "citext")
_NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision")
_DATES = ("date", "timestamp")


def null(column: Column) -> str:
    return f"NULL::{column.type}"


def expression(mask: ColumnMask, column: Column, value: str) -> str:
    """What stands in the place of ``column``, whose SQL name is ``value``."""
    match mask.kind:
        case "constant":
            return f"{string(mask.text)}::{column.type}"
        case "partial" if _is(column, _TEXT):
            shown = mask.first + mask.last
            first = f"pg_catalog.left({value}::text, {mask.first}) || " if mask.first else ""
            last = f" || pg_catalog.right({value}::text, {mask.last})" if mask.last else ""
            fill = f"{string(mask.text)}::text"
            masked = f"{first}{fill}{last}"
            if shown:  # a value as short as what is shown would be shown whole
                masked = f"CASE WHEN pg_catalog.length({value}::text) > {shown} THEN {masked} ELSE {fill} END"
            return f"(CASE WHEN {value} IS NOT NULL THEN {masked} END)::{column.type}"
        case "hash" if _is(column, _TEXT):
            keyed = f"pg_catalog.current_setting({string(HASH_KEY)}, true) || {value}::text"
            return f"pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to({keyed}, 'UTF8')), 'hex')::{column.type}"
        case "year" if _is(column, _DATES):
            return f"pg_catalog.date_trunc('year', {value})::{column.type}"
        case "round" if _is(column, _NUMBERS):
            return f"(pg_catalog.trunc({value}::numeric / {mask.step}) * {mask.step})::{column.type}"
        case _:
            return null(column)


def fits(mask: ColumnMask, column: Column) -> bool:
    """Whether the mask does more to the column than to hide all of it."""
    return mask.kind == "null" or expression(mask, column, "x") != null(column)


def _is(column: Column, types: tuple[str, ...]) -> bool:
    return column.type.startswith(types) and not column.type.endswith("[]")
