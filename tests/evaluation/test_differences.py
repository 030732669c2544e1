"""In what wrong rows differ."""

from __future__ import annotations

from typing import Any

import pytest

from nlsql_gateway.evaluation.differences import difference, nearest
from nlsql_gateway.evaluation.tables import Table, table

GOLD = table(2, [(1, "a"), (2, "b")])


@pytest.mark.parametrize(
    ("width", "rows", "expected"),
    [
        (2, [(2, "b"), (1, "a")], "order"),
        (3, [(0, "b", 1), (0, "a", 2)], "rows"),
        (2, [(1, "a"), (2, "c")], "columns"),
        (1, [(1,), (2,)], "columns"),
        (2, [(1, "a"), (2, "b"), (3, "c")], "more rows"),
        (2, [(1, "a")], "fewer rows"),
        (2, [], "no rows"),
    ],
)
def test_difference(width: int, rows: list[tuple[Any, ...]], expected: str) -> None:
    assert difference(GOLD, table(width, rows)) == expected


def test_one_gold_column_for_two() -> None:
    """Each is there, but it is the same column of the answer."""
    assert difference(table(2, [(1, 1)]), table(1, [(1,)])) == "columns"


def test_the_nearest_gold_counts() -> None:
    answer = table(1, [(1,)])
    assert nearest([table(1, [(1,), (2,)]), table(2, [(1, 2)])], answer) == "columns"
    assert nearest([], answer) is None
    assert nearest([Table(1, ())], answer) == "more rows"
