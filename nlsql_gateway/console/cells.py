"""Cells: values as PostgreSQL writes them, and what kind of thing a column holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

import asyncpg

Kind = Literal["number", "time", "boolean", "text"]

KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(("int2", "int4", "int8", "float4", "float8", "numeric", "oid"), "number"),
    **dict.fromkeys(("date", "timestamp", "timestamptz"), "time"),
    "bool": "boolean",
}
"""By the name of the type; all others hold text."""

TEXTS: Final = (
    "bit", "bool", "box", "bpchar", "bytea", "char", "cidr", "circle", "date", "float4", "float8", "inet", "int2",
    "int4", "int8", "interval", "json", "jsonb", "jsonpath", "line", "lseg", "macaddr", "macaddr8", "money", "name",
    "numeric", "oid", "path", "pg_lsn", "point", "polygon", "regclass", "regproc", "regrole", "regtype", "text", "tid",
    "time", "timestamp", "timestamptz", "timetz", "tsquery", "tsvector", "uuid", "varbit", "varchar", "xid", "xml",
)  # fmt: skip
"""Types whose values are taken as the text that the server makes of them, so that nothing is lost on the way: dates
before our era, infinity, intervals of months, all digits of a number."""


async def as_text(connection: asyncpg.Connection, *, undo: bool = False) -> None:
    """Have values come as texts, or again as the driver reads them. Nothing is asked of the server."""
    for name in TEXTS:
        if undo:
            await connection.reset_type_codec(name, schema="pg_catalog")
            continue
        await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=str, format="text")


def written(value: Any) -> str | None:
    """A value as the server would write it; None: null."""
    match value:
        case None | str():
            return value
        case bool():
            return "t" if value else "f"
        case bytes():
            return f"\\x{value.hex()}"
        case asyncpg.Record():
            return f"({','.join(_field(part) for part in value.values())})"
        case tuple():  # a row without a type of its own
            return f"({','.join(map(_field, value))})"
        case list():
            return f"{{{','.join(_element(part) for part in value)}}}"
        case asyncpg.Range():
            return _range(value)
    return str(value)


def size(row: Iterable[str | None]) -> int:
    """About how many bytes of memory a row takes."""
    return 56 + sum(8 if cell is None else 57 + len(cell) for cell in row)


def _element(value: Any) -> str:
    """Of an array (PostgreSQL manual, 8.15.6)."""
    if value is None:
        return "NULL"
    text = written(value) or ""
    if isinstance(value, list):
        return text
    is_plain = text and text.upper() != "NULL" and not any(c in '{},"\\' or c.isspace() for c in text)
    return text if is_plain else _quoted(text)


def _field(value: Any) -> str:
    """Of a row (PostgreSQL manual, 8.16.6)."""
    if value is None:
        return ""
    text = written(value) or ""
    return text if text and not any(c in '(),"\\' or c.isspace() for c in text) else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _range(value: asyncpg.Range) -> str:
    """PostgreSQL manual, 8.17.5."""
    if value.isempty:
        return "empty"
    lower, upper = written(value.lower) or "", written(value.upper) or ""
    return f"{'[' if value.lower_inc else '('}{lower},{upper}{']' if value.upper_inc else ')'}"
