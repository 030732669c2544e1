"""Texts of an answer that are no value of their column: looked for as the person who asks, and put right by code.

"Restaurants in new york" becomes ``city = 'new york'``, and the column says ``New York``. So each text that an answer
compares a column with is looked up with a small SELECT, which runs under the same policy as any other of this person:
``look`` is handed in by admission, which decides on it and records it. What is not there exactly is

1. written as it is stored, where it is the same but for its case;
2. looked for within the values (``ILIKE``), where some value contains it;
3. compared with another column of the table, where it is a value of that one and of no other.

What is nowhere is *unmet*: the answer may be right, for a thing may be missing; but it is less sure.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from nlsql_gateway.errors import LimitError, StatementError
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.comparisons import Comparison, Contain, Correction, Move, Restate, comparisons, correct, escaped
from nlsql_gateway.sql.kinds_of_values import kind_of_type
from nlsql_gateway.sql.names import quote

Rows = Sequence[Sequence[object]]
Look = Callable[[str], Awaitable[Rows | None]]
"""The rows of a small SELECT as this person sees them; None: refused, too slow or failed."""

MAX_LOOKS = 8
"""Of one answer; the texts behind them stay as they are."""
MAX_TEXT = 80
"""Characters of a text that is looked for."""
MAX_COLUMNS = 12
"""Of a table, in which a text is looked for."""


@dataclass(frozen=True, slots=True)
class Grounded:
    sql: str
    met: int = 0
    "Texts that are values of their columns, put right or not."
    unmet: tuple[str, ...] = ()
    "Texts that were looked for and are not there."


async def ground(sql: str, schema: Catalog, look: Look) -> Grounded:
    """``sql`` with its texts as they are stored. Never raises but what ``look`` does."""
    try:
        found = comparisons(sql, schema)
    except (StatementError, LimitError):
        return Grounded(sql)
    corrections: list[Correction] = []
    met, unmet, looks = 0, [], 0
    for one in found:
        text = one.text.strip("%") if one.operator == "like" else one.text
        if not text or len(text) > MAX_TEXT or looks >= MAX_LOOKS or "%" in text or "_" in text:
            continue
        looks += 1
        rows = await look(_stored_as(one, text))
        if rows is None:
            continue
        values = [str(row[0]) for row in rows if row and row[0] is not None]
        if not values and (moved := await _elsewhere(one, text, schema, look)) is not None:
            corrections.append(moved)
            met += 1
        elif not values:
            unmet.append(text)
        else:
            met += 1
            corrections.extend(_put_right(one, text, values))
    if not corrections:
        return Grounded(sql, met, tuple(unmet))
    return Grounded(correct(sql, corrections), met, tuple(unmet))


def _put_right(one: Comparison, text: str, values: Sequence[str]) -> Sequence[Correction]:
    if one.operator == "like" or text in values:
        return ()
    same = [value for value in values if value.casefold() == text.casefold()]
    if same and one.operator == "folded":
        return ()
    if len(same) == 1:
        return (Restate(one.index, same[0]),)
    if one.operator != "in":
        return (Contain(one.index),)
    return (Restate(one.index, values[0]),) if len(values) == 1 else ()


def _stored_as(one: Comparison, text: str) -> str:
    """Values of the column that contain ``text``, the likest first."""
    column, table = quote(one.column), f"{quote(one.relation[0])}.{quote(one.relation[1])}"
    exact = _literal(text)
    return (
        f"SELECT {column} FROM {table} WHERE {column} ILIKE {_literal(f'%{escaped(text)}%')} GROUP BY {column} "
        f"ORDER BY {column} <> {exact}, lower({column}) <> lower({exact}), length({column}), {column} LIMIT 3"
    )


async def _elsewhere(one: Comparison, text: str, schema: Catalog, look: Look) -> Move | None:
    """The only other column of the table that has ``text`` as a value."""
    if one.operator != "equal":
        return None
    columns = [
        column.name
        for column in schema.relations[one.relation].columns
        if column.name != one.column and kind_of_type(column.type) == "text"
    ][:MAX_COLUMNS]
    if not columns:
        return None
    table = f"{quote(one.relation[0])}.{quote(one.relation[1])}"
    wanted = _literal(escaped(text))
    items = ", ".join(f"min({quote(name)}) FILTER (WHERE {quote(name)} ILIKE {wanted})" for name in columns)
    rows = await look(f"SELECT {items} FROM {table}")
    found = (
        [(name, str(value)) for name, value in zip(columns, rows[0], strict=True) if value is not None] if rows else []
    )
    return Move(one.index, *found[0]) if len(found) == 1 else None


def _literal(text: str) -> str:
    """A string constant, with escapes said so where it needs them (manual, 4.1.2.1 and 4.1.2.2)."""
    quoted = text.replace("'", "''")
    return "E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in text else f"'{quoted}'"
