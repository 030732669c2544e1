"""What is learnt when."""

from __future__ import annotations

from collections import Counter

import pytest

from nlsql_gateway.training.fit_data import Example
from nlsql_gateway.training.fit_plan import KEY, LAST_RATE, Schedule, cost, plan, shared

EXAMPLES = [Example((number, *range(19 + number % 30)), 5, number % 3 == 0) for number in range(90)]
"Each begins with another token, so that none share anything."


def schedule(
    *,
    seed: int = 1,
    epochs: tuple[int, int] = (2, 3),
    replay: float = 0.5,
    warm_up: float = 0.2,
    rows: int = 2,
    row_tokens: int = 100,
    share: int = 4,
) -> Schedule:
    return Schedule(seed, row_tokens, rows, share, epochs, (1e-3, 1e-4), warm_up, replay)


def seen(stage: int, **more: object) -> Counter[int]:
    steps = plan(EXAMPLES, schedule(**more))  # type: ignore[arg-type]
    bundles = [bundle for step in steps if step.stage == stage for row in step.rows for bundle in row]
    return Counter(number for bundle in bundles for number in bundle)


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
    sizes = [sum(len(EXAMPLES[number]) for bundle in row for number in bundle) for row in rows]
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


def prompts(schema: int, count: int, size: int = 60) -> list[Example]:
    """Of one schema, whose questions differ."""
    head = (0,) * 10 + (schema,) * size
    return [Example((*head, 1000 + number, 7, 8), len(head) + 2, False) for number in range(count)]


def test_what_begins_alike_is_bundled() -> None:
    examples = [example for schema in (1, 2, 3) for example in prompts(schema, 6)]
    steps = plan(examples, schedule(epochs=(1, 0), row_tokens=200))
    bundles = [bundle for step in steps for row in step.rows for bundle in row]
    assert sorted(len(bundle) for bundle in bundles) == [2, 2, 2, 4, 4, 4]
    assert all(len({number // 6 for number in bundle}) == 1 for bundle in bundles)
    for row in (row for step in steps for row in step.rows):
        assert sum(cost([examples[number] for number in bundle]) for bundle in row) <= 200
    assert sorted(number for bundle in bundles for number in bundle) == list(range(18))
    alone = plan(examples, schedule(epochs=(1, 0), row_tokens=200, share=1))
    assert all(len(bundle) == 1 for step in alone for row in step.rows for bundle in row)


def test_a_bundle_is_never_longer_than_a_row() -> None:
    examples = [Example((*prompts(1, 1)[0].tokens[:70], *range(100, 190)), 80, False) for _ in range(4)]
    examples = [Example((*one.tokens[:79], number, *one.tokens[80:]), 80, False) for number, one in enumerate(examples)]
    steps = plan(examples, schedule(epochs=(1, 0), row_tokens=250))
    assert [len(bundle) for step in steps for row in step.rows for bundle in row] == [2, 2]


def test_what_is_shared_is_never_learnt() -> None:
    one, other = prompts(1, 2)
    assert shared([one]) == 0
    assert shared([one, other]) == 70
    assert cost([one, other]) == 70 + 2 * 3
    same = [one, Example((*one.tokens[:-1], 9), one.begin, False)]
    assert shared(same) == one.begin - 1
    assert KEY < 70


def test_those_that_share_little_stay_apart() -> None:
    """The same rules before two schemas."""
    examples = [Example((0,) * KEY + (schema,) * 80, KEY + 78, False) for schema in (1, 2)]
    steps = plan(examples, schedule(epochs=(1, 0), row_tokens=300))
    assert sorted(bundle for step in steps for row in step.rows for bundle in row) == [(0,), (1,)]
