"""Several answers to one question -> the one to give, by the agreement of what they return (pure).

Samples of a model differ more in how they say a thing than in what they find: two that return the same rows agree.
Wang et al., "Self-Consistency Improves Chain of Thought Reasoning", 2023, vote by the final answer in this way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from nlsql_gateway.ask.grounding import Rows
from nlsql_gateway.ask.trying import Tried

SURE = -0.3
"""Mean log probability of a token from which a greedy answer that returns something is taken without asking again.
Higher, twice as many questions were asked again, and no more were right."""
EMPTY_VOTE = 0.3
"""Of an answer without rows: whatever is wrong in a condition gives none."""
MAX_COMPARED = 200
"""Rows of an answer that are compared."""

Columns = frozenset[tuple[str, ...]]


def is_doubtful(tried: Tried) -> bool:
    """Whether to hear further samples."""
    if not tried.passed or tried.unmet or tried.is_void:
        return True
    return tried.sureness is not None and tried.sureness < SURE


def elect(answers: Sequence[Tried]) -> tuple[Tried, float] | None:
    """The answer with the most agreement and its share of all votes, 0 to 1; None: none passed.

    Of equals the first, so the greedy answer comes first in ``answers``.
    """
    passed, scores, _ = _scores(answers)
    if not passed:
        return None
    best = _first(scores)
    return passed[best], scores[best] / (sum(map(_weight, passed)) + len(answers) - len(passed))


def is_settled(answers: Sequence[Tried], left: int) -> bool:
    """Whether ``left`` further answers cannot change which rows are given."""
    passed, scores, agree = _scores(answers)
    if not passed:
        return False
    best = _first(scores)
    others = (score for score, same in zip(scores, agree[best], strict=True) if not same)
    return scores[best] > max(others, default=0.0) + left


def _scores(answers: Sequence[Tried]) -> tuple[list[Tried], list[float], list[list[bool]]]:
    """Of those that passed: them, the votes of each, and which agree with which."""
    passed = [one for one in answers if one.passed]
    returned = [_columns(one.rows) for one in passed]
    agree = [
        [
            other is one or _agree(columns, ours, one, other)
            for other, columns in zip(passed, returned, strict=True)
        ]
        for one, ours in zip(passed, returned, strict=True)
    ]  # fmt: skip
    weights = list(map(_weight, passed))
    scores = [sum(weight for weight, same in zip(weights, row, strict=True) if same) for row in agree]
    return passed, scores, agree


def _first(scores: Sequence[float]) -> int:
    """The index of the highest; of equals the first."""
    return max(range(len(scores)), key=lambda index: (round(scores[index], 6), -index))


def _weight(tried: Tried) -> float:
    weight = EMPTY_VOTE if tried.is_void else 1.0
    return weight * math.exp(tried.sureness) if tried.sureness is not None else weight


def _agree(one: Columns | None, two: Columns | None, first: Tried, second: Tried) -> bool:
    """The same rows, whatever columns one of them shows besides."""
    if one is None or two is None:
        return first.sql == second.sql
    return bool(one) == bool(two) and (one <= two or two <= one)


def _columns(rows: Rows | None) -> Columns | None:
    if rows is None:
        return None
    if not rows:
        return frozenset()
    shown = rows[:MAX_COMPARED]
    return frozenset(tuple(sorted(map(_plain, column))) for column in zip(*shown, strict=True))


def _plain(value: object) -> str:
    """Numbers by six digits, whatever their type."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return f"{float(value):.6g}"
    return str(value)
