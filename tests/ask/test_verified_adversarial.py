"""Words put in, left out, exchanged and swapped at random: another question is never taken for the verified one."""

from __future__ import annotations

from datetime import date

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nlsql_gateway.ask.linking import words
from nlsql_gateway.ask.verified import match
from nlsql_gateway.ask.verified_words import tokens
from tests.ask.shop import SHOP
from tests.ask.test_verified import one

TODAY = date(2026, 3, 1)
QUESTION = "number of orders above 100 by customers from 'Paris' without returns in 2025"
MEANINGS = one(QUESTION, "SELECT 1")
PARTS = QUESTION.split()

OTHERS = st.sampled_from(
    """not no never without except excluding only non but or and nor than unless Paris Rome 'Rome' 5 2024 -100 100% ten
    old new US IT A May each every all any top first last most fewer unpaid returned customers orders products price
    before after since under over between by of in to for from per with""".split()  # noqa: SIM905
)


def same(text: str) -> list[tuple[str, str]]:
    """What counts in a question."""
    return [
        (token.kind, words(token.text)[0] if token.kind == "word" and words(token.text) else token.text)
        for token in tokens(text, near=True)
        if token.kind != "mark" and not token.filler
    ]


def taken(parts: list[str]) -> bool:
    return match(" ".join(parts), MEANINGS, lambda: SHOP, TODAY) is not None


def test_the_question_itself_is_taken() -> None:
    assert taken(PARTS)
    assert taken(["please", "show", "me", "the", *PARTS])


@given(st.integers(0, len(PARTS)), OTHERS)
def test_a_word_more(at: int, other: str) -> None:
    parts = [*PARTS[:at], other, *PARTS[at:]]
    assume(same(" ".join(parts)) != same(QUESTION))
    assert not taken(parts)


@given(st.integers(0, len(PARTS) - 1))
def test_a_word_less(at: int) -> None:
    assert not taken([*PARTS[:at], *PARTS[at + 1 :]])


@given(st.integers(0, len(PARTS) - 1), OTHERS)
def test_another_word(at: int, other: str) -> None:
    parts = [*PARTS[:at], other, *PARTS[at + 1 :]]
    assume(same(" ".join(parts)) != same(QUESTION))
    assert not taken(parts)


@given(st.permutations(range(len(PARTS))))
@settings(max_examples=300)
def test_another_order(order: list[int]) -> None:
    parts = [PARTS[at] for at in order]
    assume(parts != PARTS)
    assert not taken(parts)


PARAMETERS = one("orders of {city} in {state} since {year}", "SELECT :city, :state, :year")


@given(st.lists(OTHERS, min_size=1, max_size=3), st.lists(OTHERS, min_size=1, max_size=3), OTHERS)
@settings(max_examples=500)
def test_no_word_with_a_use_becomes_a_value(city: list[str], state: list[str], year: str) -> None:
    found = match(f"orders of {' '.join(city)} in {' '.join(state)} since {year}", PARAMETERS, lambda: SHOP, TODAY)
    names = {"Paris", "Rome", "'Rome'", "US", "IT", "A"}
    if found is not None:
        assert set(city) | set(state) | {year} <= names | {"in", "since"}
        assert "not" not in found.sql
