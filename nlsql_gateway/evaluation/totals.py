"""The figures of a run. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from nlsql_gateway.evaluation.differences import DIFFERENCES
from nlsql_gateway.evaluation.score import STAGES, Result
from nlsql_gateway.sql.difficulty import LEVELS

MUCH_EMPTY: Final = 0.05
"""An always-empty answer that scores more than this makes the strict accuracy worth little."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Counted over some results. Shares are of 1; None where there is nothing to take a share of."""

    questions: int
    "Those whose gold failed are left out of all that follows, but for stages."
    answerable: int
    right: int
    "Of the answerable, strictly."
    strict_accuracy: float | None
    ran: float | None
    "Of the answerable."
    always_empty: float | None
    "The strict accuracy of the answer that never has a row: about 0, or the golds are of no use."
    unanswerable: int
    refused: float | None
    "Of the unanswerable."
    wrongly_refused: float | None
    "Of the answerable."
    abstentions: int
    right_abstentions: int
    coverage: float | None
    "Answered with rows, of all questions."
    precision: float | None
    "Right, of those answered with rows."
    p50: float | None
    "Seconds."
    p95: float | None
    cached: int
    "Answers from the gateway's cache: their seconds tell nothing of the model."
    verified: int
    "Answers from verified questions."
    stages: dict[str, int]
    differences: dict[str, int]
    "Of wrong rows from the nearest gold's."


def totals(results: Sequence[Result]) -> Totals:
    scored = [result for result in results if result.stage != "gold failed"]
    answerable = [result for result in scored if result.answerable]
    unanswerable = [result for result in scored if not result.answerable]
    right = sum(result.right for result in answerable)
    answered = [result for result in scored if result.ran]
    abstentions = [result for result in scored if result.abstained]
    seconds = [result.seconds for result in scored]
    stages = Counter[str](result.stage for result in results)
    differences = Counter[str | None](result.difference for result in results)
    return Totals(
        questions=len(results),
        answerable=len(answerable),
        right=right,
        strict_accuracy=share(right, len(answerable)),
        ran=share(sum(result.ran for result in answerable), len(answerable)),
        always_empty=share(sum(result.empty_is_right for result in answerable), len(answerable)),
        unanswerable=len(unanswerable),
        refused=share(sum(result.abstained for result in unanswerable), len(unanswerable)),
        wrongly_refused=share(sum(result.abstained for result in answerable), len(answerable)),
        abstentions=len(abstentions),
        right_abstentions=sum(not result.answerable for result in abstentions),
        coverage=share(len(answered), len(scored)),
        precision=share(sum(result.right for result in answered), len(answered)),
        p50=percentile(seconds, 50),
        p95=percentile(seconds, 95),
        cached=sum(result.source == "cache" for result in scored),
        verified=sum(result.source == "verified" for result in scored),
        stages={stage: stages[stage] for stage in STAGES if stages[stage]},
        differences={name: differences[name] for name in DIFFERENCES if differences[name]},
    )


def grouped(results: Sequence[Result], key: Callable[[Result], str | None]) -> dict[str, Totals]:
    """The totals of each group, in the order in which groups first come; without those that have none."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        name = key(result)
        if name:
            groups.setdefault(name, []).append(result)
    return {name: totals(group) for name, group in groups.items()}


def by_difficulty(results: Sequence[Result]) -> dict[str, Totals]:
    found = grouped(results, lambda result: result.difficulty)
    return {level: found[level] for level in LEVELS if level in found}


def share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def percentile(values: Sequence[float], percent: float) -> float | None:
    """By nearest rank: a value that was measured."""
    if not values:
        return None
    return sorted(values)[max(0, ceil(len(values) * percent / 100) - 1)]


def cautions(found: Totals) -> list[str]:
    """What makes the figures say less than they seem to."""
    said = []
    if found.cached:
        said.append(f"{found.cached} answers came from the gateway's cache: their seconds tell nothing of the model.")
    if found.verified:
        said.append(f"{found.verified} questions are verified ones, answered without the model.")
    if failed := found.stages.get("gold failed"):
        said.append(f"The golds of {failed} questions could not be run; these questions do not count.")
    if lost := found.stages.get("model unavailable", 0) + found.stages.get("gateway unavailable", 0):
        said.append(f"{lost} questions found no model or no gateway; they count as wrong. Run again to ask them again.")
    if found.always_empty is not None and found.always_empty > MUCH_EMPTY:
        said.append(f"An answer that is always empty would be right for {found.always_empty:.1%}: look at the golds.")
    return said


@dataclass(frozen=True, slots=True)
class Point:
    """What a confidence threshold would do."""

    threshold: float
    coverage: float
    precision: float


def curve(results: Sequence[Result]) -> list[Point]:
    """Coverage and precision as the threshold rises: what is answered below it becomes a refusal.

    A refusal stays one at every threshold. An answer without confidence counts as one of confidence 1.
    """
    scored = [result for result in results if result.stage != "gold failed"]
    sure = sorted(((1.0 if r.confidence is None else r.confidence, r.right) for r in scored if r.ran), reverse=True)
    points = []
    right = 0
    for number, (confidence, is_right) in enumerate(sure, 1):
        right += is_right
        if number == len(sure) or sure[number][0] != confidence:
            points.append(Point(confidence, round(number / len(scored), 4), round(right / number, 4)))
    return points
