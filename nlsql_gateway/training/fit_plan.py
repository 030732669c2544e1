"""Which examples are seen when, and at what rate: all decided before the first step, by the seed alone. Pure.

A *bundle* is some examples that begin alike, since they are about the same schema: what they share is read once. A
*row* is some bundles laid end to end, as many as fit; a *step* is some rows, after which the weights change. Stage one
has the easy examples; stage two the hard ones, and some of the first stage again so that they are not forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from nlsql_gateway.training.fit_data import Example

KEY = 48
"""Tokens by which examples are sorted into bundles: the prompt's rules and the first columns of a schema."""

LAST_RATE = 0.1
"Of the stage's rate, at its end."


@dataclass(frozen=True, slots=True)
class Schedule:
    seed: int
    row_tokens: int
    rows: int
    "In a step."
    share: int
    "Examples in a bundle, at most."
    epochs: tuple[int, int]
    "Of the two stages; 0 leaves a stage out."
    rates: tuple[float, float]
    "Their highest learning rates."
    warm_up: float
    "Share of a stage's steps in which the rate rises."
    replay: float
    "Easy examples for each hard one in stage two."


Bundle = tuple[int, ...]
"Numbers of examples."


@dataclass(frozen=True, slots=True)
class Step:
    stage: int
    "1 or 2."
    rate: float
    rows: tuple[tuple[Bundle, ...], ...]


def plan(examples: Sequence[Example], schedule: Schedule) -> list[Step]:
    """All steps. Every example of a stage is seen once in each of its epochs."""
    easy = [number for number, example in enumerate(examples) if not example.hard]
    hard = [number for number, example in enumerate(examples) if example.hard]
    steps: list[Step] = []
    for stage in (1, 2):
        rows: list[tuple[Bundle, ...]] = []
        for epoch in range(schedule.epochs[stage - 1]):
            chance = Random(f"{schedule.seed} {stage} {epoch}")  # noqa: S311 - repeatable, no secret
            again = min(len(easy), round(len(hard) * schedule.replay))
            seen = list(easy) if stage == 1 else hard + chance.sample(easy, again)
            chance.shuffle(seen)
            bundles = _bundled(seen, examples, schedule)
            chance.shuffle(bundles)
            rows.extend(_packed(bundles, examples, schedule.row_tokens))
        parts = [tuple(rows[start : start + schedule.rows]) for start in range(0, len(rows), schedule.rows)]
        rate = schedule.rates[stage - 1]
        steps.extend(
            Step(stage, rate * _share(number, len(parts), schedule.warm_up), part) for number, part in enumerate(parts)
        )
    return steps


def shared(bundle: Sequence[Example]) -> int:
    """How many tokens of a bundle are read once: those that all begin with, and nothing that any of them learns.

    The last token before what is learnt belongs to each example itself, since it is the one that tells it.
    """
    if len(bundle) < 2:
        return 0
    first, last = min(one.tokens for one in bundle), max(one.tokens for one in bundle)
    most = min(one.begin for one in bundle) - 1
    return next((at for at in range(most) if first[at] != last[at]), most)


def cost(bundle: Sequence[Example]) -> int:
    """Tokens that are read for it."""
    return sum(map(len, bundle)) - (len(bundle) - 1) * shared(bundle)


def _bundled(order: Sequence[int], examples: Sequence[Example], schedule: Schedule) -> list[Bundle]:
    done: list[Bundle] = []
    open_: dict[tuple[int, ...], list[int]] = {}
    for number in order:
        key = examples[number].tokens[:KEY]
        bundle = open_.setdefault(key, [])
        if bundle and not _fits([examples[one] for one in (*bundle, number)], schedule):
            done.append(tuple(bundle))
            bundle = open_[key] = []
        bundle.append(number)
    return done + [tuple(bundle) for bundle in open_.values()]


def _fits(bundle: Sequence[Example], schedule: Schedule) -> bool:
    """Whether the last one shares at least half of its prompt with the others, and there is room for it."""
    return (
        len(bundle) <= schedule.share and 2 * shared(bundle) >= bundle[-1].begin and cost(bundle) <= schedule.row_tokens
    )


def _packed(bundles: Sequence[Bundle], examples: Sequence[Example], most: int) -> list[tuple[Bundle, ...]]:
    rows: list[list[Bundle]] = []
    room = 0
    for bundle in bundles:
        size = cost([examples[number] for number in bundle])
        if size > room:
            rows.append([])
            room = most
        rows[-1].append(bundle)
        room -= size
    return [tuple(row) for row in rows]


def _share(number: int, count: int, warm_up: float) -> float:
    """Of the highest rate: up a line, then down half a cosine."""
    rising = math.ceil(count * warm_up)
    if number < rising:
        return (number + 1) / rising
    way = (number - rising) / max(1, count - rising - 1)
    return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * way)) / 2
