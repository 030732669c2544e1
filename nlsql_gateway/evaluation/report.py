"""``report.html``: one run as a page, beside an old one when there is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nlsql_gateway.evaluation import charts
from nlsql_gateway.evaluation.compared import compare
from nlsql_gateway.evaluation.score import STAGES, Result
from nlsql_gateway.evaluation.totals import Totals, by_difficulty, cautions, curve, grouped, totals
from nlsql_gateway.evaluation.written import Run

_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
)

_GROUPS: Final[tuple[tuple[str, Callable[[Result], str | None]], ...]] = (
    ("set", lambda result: result.set),
    ("category", lambda result: result.category),
    ("difficulty", lambda result: result.difficulty),
    ("database", lambda result: result.db),
)


def render(run: Run, older: Sequence[Run] = ()) -> str:
    """A page of its own: no script, nothing loaded from elsewhere, everything escaped.

    ``older`` are the runs before it, the oldest first: all in one table, the last one side by side.
    """
    old = older[-1] if older else None
    found, before = totals(run.results), None if old is None else totals(old.results)
    groups = _grouped(run)
    old_groups = {} if old is None else _grouped(old)
    return _TEMPLATES.get_template("report.html").render(
        about=run.about,
        old=old,
        all=found,
        width=charts.WIDTH,
        warnings=cautions(found),
        figures=_figures(found, before),
        charts=[
            *(charts.accuracies(f"Right, by {title}", groups[title], old_groups.get(title, {})) for title in groups),
            charts.stages(found, before),
            charts.differences(found, before),
        ],
        curve=charts.curve(curve(run.results), [] if old is None else curve(old.results)),
        latencies=charts.latencies(run.results, None if old is None else old.results),
        tables=groups.items(),
        runs=_runs([*older, run]) if older else None,
        compared=None if old is None else compare(old.results, run.results),
        stages=[
            (stage, meaning, results)
            for stage, meaning in STAGES.items()
            if (results := [result for result in run.results if result.stage == stage])
        ],
    )


@dataclass(frozen=True, slots=True)
class _Runs:
    """Several runs, a row each."""

    sets: tuple[str, ...]
    rows: tuple[tuple[str, Totals, tuple[Totals | None, ...]], ...]
    "The run's name, its totals and those of each set, None where it has none of it."


def _runs(runs: Sequence[Run]) -> _Runs:
    by_set = [grouped(run.results, lambda result: result.set) for run in runs]
    sets = tuple(dict.fromkeys(name for groups in by_set for name in groups))
    return _Runs(
        sets,
        tuple(
            (str(run.about.get("name", "")), totals(run.results), tuple(groups.get(name) for name in sets))
            for run, groups in zip(runs, by_set, strict=True)
        ),
    )


def _grouped(run: Run) -> dict[str, dict[str, Totals]]:
    groups = {title: grouped(run.results, key) for title, key in _GROUPS}
    groups["difficulty"] = by_difficulty(run.results)
    return groups


def _figures(found: Totals, old: Totals | None) -> list[tuple[str, str, str]]:
    """A label, the value, and the change since the old run in percentage points or seconds."""
    rows: list[tuple[str, Callable[[Totals], float | None], bool]] = [
        ("strict accuracy", lambda one: one.strict_accuracy, True),
        ("ran", lambda one: one.ran, True),
        ("wrongly refused", lambda one: one.wrongly_refused, True),
        ("rightly refused", lambda one: one.refused, True),
        ("coverage", lambda one: one.coverage, True),
        ("precision", lambda one: one.precision, True),
        ("p50", lambda one: one.p50, False),
        ("p95", lambda one: one.p95, False),
        ("always empty", lambda one: one.always_empty, True),
    ]
    shown = []
    for label, of, is_share in rows:
        value = of(found)
        was = None if old is None else of(old)
        if value is None:
            shown.append((label, "-", ""))
            continue
        change = "" if was is None else f"{(value - was) * 100:+.1f} points" if is_share else f"{value - was:+.2f} s"
        shown.append((label, f"{value:.1%}" if is_share else f"{value:.2f} s", change))
    return shown
