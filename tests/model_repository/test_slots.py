"""Which slot takes which prompt."""

from __future__ import annotations

import importlib.util
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).resolve().parents[2] / "model_repository" / "qwen2_5_coder_1_5b" / "1" / "slots.py"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("slots_under_test", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


slots: Any = _load()

SHOP = "shop schema; " * 300
BANK = "bank schema; " * 300


def never() -> bool:
    return False


def take(table: Any, prompt: str, patience: float = 0.0) -> Any:
    return table.take(prompt, patience, never)


def answer(table: Any, prompt: str) -> Any:
    """Take, read, save if wanted, give back."""
    lease = take(table, prompt)
    table.saved(lease)
    table.give_back(lease, read=True)
    return lease


@pytest.fixture
def table() -> Any:
    return slots.Slots(4, 2)


def test_the_same_schema_goes_to_the_same_slot(table: Any) -> None:
    first = answer(table, SHOP + "one")
    assert first.restore is None
    second = take(table, SHOP + "two")
    assert second.slot is first.slot
    assert second.restore is None


def test_another_schema_leaves_the_warm_slot_alone(table: Any) -> None:
    shop = answer(table, SHOP + "one")
    bank = answer(table, BANK + "one")
    assert bank.slot is not shop.slot
    assert answer(table, SHOP + "two").slot is shop.slot
    assert answer(table, BANK + "two").slot is bank.slot


def test_a_second_question_at_once_starts_from_what_was_saved(table: Any) -> None:
    first = answer(table, SHOP + "one")
    assert first.save is not None
    leases = [take(table, f"{SHOP}{number}") for number in range(4)]
    assert [lease.restore for lease in leases] == [None, first.save, first.save, first.save]
    assert len({lease.slot.number for lease in leases}) == 4


def test_what_was_saved_is_not_saved_again(table: Any) -> None:
    assert answer(table, SHOP + "one").save is not None
    assert answer(table, SHOP + "two").save is None
    assert answer(table, BANK + "one").save is not None


def test_a_short_prompt_is_not_worth_saving(table: Any) -> None:
    assert answer(table, "SELECT 1").save is None


def test_a_question_waits_for_the_one_that_reads_its_schema(table: Any) -> None:
    first = take(table, SHOP + "one")
    with pytest.raises(slots.QueueTimeoutError):
        take(table, SHOP + "two", patience=0.1)
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(take(table, SHOP + "two", patience=10)))
    waiting.start()
    other = take(table, BANK + "passes", patience=10)
    assert other.slot is not first.slot
    table.saved(first)
    table.give_back(first, read=True)
    waiting.join()
    assert got[0].slot is first.slot


def test_a_question_goes_on_once_the_schema_is_saved_not_when_it_is_answered(table: Any) -> None:
    first = take(table, SHOP + "one")
    with pytest.raises(slots.QueueTimeoutError):
        take(table, SHOP + "one", patience=0.1)
    table.saved(first)
    samples = [take(table, SHOP + "one") for _ in range(3)]
    assert [lease.restore for lease in samples] == [first.save] * 3
    assert [lease.save for lease in samples] == [None] * 3


QUESTION = "one? " * 40


def test_samples_start_from_the_whole_prompt(table: Any) -> None:
    answer(table, SHOP + "two? " * 40)
    greedy = answer(table, SHOP + QUESTION)
    first = take(table, SHOP + QUESTION)
    assert first.slot is greedy.slot
    assert first.restore is None
    assert first.save is not None
    with pytest.raises(slots.QueueTimeoutError):  # it waits for the first to be saved
        take(table, SHOP + QUESTION, 0.2)
    table.saved(first)
    second, third = take(table, SHOP + QUESTION), take(table, SHOP + QUESTION)
    assert [second.restore, third.restore] == [first.save] * 2
    assert (second.save, third.save) == (None, None)


def test_a_state_with_all_of_an_older_one_takes_its_place() -> None:
    table = slots.Slots(4, 2)
    bank = answer(table, BANK + QUESTION)
    schema = answer(table, SHOP)
    answer(table, SHOP + QUESTION)
    again = answer(table, SHOP + QUESTION)
    assert again.instead == schema.save
    assert table.forget() == schema.save
    assert table.forget() is None
    assert take(table, BANK + "two? " * 40).slot is bank.slot


def test_long_questions_take_no_place_of_other_schemas() -> None:
    table = slots.Slots(1, 2)
    answer(table, SHOP)
    before = None
    for number in range(4):
        lease = answer(table, BANK + f"{number} and so on; " * 100)
        assert lease.save is not None
        assert table.forget() == before
        before = lease.save
    assert take(table, SHOP + "two?").restore is not None


def test_copies_go_on_when_the_first_is_given_back_unsaved(table: Any) -> None:
    answer(table, SHOP)
    answer(table, SHOP + QUESTION)
    first = take(table, SHOP + QUESTION)
    table.give_back(first, read=False)
    assert take(table, SHOP + QUESTION) is not None


def test_no_slot_is_free(table: Any) -> None:
    leases = [take(table, f"question {number}") for number in range(4)]
    with pytest.raises(slots.QueueTimeoutError):
        take(table, "one more")
    table.give_back(leases[2], read=True)
    assert take(table, "one more").slot is leases[2].slot


def test_who_came_first_is_served_first(table: Any) -> None:
    leases = [take(table, f"question {number}") for number in range(4)]
    order: list[int] = []

    def wait(number: int) -> None:
        take(table, f"later {number}", patience=10)
        order.append(number)

    threads = []
    for number in range(3):
        thread = threading.Thread(target=wait, args=(number,))
        thread.start()
        threads.append(thread)
        while len(table._queue) <= number:
            pass
    for lease, thread in zip(leases, threads, strict=False):
        table.give_back(lease, read=True)
        thread.join()
    assert order == [0, 1, 2]


def test_a_cancelled_question_does_not_wait(table: Any) -> None:
    for number in range(4):
        take(table, f"question {number}")
    with pytest.raises(slots.CancelledError):
        table.take("one more", 60.0, lambda: True)
    assert table._queue == []


def test_the_oldest_saved_state_is_forgotten(table: Any) -> None:
    first = answer(table, SHOP + "one")
    assert table.forget() is None
    answer(table, BANK + "one")
    answer(table, "zoo schema; " * 300)
    assert table.forget() == first.save
    assert table.forget() is None


def test_a_state_in_use_is_not_the_oldest(table: Any) -> None:
    first = answer(table, SHOP + "one")
    bank = answer(table, BANK + "one")
    held = take(table, SHOP + "two")
    assert take(table, SHOP + "three").restore == first.save
    table.give_back(held, read=True)
    answer(table, "zoo schema; " * 300)
    assert table.forget() == bank.save


def test_nothing_is_saved_when_that_is_switched_off() -> None:
    table = slots.Slots(2, 0)
    assert answer(table, SHOP + "one").save is None


def test_a_slot_whose_prompt_was_not_read_counts_as_empty(table: Any) -> None:
    lease = take(table, SHOP + "one")
    table.give_back(lease, read=False)
    assert take(table, SHOP + "two").slot is not lease.slot


@pytest.mark.parametrize(
    ("one", "other", "length"),
    [("", "", 0), ("a", "", 0), ("abc", "abd", 2), ("abc", "abc", 3), ("abc", "abcd", 3), ("xbc", "abc", 0)],
)
def test_common(one: str, other: str, length: int) -> None:
    assert slots._common(one, other) == length
    assert slots._common(other, one) == length
