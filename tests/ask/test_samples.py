"""Further answers to a doubtful question: how many are waited for, and for how long."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from datetime import date

import pytest

from nlsql_gateway.ask import Answer, Asker, Completion, Rows, Sampling
from nlsql_gateway.errors import ModelUnavailable, NoValidSql
from tests.ask.shop import SHOP, checker

NEVER = 60.0
FAILS = "SELECT bad(id) FROM customers"
FEW = "SELECT name FROM customers WHERE id < 2"
ALSO_FEW = "SELECT name, city FROM customers WHERE id < 2"
ALL = "SELECT name FROM customers"


class Sampled:
    """A Generator that gives the greedy answer at once, and each sample by its seed after so many seconds."""

    model = "sampled"
    mended = FAILS
    "What it says when it is shown the error."

    def __init__(self, greedy: str, *samples: tuple[float, str], first: float = 0.0) -> None:
        self.greedy = greedy
        self.first = first
        self.samples = samples
        self.asked = 0
        self.cancelled: list[int] = []

    async def generate(self, prompt: str, sampling: Sampling, *, timeout: float) -> Completion:
        self.asked += 1
        if sampling.temperature == 0:
            if self.asked == 1:
                await asyncio.sleep(self.first)
            return Completion(self.greedy if self.asked == 1 else self.mended, self.model, "1")
        assert sampling.seed is not None
        pause, text = self.samples[sampling.seed - 1]
        try:
            await asyncio.sleep(pause)
        except asyncio.CancelledError:
            self.cancelled.append(sampling.seed)
            raise
        if not text:
            raise ModelUnavailable("gone")
        return Completion(text, self.model, "1")

    async def ready(self) -> None:
        pass

    async def serving(self) -> str:
        return "1"

    async def aclose(self) -> None:
        pass


async def look(sql: str) -> Rows:
    return [("Ada",)] if "id < 2" in sql else [("Ada",), ("Bob",)]


def ask(model: Sampled, patience: float = math.inf) -> Answer:
    asker = Asker(
        model,
        prompt="chatml",
        repairs=2,
        samples=len(model.samples),
        max_tokens=100,
        max_prompt_tokens=6000,
        patience=patience,
    )
    faults = checker({"bad": "function bad(integer) does not exist"})
    return asyncio.run(
        asker.answer("Names of customers with a low id?", SHOP, faults, today=date(2026, 3, 1), timeout=20, look=look)
    )


@pytest.mark.parametrize(
    ("samples", "sql"),
    [
        (((0.0, FEW), (0.05, ALSO_FEW), (NEVER, ALL)), FEW),
        (((NEVER, ALL), (0.0, ALL), (0.05, ALL)), ALL),
    ],
)
def test_the_last_is_not_waited_for_when_the_others_agree(samples: Sequence[tuple[float, str]], sql: str) -> None:
    model = Sampled(FAILS, *samples)
    assert ask(model).sql == sql
    assert len(model.cancelled) == 1


def test_all_are_waited_for_when_they_differ() -> None:
    model = Sampled(FAILS, (0.0, ALL), (0.1, FEW), (0.2, FEW))
    assert ask(model).sql == FEW
    assert model.cancelled == []


def test_patience_ends_with_what_passed() -> None:
    model = Sampled(FAILS, (0.0, FAILS), (0.1, ALL), (NEVER, FEW))
    assert ask(model, patience=0.3).sql == ALL
    assert model.cancelled == [3]


def test_the_first_that_passes_is_taken_when_it_is_late() -> None:
    model = Sampled(FAILS, (0.0, FAILS), (NEVER, FEW), (0.6, ALL))
    assert ask(model, patience=0.2).sql == ALL
    assert model.cancelled == [2]


def test_nothing_more_is_asked_for_when_it_is_late() -> None:
    model = Sampled(FAILS, (0.3, FAILS), (0.0, FAILS))
    with pytest.raises(NoValidSql):
        ask(model, patience=0.1)
    assert model.asked == 3


def test_a_first_answer_that_took_long_may_still_be_mended() -> None:
    model = Sampled(FAILS, first=0.5)
    model.mended = FEW
    assert ask(model, patience=0.4).sql == FEW
    model = Sampled(FAILS, (0.4, FAILS), first=0.5)
    with pytest.raises(NoValidSql):
        ask(model, patience=0.4)
    assert model.asked == 2


def test_a_sample_that_is_refused_is_one_less() -> None:
    assert ask(Sampled(FAILS, (0.0, ""), (0.0, FEW), (0.1, ALSO_FEW))).sql == FEW
