"""What the gateway tells beside the rows or the error, and the stage that lost a question."""

from __future__ import annotations

import pytest

from nlsql_gateway.evaluation.score import Facts, Reply, facts, score
from tests.evaluation.results import GOLD, ONE, question


@pytest.mark.parametrize(
    ("message", "detail", "expected"),
    [
        (
            "SQL: SELECT 1\nFROM t",
            "model: m 1.5b 7; attempts: 2; confidence: 0.83; row filter public.t",
            Facts("SELECT 1\nFROM t", "m 1.5b 7", 2, 0.83, "model"),
        ),
        ("SQL: SELECT 1", "model: m; cached: yes", Facts("SELECT 1", "m", None, None, "cache")),
        (
            "SQL: SELECT 1",
            "verified: by Ada on 2026-01-01; answers: how many?",
            Facts("SELECT 1", "", None, None, "verified"),
        ),
        (
            "SQL: SELECT 'confidence: 0.5'",
            "model: m; attempts: 1",
            Facts("SELECT 'confidence: 0.5'", "m", 1, None, "model"),
        ),
        (
            "no valid SQL was found: column x does not exist",
            "The last attempt was: SELECT x\nFROM t",
            Facts("SELECT x\nFROM t", "", None, None, "model"),
        ),
        ("the confidence 0.31 is below 0.5", "", Facts("", "", None, 0.31, "")),
        ("cannot connect", "", Facts("", "", None, None, "")),
    ],
)
def test_facts(message: str, detail: str, expected: Facts) -> None:
    assert facts(message, detail) == expected


@pytest.mark.parametrize(
    ("sqlstate", "answerable", "unanswerable"),
    [
        ("NL001", "wrong refusal", "right"),
        ("NL002", "model unavailable", "model unavailable"),
        ("NL003", "no SQL", "right"),
        ("NL004", "low confidence", "right"),
        ("57014", "timed out", "timed out"),
        ("42501", "denied", "denied"),
        ("25006", "denied", "denied"),
        ("08006", "gateway unavailable", "gateway unavailable"),
        ("53300", "gateway unavailable", "gateway unavailable"),
        ("57P01", "gateway unavailable", "gateway unavailable"),
        ("22012", "not run", "not run"),
        ("", "right", "answered"),
    ],
)
def test_stages(sqlstate: str, answerable: str, unanswerable: str) -> None:
    reply = Reply(1.0, None if sqlstate else ONE, sqlstate)
    with_gold, without = score(question("a"), reply, [GOLD]), score(question("b", gold=""), reply, [])
    assert (with_gold.stage, without.stage) == (answerable, unanswerable)
    assert with_gold.abstained == without.abstained == (sqlstate in ("NL001", "NL003", "NL004"))
    assert with_gold.right == (answerable == "right")
    assert (with_gold.difficulty, without.difficulty) == ("easy", None)
