"""What is learnt when."""

from __future__ import annotations

from collections import Counter

import pytest

from nlsql_gateway.training.fit_data import Example
from nlsql_gateway.training.fit_plan import LAST_RATE, Schedule, plan

EXAMPLES = [Example(tuple(range(20 + number % 30)), 5, number % 3 == 0) for number in range(90)]


def schedule(
    *, seed: int = 1, epochs: tuple[int, int] = (2, 3), replay: float = 0.5, warm_up: float = 0.2, rows: int = 2
) -> Schedule:
    return Schedule(seed, 100, rows, epochs, (1e-3, 1e-4), warm_up, replay)


def seen(stage: int, **more: object) -> Counter[int]:
    steps = plan(EXAMPLES, schedule(**more))  # type: ignore[arg-type]
    return Counter(number for step in steps if step.stage == stage for row in step.rows for number in row)


def test_the_first_stage_is_easy_and_the_second_hard_with_some_of_the_first() -> None:
    assert seen(1) == {number: 2 for number in range(90) if number % 3}
    second = seen(2)
    assert {number: second[number] for number in range(0, 90, 3)} == dict.fromkeys(range(0, 90, 3), 3)
    again = Counter({number: count for number, count in second.items() if number % 3})
    assert again.total() == 3 * 15
    assert len(again) > 15, "each epoch draws anew"
    assert seen(2, replay=0.0).keys() == set(range(0, 90, 3))
    assert not seen(1, epochs=(0, 1))


def test_rows_are_full_but_never_too_full() -> None:
    rows = [row for step in plan(EXAMPLES, schedule()) for row in step.rows]
    sizes = [sum(len(EXAMPLES[number]) for number in row) for row in rows]
    assert max(sizes) <= 100
    assert sum(size > 50 for size in sizes) > 0.9 * len(sizes)
    assert all(1 <= len(step.rows) <= 2 for step in plan(EXAMPLES, schedule()))


def test_the_seed_decides_the_order() -> None:
    assert plan(EXAMPLES, schedule()) == plan(EXAMPLES, schedule())
    assert plan(EXAMPLES, schedule()) != plan(EXAMPLES, schedule(seed=2))


@pytest.mark.parametrize("stage", [1, 2])
def test_the_rate_rises_and_falls_in_each_stage(stage: int) -> None:
    highest = (1e-3, 1e-4)[stage - 1]
    rates = [step.rate for step in plan(EXAMPLES, schedule()) if step.stage == stage]
    top = rates.index(max(rates))
    assert rates[top] == pytest.approx(highest)
    assert 0 < top <= 0.25 * len(rates)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(LAST_RATE * highest)


def test_few_steps_have_a_rate_too() -> None:
    assert [step.rate for step in plan(EXAMPLES[:1], schedule(epochs=(1, 1), warm_up=0.0))] == [pytest.approx(1e-4)]
    assert plan(EXAMPLES, schedule(epochs=(0, 0))) == []
