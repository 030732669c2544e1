"""Notes behind a question: what does not concern it goes."""

from __future__ import annotations

import pytest

from nlsql_gateway.ask.notes import concerning

NOTES = (
    "ARPU (average revenue per user) = revenue / users. CHURN = users lost / users. "
    "To get the delivery time of parcels, join parcels and routes. Always round to two digits."
)


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("What is the ARPU of each region?", ["ARPU (average", "Always round"]),
        ("How many users are there?", ["Always round"]),
        ("What is the mean delivery time of a parcel?", ["To get the delivery", "Always round"]),
        ("How did CHURN change?", ["CHURN =", "Always round"]),
    ],
)
def test_what_concerns_the_question_stays(question: str, kept: list[str]) -> None:
    for text in (f"{question} {NOTES}", question + "\n" + NOTES.replace(". ", ".\n")):
        left = concerning(text)
        assert left.startswith(question)
        for note in ("ARPU (average", "CHURN =", "To get the delivery", "Always round"):
            assert (note in left) == (note in kept), left


def test_a_definition_brings_the_terms_that_it_uses() -> None:
    left = concerning(
        "What is the LTV of a customer?\nLTV = ARPU * months.\nARPU = revenue / users.\nCAC = costs / users."
    )
    assert "LTV =" in left
    assert "ARPU =" in left
    assert "CAC" not in left


@pytest.mark.parametrize(
    "question",
    [
        "top 5 customers by revenue",
        "Show the orders of Mr. Smith. Sort them by date.",
        "Which products cost more than 5? Return name and price.",
        "orders where status = 'open'",
    ],
)
def test_a_question_without_notes_is_itself(question: str) -> None:
    assert concerning(question) == question


def test_a_question_is_one_line() -> None:
    assert concerning("  how many\n  customers \n") == "how many customers"
    assert concerning(" \n ") == ""
