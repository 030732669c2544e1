"""Which examples are seen when, and at what rate: all decided before the first step, by the seed alone. Pure.

A *row* is some examples laid end to end, as many as fit; a *step* is some rows, after which the weights change. Stage
one has the easy examples; stage two the hard ones, and some of the first stage again so that they are not forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from nlsql_gateway.training.fit_data import Example

LAST_RATE = 0.1
"Of the stage's rate, at its end."


@dataclass(frozen=True, slots=True)
class Schedule:
    seed: int
    row_tokens: int
    rows: int
    "In a step."
    epochs: tuple[int, int]
    "Of the two stages; 0 leaves a stage out."
    rates: tuple[float, float]
    "Their highest learning rates."
    warm_up: float
    "Share of a stage's steps in which the rate rises."
    replay: float
    "Easy examples for each hard one in stage two."


@dataclass(frozen=True, slots=True)
class Step:
    stage: int
    "1 or 2."
    rate: float
    rows: tuple[tuple[int, ...], ...]
    "Numbers of examples."


def plan(examples: Sequence[Example], schedule: Schedule) -> list[Step]:
    """All steps. Every example of a stage is seen once in each of its epochs."""
    easy = [number for number, example in enumerate(examples) if not example.hard]
    hard = [number for number, example in enumerate(examples) if example.hard]
    steps: list[Step] = []
    for stage in (1, 2):
        rows: list[tuple[int, ...]] = []
        for epoch in range(schedule.epochs[stage - 1]):
            chance = Random(f"{schedule.seed} {stage} {epoch}")  # noqa: S311 - repeatable, no secret
            again = min(len(easy), round(len(hard) * schedule.replay))
            seen = list(easy) if stage == 1 else hard + chance.sample(easy, again)
            chance.shuffle(seen)
            rows.extend(_packed(seen, examples, schedule.row_tokens))
        parts = [tuple(rows[start : start + schedule.rows]) for start in range(0, len(rows), schedule.rows)]
        rate = schedule.rates[stage - 1]
        steps.extend(
            Step(stage, rate * _share(number, len(parts), schedule.warm_up), part) for number, part in enumerate(parts)
        )
    return steps


def _packed(order: Sequence[int], examples: Sequence[Example], most: int) -> list[tuple[int, ...]]:
    rows: list[list[int]] = []
    room = 0
    for number in order:
        if len(examples[number]) > room:
            rows.append([])
            room = most
        rows[-1].append(number)
        room -= len(examples[number])
    return [tuple(row) for row in rows]


def _share(number: int, count: int, warm_up: float) -> float:
    """Of the highest rate: up a line, then down half a cosine."""
    rising = math.ceil(count * warm_up)
    if number < rising:
        return (number + 1) / rising
    way = (number - rising) / max(1, count - rising - 1)
    return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * way)) / 2
