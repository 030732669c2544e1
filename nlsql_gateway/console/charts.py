"""Charts: which one fits an answer, and its specification for Vega-Lite (https://vega.github.io/vega-lite/docs/)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from nlsql_gateway.console.cells import Kind
from nlsql_gateway.console.line import Answer, Column

Mark = Literal["bar", "line", "scatter"]
MARKS: Final[tuple[Mark, ...]] = get_args(Mark)

MOST_POINTS: Final = 5_000
MOST_BARS: Final = 60
MOST_COLOURS: Final = 12

_MARKS: Final[Mapping[str, Any]] = {
    "bar": {"type": "bar"},
    "line": {"type": "line", "point": True},
    "scatter": {"type": "point", "filled": True},
}


@dataclass(frozen=True, slots=True)
class Chart:
    mark: Mark
    x: int
    "The index of a column."
    y: int
    colour: int | None = None


def fitting(answer: Answer) -> Chart | None:
    """The chart that fits; None: a table says more.

    1. Time and a number: a line, in colours by a column of few texts.
    2. A text (or yes and no) and a number: bars.
    3. Two numbers: a scatter of points; bars where the first is a whole number for each row, as a year.
    """
    if len(answer.rows) < 2:
        return None
    kinds = [column.kind for column in answer.columns]
    numbers = [index for index, kind in enumerate(kinds) if kind == "number"]
    times = [index for index, kind in enumerate(kinds) if kind == "time"]
    texts = [index for index, kind in enumerate(kinds) if kind in ("text", "boolean")]
    if times and numbers:
        return Chart("line", times[0], numbers[0], _colour(answer, texts))
    few = [index for index in texts if 1 < _distinct(answer, index) <= MOST_BARS]
    if few and numbers:
        return Chart("bar", few[0], numbers[-1], _colour(answer, few[1:]))
    if len(numbers) >= 2:
        steps = len(answer.rows) <= MOST_BARS and _distinct(answer, numbers[0]) == len(answer.rows)
        return Chart("bar" if steps and _is_whole(answer, numbers[0]) else "scatter", numbers[0], numbers[1])
    return None


def chosen(answer: Answer, wanted: Mapping[str, str]) -> Chart | None:
    """What a person picked: mark, x, y, colour as texts. What does not fit is as ``fitting`` has it."""
    base = fitting(answer)
    mark = next((one for one in MARKS if one == wanted.get("mark")), base.mark if base else "bar")
    numbers = [index for index, column in enumerate(answer.columns) if column.kind == "number"]
    if not numbers or not answer.rows:
        return None
    columns = range(len(answer.columns))
    x = _index(wanted.get("x"), columns, base.x if base else 0)
    y = _index(wanted.get("y"), numbers, base.y if base else numbers[0])
    colour = wanted.get("colour")
    default = base.colour if base and colour is None else None
    return Chart(mark, x, y, None if colour == "" else _index(colour, columns, default))


def spec(answer: Answer, chart: Chart) -> dict[str, Any]:
    """For Vega-Lite, with the data in it: fields have names of ours, so that theirs mean nothing there."""
    rows = answer.rows[:MOST_POINTS]
    used = {"x": chart.x, "y": chart.y, **({} if chart.colour is None else {"color": chart.colour})}
    values = [{name: _value(row[index], answer.columns[index].kind) for name, index in used.items()} for row in rows]
    encoding: dict[str, Any] = {name: _channel(name, answer.columns[index], chart) for name, index in used.items()}
    encoding["tooltip"] = [
        {"field": name, "title": answer.columns[index].name, "type": _type(answer.columns[index], name, chart)}
        for name, index in used.items()
    ]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "data": {"values": values},
        "mark": _MARKS[chart.mark],
        "encoding": encoding,
        "width": "container",
        "height": 320,
    }


def described(answer: Answer, chart: Chart) -> str:
    """For who does not see it."""
    names = {"bar": "Bar chart", "line": "Line chart", "scatter": "Scatter chart"}
    words = f"{names[chart.mark]} of {answer.columns[chart.y].name} by {answer.columns[chart.x].name}"
    if chart.colour is not None:
        words += f", in colours by {answer.columns[chart.colour].name}"
    more = f"; the first {MOST_POINTS:,} rows" if len(answer.rows) > MOST_POINTS else ""
    return f"{words}{more}. The rows stand in the table below."


def _channel(name: str, column: Column, chart: Chart) -> dict[str, Any]:
    found: dict[str, Any] = {"field": name, "type": _type(column, name, chart), "title": column.name}
    if name == "x" and chart.mark == "bar":
        found["axis"] = {"labelAngle": -30, "labelOverlap": True}
    if name == "x" and found["type"] in ("nominal", "ordinal"):
        found["sort"] = None  # as the answer has them
    if name == "y" and chart.mark == "scatter":
        found["scale"] = {"zero": False}
    if name == "x" and chart.mark == "scatter" and found["type"] == "quantitative":
        found["scale"] = {"zero": False}
    return found


def _type(column: Column, name: str, chart: Chart) -> str:
    if name == "x" and chart.mark == "bar" and column.kind in ("number", "time"):
        return "ordinal"
    if name == "color" and column.kind == "number":
        return "ordinal"
    return {"number": "quantitative", "time": "temporal"}.get(column.kind, "nominal")


def _value(cell: str | None, kind: Kind) -> str | float | None:
    if cell is None or kind != "number":
        return cell
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def _colour(answer: Answer, texts: Sequence[int]) -> int | None:
    return next((index for index in texts if 1 < _distinct(answer, index) <= MOST_COLOURS), None)


def _distinct(answer: Answer, index: int) -> int:
    return len({row[index] for row in answer.rows})


def _is_whole(answer: Answer, index: int) -> bool:
    return all((row[index] or "0").lstrip("-").isdecimal() for row in answer.rows)


def _index(text: str | None, among: Sequence[int], default: int | None) -> Any:
    return int(text) if text is not None and text.isdecimal() and len(text) < 6 and int(text) in among else default
