"""When a question goes on from the one before, and what it goes on from."""

from __future__ import annotations

import pytest

from nlsql_gateway.ask.followups import LONGEST, Topic, goes_on, nouns, topic
from tests.ask.shop import SHOP


@pytest.mark.parametrize(
    "question",
    [
        "and by month?",
        "And for Europe",
        "but without returns",
        "also show the city",
        "what about 2024?",
        "How about Asia",
        "only those above 100",
        "just the first five",
        "same for products",
        "the same by year",
        "now per region",
        "instead of the sum, the average",
        "sort by name",
        "sorted by name",
        "order them by date",
        "group by month",
        "break it down by city",
        "limit to 10",
        "add the city",
        "leave out Paris",
        "in 2025?",
        "by month",
        "for the last quarter",
        "without cancelled ones",
        "as a percentage",
        "orders of 2024 instead",
        "show the city as well",
        "which of them live in Paris?",
        "What are their orders?",
        "How many of those were late?",
        "its price",
        "the names of those",
        "and how many of those customers who live in Paris",
        "how old are they",
    ],
)
def test_it_goes_on(question: str) -> None:
    assert goes_on(question, lambda: nouns(SHOP))


@pytest.mark.parametrize(
    "question",
    [
        "how many orders are there",
        "revenue by store",
        "Orders by month",
        "group orders by month",
        "Order items by product",
        "sort customers by name",
        "customers and their orders",
        "show each customer with his orders",
        "products that customers bought, and what they paid",
        "display those employees who earn more than 1000",
        "names of those with more than two orders",
        "In which department do those work who were hired in 2020?",
        "List all actors and their films",
        "Among the professors with students, how many of them are old?",
        "which albums were released with their own cover, and sold well too",
        "what is the price of a piano that was shipped to the far end of the country again",
        "how many vases did Ann break in her shop",
        "in 2025, what was the revenue by store",
        "for each customer the number of orders",
        "which customers have no orders",
        "how many orders were placed this month",
        "is that product still sold",
        "what does the IT department cost",
        "android phones sold",
        "nowhere is a city",
        "butter and bread",
        "additional costs by month",
        "bypass valves sold",
        "",
    ],
)
def test_it_stands_by_itself(question: str) -> None:
    assert not goes_on(question, lambda: nouns(SHOP))


def test_names_are_looked_up_only_for_a_pronoun() -> None:
    def asked() -> frozenset[str]:
        raise AssertionError("there is no pronoun")

    assert goes_on("and by month", asked)
    assert not goes_on("revenue by store", asked)


def test_a_topic_is_what_was_asked_so_far() -> None:
    first = topic("revenue by store", "SELECT 1", None, ("p", "r"))
    assert first == Topic("revenue by store", "SELECT 1", ("p", "r"))
    second = topic("and by month", "SELECT 2", first, ("p", "r"))
    assert second == Topic("revenue by store / and by month", "SELECT 2", ("p", "r"))
    long = topic("x" * 400, "SELECT 3", topic("y" * 400, "SELECT 2", None, ("p", "r")), ("p", "r"))
    assert len(long.question) == LONGEST
    assert long.question.endswith("x" * 400)
