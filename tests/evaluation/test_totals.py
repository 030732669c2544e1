"""The figures, counted by hand."""

from __future__ import annotations

import pytest

from nlsql_gateway.evaluation.totals import Point, by_difficulty, curve, grouped, percentile, totals
from tests.evaluation.results import many, refused, right, wrong

FEW = [
    right("a", seconds=1, confidence=0.9),
    right("b", seconds=2, confidence=0.4),
    wrong("c", seconds=3, confidence=0.6),
    refused("d", seconds=4),
    refused("e", "57014", seconds=60),
    refused("f", seconds=0.5, gold="", set="unanswerable"),
    wrong("g", seconds=1.5, confidence=0.2, gold="", set="unanswerable"),
]


def test_totals() -> None:
    found = totals(FEW)
    assert (found.questions, found.answerable, found.right, found.unanswerable) == (7, 5, 2, 2)
    assert (found.strict_accuracy, found.ran, found.always_empty) == (0.4, 0.6, 0.0)
    assert (found.refused, found.wrongly_refused) == (0.5, 0.2)
    assert (found.abstentions, found.right_abstentions) == (2, 1)
    assert (found.coverage, found.precision) == (round(4 / 7, 4), 0.5)
    assert (found.p50, found.p95) == (2, 60)
    assert found.stages == {"right": 3, "wrong rows": 1, "wrong refusal": 1, "answered": 1, "timed out": 1}


def test_nothing_to_count() -> None:
    found = totals([])
    assert (found.strict_accuracy, found.precision, found.p50, found.stages) == (None, None, None, {})
    assert curve([]) == []


def test_groups() -> None:
    assert {name: found.questions for name, found in grouped(FEW, lambda result: result.set).items()} == {
        "own": 5,
        "unanswerable": 2,
    }
    assert list(by_difficulty(many(1))) == ["easy", "medium", "hard", "extra"]


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([1], 50, 1),
        ([1, 2], 50, 1),
        ([1, 2, 3], 50, 2),
        ([3, 1, 2], 95, 3),
        (list(range(1, 101)), 95, 95),
        ([], 50, None),
    ],
)
def test_percentiles_are_values_that_were_measured(values: list[float], percent: float, expected: float | None) -> None:
    assert percentile(values, percent) == expected


def test_the_threshold_trades_coverage_for_precision() -> None:
    assert curve(FEW) == [
        Point(0.9, round(1 / 7, 4), 1.0),
        Point(0.6, round(2 / 7, 4), 0.5),
        Point(0.4, round(3 / 7, 4), round(2 / 3, 4)),
        Point(0.2, round(4 / 7, 4), 0.5),
    ]


def test_answers_without_confidence_are_never_below_a_threshold() -> None:
    assert curve([right("a"), wrong("b"), wrong("c", confidence=0.5)]) == [
        Point(1.0, round(2 / 3, 4), 0.5),
        Point(0.5, 1.0, round(1 / 3, 4)),
    ]
