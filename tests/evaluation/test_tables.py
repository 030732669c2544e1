"""When two tables are equal: by hand, and by properties."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nlsql_gateway.evaluation.tables import Table, equal, peers, table

Rows = list[tuple[Any, ...]]

EQUAL: list[tuple[str, Rows, Rows]] = [
    ("the same", [(1, "a")], [(1, "a")]),
    ("rows in another order", [(1,), (2,)], [(2,), (1,)]),
    ("columns in another order", [(1, "a"), (2, "b")], [("a", 1), ("b", 2)]),
    ("a further column", [("a",), ("b",)], [(7, "a"), (8, "b")]),
    ("a row twice", [(1,), (1,), (2,)], [(1,), (2,), (1,)]),
    ("integer, numeric and float", [(2,), (3,)], [(Decimal("2.00"),), (3.0,)]),
    ("a rounding of the seventh digit", [(1 / 3,)], [(Decimal("0.33333333"),)]),
    ("a sum that is nearly 0", [(0,)], [(5.5e-17,)]),
    ("NULL", [(None, 1)], [(1, None)]),
    ("NaN", [(float("nan"),)], [(Decimal("NaN"),)]),
    ("a date and its midnight", [(date(2024, 2, 1),)], [(datetime.fromisoformat("2024-02-01 00:00"),)]),
    (
        "one moment in two time zones",
        [(datetime(2024, 2, 1, 12, tzinfo=UTC),)],
        [(datetime(2024, 2, 1, 14, tzinfo=timezone(timedelta(hours=2))),)],
    ),
    ("arrays", [([1, 2],)], [((1, 2),)]),
    ("columns that are alike", [(1, 1, 2)], [(2, 1, 1)]),
    ("the right one of two columns with the same values", [(1, "a"), (2, "b")], [(2, 1, "a"), (1, 2, "b")]),
    (
        "roundings in two columns, many rows",
        [(i / 3, i / 7) for i in range(300)],
        [(round(i / 7, 12), round(i / 3, 12)) for i in reversed(range(300))],
    ),
]

UNEQUAL: list[tuple[str, Rows, Rows]] = [
    ("another value", [(1,)], [(2,)]),
    ("a column too few", [(1, "a")], [("a",)]),
    ("a row too few", [(1,), (1,)], [(1,)]),
    ("a row too many", [(1,)], [(1,), (1,)]),
    ("no row", [(1,)], []),
    ("rows where there are none", [], [(1,)]),
    ("one row instead of two that are its like", [(1,), (1,), (2,)], [(1,), (2,), (2,)]),
    ("a share for a percentage", [(0.25,)], [(25,)]),
    ("a rounding of the third digit", [(1 / 3,)], [(0.333,)]),
    ("an integer division", [(0.5,)], [(0,)]),
    ("text that looks like a number", [(5,)], [("5",)]),
    ("true for 1", [(1,)], [(True,)]),
    ("NULL for 0", [(0,)], [(None,)]),
    ("NULL for ''", [("",)], [(None,)]),
    ("capitals", [("Berlin",)], [("berlin",)]),
    ("a date and a time on it", [(date(2024, 2, 1),)], [(datetime.fromisoformat("2024-02-01 01:00"),)]),
    ("columns right each by itself, rows not", [(1, "a"), (2, "b")], [(1, "b"), (2, "a")]),
    ("one column of the answer for two of the gold", [(1, 1)], [(1, 2)]),
    ("a near number that is another row's", [(1.0, 5), (1.0 + 5e-7, 6)], [(1.0, 5), (1.0, 7)]),
]


def of(rows: Rows, width: int | None = None) -> Table:
    return table(len(rows[0]) if width is None else width, rows)


@pytest.mark.parametrize(("gold", "answer"), [pair[1:] for pair in EQUAL], ids=[pair[0] for pair in EQUAL])
def test_equal(gold: Rows, answer: Rows) -> None:
    assert equal(of(gold), of(answer))


@pytest.mark.parametrize(("gold", "answer"), [pair[1:] for pair in UNEQUAL], ids=[pair[0] for pair in UNEQUAL])
def test_unequal(gold: Rows, answer: Rows) -> None:
    width = len((gold or answer)[0])
    assert not equal(of(gold, width if not gold else None), of(answer, width if not answer else None))


def test_an_empty_answer_is_right_only_for_an_empty_gold_of_no_more_columns() -> None:
    assert equal(Table(1, ()), Table(1, ()))
    assert equal(Table(1, ()), Table(3, ()))
    assert not equal(Table(2, ()), Table(1, ()))


def test_order() -> None:
    gold = of([(1, "a"), (1, "b"), (2, "c")])
    tied = (2, 1)
    assert equal(gold, of([(1, "b"), (1, "a"), (2, "c")]), tied)
    assert not equal(gold, of([(1, "b"), (1, "a"), (2, "c")]), (1, 1, 1))
    assert not equal(gold, of([(2, "c"), (1, "a"), (1, "b")]), tied)
    assert equal(gold, of([(2, "c"), (1, "a"), (1, "b")]))


def test_order_picks_the_assignment_that_keeps_it() -> None:
    """Both columns of the answer have the gold's values; only one has them in order."""
    assert equal(of([(1,), (2,)]), of([(2, 1), (1, 2)]), (1, 1))


