"""Cells, order, files, charts: what is made of an answer, without a server."""

from __future__ import annotations

import csv
import io

import pytest

from nlsql_gateway.console import charts
from nlsql_gateway.console.cells import KINDS, written
from nlsql_gateway.console.line import Answer, Column
from nlsql_gateway.console.rates import MOST_KEYS, Rate
from nlsql_gateway.console.tables import harmless, lines, ordered


def answer(*columns: tuple[str, str], rows: list[tuple[str | None, ...]]) -> Answer:
    made = tuple(Column(name, kind, KINDS.get(kind, "text")) for name, kind in columns)
    return Answer(made, rows, False, 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("", ""),
        (["a", None, "NULL", "", 'q"', "b\\", "x,y"], '{a,NULL,"NULL","","q\\"","b\\\\","x,y"}'),
        ([["1", "2"], ["3", None]], "{{1,2},{3,NULL}}"),
        (("1", None, "a b", ""), '(1,,"a b","")'),
        (True, "t"),
        (b"\0\xff", "\\x00ff"),
    ],
)
def test_values_as_postgresql_writes_them(value: object, text: str | None) -> None:
    assert written(value) == text


@pytest.mark.parametrize(
    ("kind", "sorted_"),
    [
        ("numeric", ["-Infinity", "-2", "1e2", "1000", "NaN", None]),
        ("int4", ["-10", "-9", "9", "10", None, None]),
        ("date", ["0044-03-15 BC", "2024-01-01", "2025-01-01", "infinity"]),
        ("text", ["", "a", "B", "c", None]),
    ],
)
def test_order(kind: str, sorted_: list[str | None]) -> None:
    rows: list[tuple[str | None, ...]] = [(cell,) for cell in reversed(sorted_)]
    found, by, down = ordered(answer(("c", kind), rows=rows), "0", "up")
    assert [row[0] for row in found] == sorted_
    assert (by, down) == (0, False)
    found, _, down = ordered(answer(("c", kind), rows=rows), "0", "down")
    known = [cell for cell in sorted_ if cell is not None]
    assert [row[0] for row in found] == [*reversed(known), *[None] * (len(sorted_) - len(known))]
    assert down


@pytest.mark.parametrize("cell", ["=1", "+a", "-a", "@x", "\tx", "\rx", "\n=x", "\uff1d1", "-1+1", "+1"])
def test_a_formula_is_made_harmless(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-1", "-1.5", "-2e+10", "1", "a=b", "", "x"])
def test_what_is_none_stays(cell: str) -> None:
    assert harmless(cell) == cell


def test_a_long_file_comes_in_pieces() -> None:
    rows: list[tuple[str | None, ...]] = [(str(n), f'"{n}"') for n in range(2500)]
    pieces = list(lines(answer(("n", "int4"), ("t", "text"), rows=rows)))
    assert len(pieces) == 3
    assert list(csv.reader(io.StringIO("".join(pieces))))[1:] == [list(row) for row in rows]


@pytest.mark.parametrize(
    ("columns", "rows", "chart"),
    [
        ([("day", "date"), ("n", "int8")], [("2024-01-01", "1"), ("2024-01-02", "2")], charts.Chart("line", 0, 1)),
        (
            [("day", "date"), ("shop", "text"), ("n", "int8")],
            [("2024-01-01", "a", "1"), ("2024-01-01", "b", "2")],
            charts.Chart("line", 0, 2, 1),
        ),
        ([("shop", "text"), ("n", "numeric")], [("a", "1"), ("b", "2")], charts.Chart("bar", 0, 1)),
        ([("year", "int4"), ("n", "numeric")], [("2023", "1.5"), ("2024", "2")], charts.Chart("bar", 0, 1)),
        ([("x", "float8"), ("y", "float8")], [("1.5", "1"), ("2.5", "2")], charts.Chart("scatter", 0, 1)),
        ([("shop", "text"), ("town", "text")], [("a", "b"), ("c", "d")], None),
        ([("n", "int8")], [("1",), ("2",)], None),
        ([("shop", "text"), ("n", "numeric")], [("a", "1")], None),
    ],
)
def test_the_chart_that_fits(
    columns: list[tuple[str, str]], rows: list[tuple[str | None, ...]], chart: charts.Chart | None
) -> None:
    found = answer(*columns, rows=rows)
    assert charts.fitting(found) == chart
    if chart is not None:
        made = charts.spec(found, chart)
        names = {"x", "y"} | ({"color"} if chart.colour is not None else set())
        assert all(set(value) == names for value in made["data"]["values"])
        assert found.columns[chart.y].name in charts.described(found, chart)


def test_numbers_that_cannot_be_drawn_are_left_out() -> None:
    found = answer(("t", "text"), ("n", "numeric"), rows=[("a", "NaN"), ("b", "Infinity"), ("c", None), ("d", "1e3")])
    chart = charts.fitting(found)
    assert chart is not None
    drawn = [value["y"] for value in charts.spec(found, chart)["data"]["values"]]
    assert drawn[1:] == [None, None, 1000.0]
    assert drawn[0] is None


def test_a_rate_is_bounded_in_number_and_memory() -> None:
    now = [0.0]
    rate = Rate(2, 60, lambda: now[0])
    assert [rate.take("a") for _ in range(3)] == [True, True, False]
    assert rate.take("b")
    now[0] = 45
    assert rate.wait() == 15
    now[0] = 60
    assert rate.take("a")
    assert all(rate.take(n) for n in range(MOST_KEYS - 1))
    assert not rate.take("one more")
    assert rate.take("a")
