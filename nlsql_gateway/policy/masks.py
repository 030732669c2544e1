"""Masks as SQL expressions. Each keeps the column's type, so that clients see the same result description.

A mask that does not fit its column's type hides all of it: NULL. Functions are written with pg_catalog, so that no
search path can put others in their place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, time
from decimal import Decimal, InvalidOperation
from itertools import pairwise

from nlsql_gateway.policy.literals import string
from nlsql_gateway.policy.model import Bound, ColumnMask
from nlsql_gateway.sql import Column

HASH_KEY = "nlsql_gateway.hash_key"
"""The setting that holds the secret of the hash mask. It is pinned at startup and nobody may read it, so the secret
stands neither in the rewritten SQL nor in the audit log. On a connection without it the mask is NULL."""

_TEXT = ("text", "character varying", "character", "citext")
_NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision")
_DATES = ("date", "timestamp without time zone", "timestamp with time zone")
_WIDTHS = {"smallint": 16, "integer": 32, "bigint": 64}
_FLOATS = {"real": 37, "double precision": 300}
"""Powers of ten that fit: less is an underflow, which is an error too."""
_LIMITS = re.compile(r"numeric\((\d+)(?:,\s*(-?\d+))?\)")


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
            # Not in the client's time zone: by shifting that a client could find the moment out.
            zone = ", 'UTC'" if column.type.endswith("with time zone") else ""
            return f"pg_catalog.date_trunc('year', {value}{zone})::{column.type}"
        case "round" if _is(column, _NUMBERS):
            return f"(pg_catalog.trunc({value}::numeric / {mask.step}) * {mask.step})::{column.type}"
        case "bucket":
            return _bucket(mask, column, value) or null(column)
        case _:
            return null(column)


def fits(mask: ColumnMask, column: Column) -> bool:
    """Whether the mask does more to the column than to hide all of it."""
    return mask.kind == "null" or expression(mask, column, "x") != null(column)


def bounds(texts: Sequence[str]) -> tuple[Bound, ...]:
    """The bounds of a bucket mask as the policy file writes them. Raises ValueError."""
    found: list[Decimal] | list[datetime]
    try:
        found = [Decimal(text) for text in texts]
    except InvalidOperation:
        try:
            found = [datetime.fromisoformat(text) for text in texts]
        except ValueError:
            raise ValueError("write bounds that are all numbers, or all dates such as 2020-01-31") from None
        if any(bound.tzinfo is not None for bound in found):
            raise ValueError("write bounds without a time zone; they are in UTC") from None
    if any(isinstance(bound, Decimal) and not (bound.is_finite() and len(f"{bound:e}") < 28) for bound in found):
        raise ValueError("write bounds of at most 20 digits")
    if any(isinstance(bound, Decimal) and bound and abs(bound.adjusted()) > 300 for bound in found):
        raise ValueError("write bounds between 1e-300 and 1e300")
    if any(not low < high for low, high in pairwise(found)):  # type: ignore[operator]  # all of one type
        raise ValueError("write bounds in ascending order, each once")
    return tuple(found)


def _bucket(mask: ColumnMask, column: Column, value: str) -> str:
    """Empty: the mask does not fit. NaN and infinity are greater than every bound, -infinity is less."""
    shown = [_bound(bound, column) for bound in mask.bounds]
    if None in shown:
        return ""
    cases = [f"WHEN {value} >= {bound} THEN {bound}" for bound in reversed(shown) if bound]
    return f"(CASE {' '.join(cases)} END)::{column.type}" if cases else ""


def _bound(bound: Bound, column: Column) -> str | None:
    """The bound as a constant of the column's type; empty: no value reaches it; None: it does not fit the type.

    The server computes constants before it looks at rows, so each must be one that the type can hold.
    """
    base = _base(column)
    if isinstance(bound, datetime):
        if base == "date":
            return f"'{bound.date().isoformat()}'::date" if bound == datetime.combine(bound.date(), time()) else None
        if base == "timestamp without time zone":
            return f"'{bound.isoformat(' ')}'::{base}"
        # with its zone, so that the client's TimeZone cannot move it
        return f"'{bound.isoformat(' ')}+00'::{base}" if base == "timestamp with time zone" else None
    if base in _WIDTHS:
        if bound != bound.to_integral_value():
            return None
        least = -(2 ** (_WIDTHS[base] - 1))
        return None if bound < least else "" if bound >= -least else f"'{int(bound)}'::{base}"
    if base == "numeric":
        limits = _LIMITS.fullmatch(column.type)
        if limits is None:
            return f"'{bound:f}'::numeric"
        precision, scale = int(limits[1]), int(limits[2] or 0)
        room = Decimal(10) ** (precision - scale)
        if bound <= -room or bound % Decimal(10) ** -scale:
            return None
        return "" if bound >= room else f"'{bound:f}'::numeric"
    if base in _FLOATS:
        return f"'{bound:f}'::{base}" if not bound or abs(bound.adjusted()) < _FLOATS[base] else None
    return None


def _is(column: Column, types: tuple[str, ...]) -> bool:
    return _base(column) in types


def _base(column: Column) -> str:
    """The type without its modifiers: timestamp(3) without time zone -> timestamp without time zone."""
    return re.sub(r"\(.*?\)", "", column.type)
