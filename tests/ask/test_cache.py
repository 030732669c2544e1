"""Answers given before: what may share one, and what is forgotten when."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from nlsql_gateway.ask import Answer, AnswerCache, Key, normal
from nlsql_gateway.ask.cache import LONGEST

KEY = Key("how many orders", "shop", "rights", "p1", "c1", "s1", "qwen", date(2026, 3, 1))
ANSWER = Answer("SELECT count(*) FROM orders", "qwen", "1", 2, 0.75)


def test_an_answer_comes_back_as_cached_and_without_attempts() -> None:
    cache = AnswerCache(10)
    cache.put(KEY, ANSWER)
    assert cache.get(KEY) == replace(ANSWER, attempts=0, cached=True)


@pytest.mark.parametrize(
    "other",
    [
        {"question": "how many customers"},
        {"database": "shop2"},
        {"rights": "others"},
        {"policy": "p2"},
        {"catalog": "c2"},
        {"semantics": "s2"},
        {"model": "sqlcoder"},
        {"today": date(2026, 3, 2)},
        {"before": ("orders of May", "SELECT 1")},
    ],
    ids=lambda other: next(iter(other)),
)
def test_whatever_differs_keeps_answers_apart(other: dict[str, Any]) -> None:
    cache = AnswerCache(10)
    cache.put(KEY, ANSWER)
    assert cache.get(KEY._replace(**other)) is None
    assert set(other) < set(Key._fields)


def test_every_part_of_a_key_is_tried_above() -> None:
    assert len(Key._fields) == 9


def test_another_version_of_the_model_makes_all_be_forgotten() -> None:
    cache = AnswerCache(10)
    cache.put(KEY, ANSWER)
    cache.put(KEY._replace(question="another"), replace(ANSWER, version="2"))
    assert cache.get(KEY) is None
    assert len(cache) == 1


def test_the_least_recently_used_goes_first() -> None:
    cache = AnswerCache(2)
    one, two, three = (KEY._replace(question=word) for word in ("one", "two", "three"))
    cache.put(one, ANSWER)
    cache.put(two, ANSWER)
    cache.get(one)
    cache.put(three, ANSWER)
    assert (cache.get(one) is None, cache.get(two) is None, cache.get(three) is None) == (False, True, False)
    assert len(cache) == 2


def test_none_are_kept_when_it_is_turned_off_or_they_are_large() -> None:
    off = AnswerCache(0)
    off.put(KEY, ANSWER)
    assert off.get(KEY) is None
    cache = AnswerCache(10)
    cache.put(KEY, replace(ANSWER, sql="x" * LONGEST))
    assert cache.get(KEY) is None


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("How many  orders?", "how many orders"),
        ("how many\n orders ?!", "How many orders."),
        ("SHOW orders;", "show orders"),
    ],
)
def test_what_cannot_matter_is_no_difference(one: str, two: str) -> None:
    assert normal(one) == normal(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("orders of Smith", "orders of smith"),
        ("Smith's orders", "smith's orders"),
        ("orders over 5", "orders over -5"),
        ("orders over 1.5", "orders over 15"),
        ("customers called 'a'", "customers called a"),
        ("customers in Paris", "customers not in Paris"),
    ],
)
def test_what_may_matter_is_one(one: str, two: str) -> None:
    assert normal(one) != normal(two)