@pytest.mark.parametrize(
    ("keys", "runs"),
    [([], ()), ([(1,)], (1,)), ([(1,), (1,), (2,)], (2, 1)), ([(None,), (None,), (1,), (None,)], (2, 1, 1))],
)
def test_peers(keys: list[tuple[Any, ...]], runs: tuple[int, ...]) -> None:
    assert peers(keys) == runs


def test_columns_that_are_all_alike_take_no_time() -> None:
    """Twelve columns of NULLs could be assigned in half a billion ways."""
    gold = of([(None,) * 12 + (i,) for i in range(20)])
    answer = of([(None,) * 12 + (i + 1,) for i in range(20)])
    assert not equal(gold, answer)


@pytest.mark.parametrize(("count", "right"), [(400, True), (10_000, False)])
def test_rows_whose_partners_are_not_plain(count: int, right: bool) -> None:
    """The first number is nearly the same in all of them, so that sorting tells nothing."""
    gold = of([(1 + i * 1e-11, i) for i in range(count)])
    answer = of([(1 + (count - i) * 1e-11 + 5e-12, i) for i in range(count)])
    assert equal(gold, answer) == right


cells = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "b"]), st.floats(allow_nan=True), st.dates()
)


@st.composite
def tables(draw: st.DrawFn, least: int = 1) -> Rows:
    width = draw(st.integers(least, 4))
    return draw(st.lists(st.tuples(*[cells] * width), min_size=1, max_size=6))


@given(tables(), st.randoms(use_true_random=False), st.integers(0, 2))
def test_permuted_rows_and_columns_and_further_ones_are_equal(rows: Rows, random: Any, further: int) -> None:
    more = [(*row, *random.choices(["x", 1, None], k=further)) for row in rows]
    order = list(range(len(more[0])))
    random.shuffle(order)
    random.shuffle(more)
    assert equal(of(rows), of([tuple(row[i] for i in order) for row in more]))


@given(tables(least=2), st.data())
def test_a_dropped_column_is_never_right(rows: Rows, data: st.DataObject) -> None:
    dropped = data.draw(st.integers(0, len(rows[0]) - 1))
    assert not equal(of(rows), of([row[:dropped] + row[dropped + 1 :] for row in rows]))


@given(tables(), st.data())
def test_a_dropped_or_repeated_row_is_never_right(rows: Rows, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    assert not equal(of(rows), of(rows[:place] + rows[place + 1 :], len(rows[0])))
    assert not equal(of(rows), of([*rows, rows[place]]))


@given(tables(), st.data())
def test_a_changed_cell_is_never_right(rows: Rows, data: st.DataObject) -> None:
    i, j = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, len(rows[0]) - 1))
    changed = [*rows]
    changed[i] = (*rows[i][:j], "something else", *rows[i][j + 1 :])
    assert not equal(of(rows), of(changed))


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=8), st.floats(-9e-7, 9e-7))
def test_numbers_within_the_tolerance_are_equal(numbers: list[float], off: float) -> None:
    assert equal(of([(number,) for number in numbers]), of([(number * (1 + off),) for number in numbers]))


@given(st.floats(-1e9, 1e9), st.floats(2e-6, 1))
def test_numbers_beyond_it_are_not(number: float, off: float) -> None:
    assume(abs(number) > 1e-5)
    assert not equal(of([(number,)]), of([(number * (1 + off),)]))
