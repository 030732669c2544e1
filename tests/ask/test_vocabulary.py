"""Which values a question names; how large a Vocabulary may become."""

from __future__ import annotations

import tracemalloc

import pytest

from nlsql_gateway.ask.vocabulary import Held, Met, Vocabulary, hints
from tests.ask.shop import SHOP

CITY = (("public", "customers"), "city")
NAME = (("public", "products"), "name")
LABEL = (("public", "categories"), "label")
HELD = (
    Held(CITY, ("Berlin", "New York", "São Paulo", "Bath", "CA", "IN")),
    Held(NAME, ("Desk Lamp 40", "New York", "Orders", "all", "O'Neil", "two\nlines")),
    Held(
        LABEL,
        (
            "open",
            "Garden furniture",
            "order category",
            "order item",
            "new",
            "North region",
            "South region",
            "model 2001",
        ),
    ),
)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("customers in Berlin", [("Berlin", (CITY,))]),
        ("customers in berlin?", [("Berlin", (CITY,))]),
        ("how many from new york", [("New York", (CITY, NAME))]),
        ("sales of the desk lamp 40 in BERLIN", [("Desk Lamp 40", (NAME,)), ("Berlin", (CITY,))]),
        ("who bathes in são paulo", [("São Paulo", (CITY,))]),
        ("open carts", [("open", (LABEL,))]),
        ("the order categories", [("order category", (LABEL,))]),
        ("the order items", []),
        ("how many orders for all customers", []),
        ("what is called 'orders'", [("Orders", (NAME,))]),
        ("customers in CA", [("CA", (CITY,))]),
        ("customers in ca", []),
        ("customers in general", []),
        ("new customers", []),
        ("what was sold of garden furnitures", [("Garden furniture", (LABEL,))]),
    ],
)
def test_values_are_met_word_by_word(question: str, expected: list[tuple[str, object]]) -> None:
    met = Vocabulary(HELD, SHOP, 1 << 20).named(question)
    assert [(one.value, one.places) for one in met] == expected
    assert all(one.exact for one in met)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("customers in berlinn", ["Berlin"]),
        ("garden furnitture please", ["Garden furniture"]),
        ("the model 2002", []),
        ("the north region", ["North region"]),
        ("the east region", []),
        ("in merlin", []),
    ],
)
def test_a_longer_word_may_be_misspelt(question: str, expected: list[str]) -> None:
    assert [one.value for one in Vocabulary(HELD, SHOP, 1 << 20).named(question)] == expected


def test_hints_are_conditions_and_few() -> None:
    places = tuple((("public", name), "city") for name in "abcd")
    met = (Met("O'Neil", (NAME,)), Met("far", places), Met("Bath", (CITY,)), Met("Berlin", (CITY,)))
    assert hints(met, 2) == ("products.name = 'O''Neil'", "customers.city = 'Bath'")
    assert hints(met, 0) == ()


def test_a_value_of_several_lines_never_comes_into_a_prompt() -> None:
    assert Vocabulary(HELD, SHOP, 1 << 20).named("what is 'two lines'") == ()


def test_what_it_takes_is_no_more_than_it_says() -> None:
    columns = [
        Held((("public", f"t{number}"), "c"), tuple(f"value {number} of {text}" for text in range(400)))
        for number in range(40)
    ]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    vocabulary = Vocabulary(columns, SHOP, 4 << 20)
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert taken <= vocabulary.size <= 4 << 20
    assert 10 < len(vocabulary) < 40


def test_what_a_check_lists_ranks_tables_and_needs_no_hint() -> None:
    listed = Held((("public", "orders"), "state"), ("shipped",), listed=True)
    met = Vocabulary([listed], SHOP, 1 << 20).named("what was shipped")
    assert [one.value for one in met] == ["shipped"]
    assert hints(met, 4) == ()
