"""What is drawn in the report, in the units of its SVG; the template only writes it down. Pure.

All charts are WIDTH wide. Where there is an old run its marks stand beside the new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log2
from typing import Final

from nlsql_gateway.evaluation.differences import DIFFERENCES
from nlsql_gateway.evaluation.score import STAGES, Result
from nlsql_gateway.evaluation.totals import Point, Totals

WIDTH: Final = 640
_LEFT: Final = 210
"""Room for the labels in front of bars."""
_BAR: Final = WIDTH - _LEFT - 190
"""The longest bar; behind it stands its text."""
_ROW: Final = 26
_PLOT: Final = 240
"""The height of curve and histogram."""
_MARGIN: Final = 40


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    text: str
    y: int
    width: float
    old: float | None
    "The width of the old run's."
    good: bool = True


@dataclass(frozen=True, slots=True)
class Bars:
    title: str
    rows: tuple[Bar, ...]
    left: int = _LEFT

    @property
    def height(self) -> int:
        return len(self.rows) * _ROW + 4


def accuracies(title: str, groups: Mapping[str, Totals], old: Mapping[str, Totals]) -> Bars:
    """Strict accuracy of each group; of a group without golds, the share refused."""
    rows: list[Bar] = []
    for name, found in groups.items():
        value, text = _measure(found)
        if value is None:
            continue
        was = _measure(old[name])[0] if name in old else None
        more = "" if was is None else f" ({value - was:+.1%})"
        rows.append(Bar(name, text + more, len(rows) * _ROW, value * _BAR, None if was is None else was * _BAR))
    return Bars(title, tuple(rows))


def _measure(found: Totals) -> tuple[float | None, str]:
    if found.strict_accuracy is not None:
        return found.strict_accuracy, f"{found.strict_accuracy:.1%} of {found.answerable}"
    if found.refused is not None:
        return found.refused, f"{found.refused:.1%} of {found.unanswerable} refused"
    return None, ""


def stages(found: Totals, old: Totals | None) -> Bars:
    """How many questions were lost at each stage."""
    return _counts("Where questions were lost", STAGES, found.stages, None if old is None else old.stages)


def differences(found: Totals, old: Totals | None) -> Bars:
    """In what wrong rows differed."""
    before = None if old is None else old.differences
    return _counts("In what wrong rows differ from the nearest gold's", DIFFERENCES, found.differences, before)


def _counts(title: str, order: Iterable[str], found: Mapping[str, int], old: Mapping[str, int] | None) -> Bars:
    was = old or {}
    most = max((*found.values(), *was.values(), 1))
    rows: list[Bar] = []
    for name in order:
        count, before = found.get(name, 0), was.get(name, 0)
        if count or before:
            text = f"{count}" if old is None else f"{count} ({count - before:+d})"
            width = None if old is None else before / most * _BAR
            rows.append(Bar(name, text, len(rows) * _ROW, count / most * _BAR, width, name == "right"))
    return Bars(title, tuple(rows))


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Curve:
    dots: tuple[Dot, ...]
    old: tuple[Dot, ...]
    left: int = _MARGIN
    bottom: int = _PLOT - _MARGIN
    right: int = WIDTH - 20
    top: int = 10
    height: int = _PLOT

    @property
    def line(self) -> str:
        return _line(self.dots)

    @property
    def old_line(self) -> str:
        return _line(self.old)


def curve(points: Sequence[Point], old: Sequence[Point]) -> Curve:
    """Coverage to the right, precision upwards, a dot for each threshold."""
    return Curve(_dots(points), _dots(old))


def _dots(points: Sequence[Point]) -> tuple[Dot, ...]:
    across, up = WIDTH - 20 - _MARGIN, _PLOT - _MARGIN - 10
    return tuple(
        Dot(
            round(_MARGIN + point.coverage * across, 1),
            round(_PLOT - _MARGIN - point.precision * up, 1),
            f"from {point.threshold:.2f}: {point.coverage:.1%} answered, of them right {point.precision:.1%}",
        )
        for point in points
    )


def _line(dots: Sequence[Dot]) -> str:
    return " ".join(f"{dot.x},{dot.y}" for dot in dots)


@dataclass(frozen=True, slots=True)
class Column:
    label: str
    text: str
    x: float
    width: float
    height: float
    old: float | None


@dataclass(frozen=True, slots=True)
class Histogram:
    columns: tuple[Column, ...]
    bottom: int = _PLOT - _MARGIN
    height: int = _PLOT


def latencies(results: Sequence[Result], old: Sequence[Result] | None) -> Histogram:
    """How many questions took how long: each column is twice as long a time as the one before it."""
    bins = [_bin(result.seconds) for result in results]
    before = [_bin(result.seconds) for result in old or ()]
    if not bins and not before:
        return Histogram(())
    span = range(min(bins + before), max(bins + before) + 1)
    most = max(max(bins.count(place), before.count(place)) for place in span)
    width = (WIDTH - _MARGIN) / len(span)
    up = _PLOT - _MARGIN - 20
    return Histogram(
        tuple(
            Column(
                f"{_seconds(place)} to {_seconds(place + 1)} s",
                str(bins.count(place)),
                round(20 + number * width, 1),
                round(width * 0.8, 1),
                round(bins.count(place) / most * up, 1),
                None if old is None else round(before.count(place) / most * up, 1),
            )
            for number, place in enumerate(span)
        )
    )


def _bin(seconds: float) -> int:
    return floor(log2(max(seconds, 1 / 16)))


def _seconds(place: int) -> str:
    return f"{2.0**place:g}" if place >= -2 else f"{ceil(2.0**place * 1000) / 1000:g}"
