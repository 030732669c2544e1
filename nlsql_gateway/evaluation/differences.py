"""In what do wrong rows differ from a gold's? For whoever wants to mend it; it scores nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from nlsql_gateway.evaluation.tables import Table, equal

Difference = Literal["order", "rows", "columns", "more rows", "fewer rows", "no rows"]
DIFFERENCES: Final[dict[Difference, str]] = {
    "order": "the rows are right, their order is not",
    "rows": "each column is there, with other values beside it",
    "columns": "as many rows, but a column of the gold is not there",
    "more rows": "more than the gold has",
    "fewer rows": "fewer than the gold has",
    "no rows": "none, where the gold has some",
}
"""The nearest to right first."""


def difference(gold: Table, answer: Table) -> Difference:
    """Of an answer that does not equal ``gold`` in its order."""
    if len(answer.rows) > len(gold.rows):
        return "more rows"
    if len(answer.rows) < len(gold.rows):
        return "fewer rows" if answer.rows else "no rows"
    if equal(gold, answer):
        return "order"
    for place in range(gold.width):
        column = Table(1, tuple((row[place],) for row in gold.rows))
        if not equal(column, answer):
            return "columns"
    return "columns" if gold.width > answer.width else "rows"


def nearest(golds: Iterable[Table], answer: Table) -> Difference | None:
    """Of several golds, the difference from the one that is nearest; None without golds."""
    found = {difference(gold, answer) for gold in golds}
    return next((name for name in DIFFERENCES if name in found), None)
