"""How sure an answer is, and what is said when it is not sure enough."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date

import pytest

from nlsql_gateway.ask import Answer, Asker, Rows
from nlsql_gateway.ask.confidence import Signals, confidence, unspoken
from nlsql_gateway.errors import LowConfidence
from tests.ask.shop import SHOP, Scripted, checker

USUAL = Signals(-0.1, 1.0, sampled=False, void=False, unmet=0, unspoken=0.0)


@pytest.mark.parametrize(
    "worse",
    [
        replace(USUAL, sureness=-0.5),
        replace(USUAL, agreement=0.5),
        replace(USUAL, sampled=True),
        replace(USUAL, void=True),
        replace(USUAL, unmet=1),
        replace(USUAL, unspoken=0.5),
    ],
)
def test_each_signal_lowers_it(worse: Signals) -> None:
    assert 0 < confidence(worse) < confidence(USUAL) < 1


def test_a_sureness_that_is_not_known_is_the_usual_one() -> None:
    assert confidence(replace(USUAL, sureness=None)) == confidence(USUAL)


@pytest.mark.parametrize(
    ("question", "missing"),
    [
        ("How many customers live in each city?", []),  # lives: a comment
        ("Which products are ordered most often?", ["often"]),
        ("What is the national animal of Canada?", ["national", "animal", "canada"]),
        ("How many are there?", []),
    ],
)
def test_words_that_nothing_here_has(question: str, missing: list[str]) -> None:
    found, share = unspoken(question, "SELECT 1", SHOP)
    assert found == missing
    assert (share > 0) == bool(missing)


def test_words_of_the_sql_are_known() -> None:
    assert unspoken("customers in Canada", "SELECT 1 FROM customers WHERE city = 'Canada'", SHOP) == ([], 0.0)


def ask(question: str, sql: str, *, refuses: bool, rows: Rows = ()) -> Answer:
    async def look(text: str) -> Rows | None:
        return rows if text == sql else []

    asker = Asker(
        Scripted(sql),
        prompt="auto",
        repairs=0,
        samples=0,
        max_tokens=100,
        max_prompt_tokens=6000,
        threshold=0.4,
        refuses=refuses,
    )
    asking = asker.answer(question, SHOP, checker({}), today=date(2026, 3, 1), timeout=5.0, look=look)
    return asyncio.run(asking)


ANIMAL = ("What is the national animal of Canada?", "SELECT name FROM customers WHERE city = 'Canada'")


def test_below_the_threshold_it_is_refused_with_what_is_missing() -> None:
    with pytest.raises(LowConfidence) as caught:
        ask(*ANIMAL, refuses=True)
    assert caught.value.sqlstate == "NL004"
    assert '"Canada"' in caught.value.message
    assert ANIMAL[1] in caught.value.detail
    with pytest.raises(LowConfidence, match='"dinosaur"'):
        ask("Which dinosaurs are extinct?", "SELECT name FROM customers WHERE id < 0", refuses=True)


def test_or_given_with_its_doubt() -> None:
    answer = ask(*ANIMAL, refuses=False)
    assert answer.doubt == 'no value here is "Canada"'
    assert answer.confidence is not None
    assert answer.confidence < 0.4


def test_a_sure_answer_has_none() -> None:
    answer = ask("How many customers?", "SELECT count(*) FROM customers", refuses=True, rows=[(3,)])
    assert answer.doubt == ""
    assert answer.confidence is not None
    assert answer.confidence > 0.8


def test_a_name_that_the_answer_gives_itself_says_nothing() -> None:
    missing, share = unspoken("Rent of each city?", "SELECT city, sum(id) AS rent FROM customers GROUP BY city", SHOP)
    assert missing == ["rent"]
    assert share == 0.5
    assert unspoken("Customers of Rome?", "SELECT name FROM customers WHERE city = 'Rome'", SHOP) == ([], 0.0)
