"""An answer as a table of pages, in an order that a person picks; and as files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from nlsql_gateway.console.cells import Kind
from nlsql_gateway.console.line import Answer

PER_PAGE: Final = 100

_FORMULA: Final = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""What a spreadsheet takes for the beginning of a formula, full-width forms too."""

_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page."""

    number: int
    "From 1."
    pages: int
    first: int
    "The number of its first row, from 1."
    rows: Sequence[tuple[str | None, ...]]
    sort: int | None
    "The index of the column that it is sorted by; None: as it came."
    down: bool


def sheet(answer: Answer, page: str = "", sort: str = "", order: str = "") -> Sheet:
    """The page that a query asks for; what makes no sense there is as if it were not there."""
    rows, by, down = ordered(answer, sort, order)
    pages = max(1, -(-len(rows) // PER_PAGE))
    number = min(max(1, int(page) if page.isdecimal() and len(page) < 9 else 1), pages)
    start = (number - 1) * PER_PAGE
    return Sheet(number, pages, start + 1, rows[start : start + PER_PAGE], by, down)


def ordered(answer: Answer, sort: str, order: str) -> tuple[Sequence[tuple[str | None, ...]], int | None, bool]:
    """The rows in that order, by which column, and whether downwards. Nulls come last both ways."""
    if not (sort.isdecimal() and len(sort) < 6 and int(sort) < len(answer.columns)):
        return answer.rows, None, False
    index, down = int(sort), order == "down"
    kind = answer.columns[index].kind
    known = [row for row in answer.rows if row[index] is not None]
    known.sort(key=lambda row: _key(row[index] or "", kind), reverse=down)
    return [*known, *(row for row in answer.rows if row[index] is None)], index, down


def _key(cell: str, kind: Kind) -> tuple[Decimal, str]:
    """NaN is above all numbers, as in PostgreSQL; dates before our era are below all others."""
    if kind == "number":
        try:
            number = Decimal(cell)
        except InvalidOperation:
            return Decimal("Infinity"), cell
        return (Decimal("Infinity"), "NaN") if number.is_nan() else (number, "")
    if kind == "time":
        is_before = cell.endswith(" BC") or cell == "-infinity"
        return Decimal(-1 if is_before else 1), "~" if cell == "infinity" else cell
    return Decimal(0), cell.casefold()


def lines(answer: Answer, sort: str = "", order: str = "", *, tabs: bool = False) -> Iterator[str]:
    """CSV (RFC 4180), or texts with tabs between them as spreadsheets take them from the clipboard.

    A text that a spreadsheet would take for a formula gets an apostrophe in front
    (https://owasp.org/www-community/attacks/CSV_Injection); numbers stay as they are.
    """
    held = io.StringIO()
    writer = csv.writer(held, delimiter="\t" if tabs else ",", lineterminator="\r\n")
    writer.writerow([harmless(column.name) for column in answer.columns])
    rows, _, _ = ordered(answer, sort, order)
    for count, row in enumerate(rows, 1):
        writer.writerow(["" if cell is None else harmless(cell) for cell in row])
        if count % 1000 == 0:
            yield held.getvalue()
            held.seek(0)
            held.truncate()
    yield held.getvalue()


def harmless(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell
