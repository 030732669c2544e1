"""Which verified question somebody asks: the ways to say it, and all the ways to say something else."""

from __future__ import annotations

from datetime import date

import pytest
import yaml

from nlsql_gateway.ask import load_semantics
from nlsql_gateway.ask.semantics import Meanings
from nlsql_gateway.ask.verified import Match, match, shown, similar
from nlsql_gateway.sql import Catalog
from tests.ask.shop import SHOP, catalog, table

TEXT = """
version: 1
databases:
  shop:
    synonyms: {subscribers: customers}
    questions:
      - &rest
        question: How many customers are there?
        sql: SELECT count(*) FROM customers
        verified_by: ada
        verified_on: 2026-01-05
      - <<: *rest
        question: revenue of {city} in {year}
        also: ["in {year}, what was the revenue of {city}"]
        sql: SELECT :city, :year
        parameters: {year: integer}
      - <<: *rest
        question: orders since {day}
        sql: SELECT :day
        parameters: {day: date}
      - <<: *rest
        question: the top 5 customers by revenue
        sql: SELECT 5
      - <<: *rest
        question: top {n} products by revenue
        sql: SELECT :n
        parameters: {n: integer}
      - <<: *rest
        question: customers from 'Paris' who have not ordered
        sql: SELECT 'Paris'
      - <<: *rest
        question: products above {price} per category
        sql: SELECT :price
        parameters: {price: number}
      - <<: *rest
        question: orders in state {state}
        sql: SELECT :state
        parameters: {state: {values: [on hold, shipped]}}
      - <<: *rest
        question: more orders than returns
        sql: SELECT 'more'
      - <<: *rest
        question: average order value of subscribed customers
        sql: SELECT 'subscribed'
"""
SHOPS = load_semantics(TEXT, "s.yaml").of("shop")
TODAY = date(2026, 3, 1)


def found(question: str) -> Match | None:
    return match(question, SHOPS, lambda: SHOP, TODAY)


@pytest.mark.parametrize(
    ("question", "sql", "exact"),
    [
        ("How many customers are there?", "SELECT count(*) FROM customers", True),
        ("  how MANY customers are  there", "SELECT count(*) FROM customers", True),
        ("how many customers", "SELECT count(*) FROM customers", False),
        ("Please tell me: number of customers", "SELECT count(*) FROM customers", False),
        ("how many customer are there", "SELECT count(*) FROM customers", False),
        ("how many custtomers are there", "SELECT count(*) FROM customers", False),
        ("revenue of Paris in 2025", "SELECT 'Paris', 2025", True),
        ("Revenue of 'paris' in 2025?", "SELECT 'paris', 2025", True),
        ("revenue of New York in 2025", "SELECT 'New York', 2025", True),
        ("revenue of \u201cthe hague\u201d in 2025", "SELECT 'the hague', 2025", True),
        ("revenue of 'Per How Many' in 2025", "SELECT 'Per How Many', 2025", True),
        ("show me the revenue of 'Per How Many' in 2025", "SELECT 'Per How Many', 2025", False),
        ("revenue of A-113 in 2025", "SELECT 'A-113', 2025", True),
        ("revenue of O'Fallon in 2025", "SELECT 'O''Fallon', 2025", True),
        ("revenue of 'x''; DROP TABLE customers; --' in 2025", "SELECT 'x''; DROP TABLE customers; --', 2025", True),
        ("in 2025, what was the revenue of Paris?", "SELECT 'Paris', 2025", True),
        ("what is the revenue of Paris in 2025", "SELECT 'Paris', 2025", False),
        ("orders since 2026-02-01", "SELECT DATE '2026-02-01'", True),
        ("orders since yesterday", "SELECT DATE '2026-02-28'", True),
        ("top five customers by revenue", "SELECT 5", False),
        ("the top 5 customers per revenue", "SELECT 5", False),
        ("top 3 products by revenue", "SELECT 3", True),
        ("give me the top three products by revenue", "SELECT 3", False),
        ("customers from \"Paris\" who have not ordered", "SELECT 'Paris'", True),
        ("products above 1,000.50 per category", "SELECT 1000.50", True),
        ("products above 10 by category", "SELECT 10", False),
        ("orders in state ON HOLD", "SELECT 'on hold'", True),
    ],
)  # fmt: skip
def test_the_same_question_in_other_words(question: str, sql: str, exact: bool) -> None:
    matched = found(question)
    assert matched is not None
    assert (matched.sql, matched.exact) == (sql, exact)
    assert (matched.verified.by, matched.verified.on) == ("ada", date(2026, 1, 5))


@pytest.mark.parametrize(
    "question",
    [
        # a number
        "the top 10 customers by revenue",
        "the top customers by revenue",
        "the top 5.0 customers by revenue",
        "the top -5 customers by revenue",
        "the top 5% customers by revenue",
        "the top 5k customers by revenue",
        "the top 5 5 customers by revenue",
        "top 3 4 products by revenue",
        "top 3 or 4 products by revenue",
        "products above 10% per category",
        "products above 10 to 20 per category",
        "products above <10 per category",
        # a negation
        "How many customers are not there?",
        "How many customers aren't there?",
        "How many non-customers are there?",
        "How many customers are there not?",
        "customers from 'Paris' who have ordered",
        "customers not from 'Paris' who have not ordered",
        "customers from 'Paris' who have never ordered",
        "average order value of unsubscribed customers",
        "average order value of not subscribed customers",
        "average order value of subscribed customers without returns",
        "revenue of not Paris in 2025",
        "revenue of Paris not in 2025",
        "revenue outside of Paris in 2025",
        "revenue of all but Paris in 2025",
        # a value
        "customers from 'Rome' who have not ordered",
        "customers from 'paris' who have not ordered",
        "customers from Paris who have not ordered",
        "how many US customers are there",
        "how many A customers are there",
        "how many Paris customers are there",
        "how many customers are there in Paris",
        "How many customers are there today?",
        "How many customers were there in 2025?",
        # what stands in a parameter's place is no value, or more than one
        "revenue of Paris and Rome in 2025",
        "revenue of Paris or Rome in 2025",
        "revenue of Paris, Rome in 2025",
        "revenue of Paris, in 2025, and 2026 in 2024",
        "revenue of each city in 2025",
        "revenue of Customers in 2025",
        "revenue of Orders By Month in 2025",
        "revenue of cancelled orders in 2025",
        "revenue of last month in 2025",
        "revenue of Non-EU in 2025",
        "revenue of Not-Paris in 2025",
        "revenue of Last Month in 2025",
        "revenue of paris in 2025",
        "revenue of 2024 in 2025",
        "revenue of Paris in May 2025",
        "revenue of Paris in may",
        "revenue of Paris in 2025 by month",
        "revenue of Paris in 2025 and 2026",
        "revenue of Paris in 2025-2026",
        "revenue of Paris in",
        "Revenue Of Online Sales In 2025",
        "revenue of Greater Paris Without Versailles in 2025",
        "orders since 2026-02-30",
        "orders since May",
        "orders since 2026",
        "orders since tomorrow",
        "orders in state lost",
        "orders in state 'lost'",
        "orders in state not shipped",
        "orders in state shipped or on hold",
        # another order of the words
        "more returns than orders",
        "revenue by the top 5 customers",
        # other words
        "revenue from Paris in 2025",
        "average order values of subscriber customers",
        "average order value of subscribing customers",
        "total order value of subscribed customers",
        "how many customs are there",
        "how many costumers are there",
        "how many categories are there",
        "how many orders are there",
        "customers",
        "",
        "?",
    ],
)
def test_another_question_is_none_of_them(question: str) -> None:
    assert found(question) is None


def test_a_typo_counts_only_in_the_names_of_the_schema() -> None:
    assert found("how many custoners are there") is None, "a letter that is exchanged makes another word too often"
    without = catalog(table("people", "id integer"))
    assert match("how many custtomers are there", SHOPS, lambda: without, TODAY) is None
    both = catalog(*SHOP.relations.values(), table("custtomers", "id integer"))
    assert match("how many custtomers are there", SHOPS, lambda: both, TODAY) is None


def test_two_that_fit_are_none() -> None:
    text = (
        TEXT
        + """
      - <<: *rest
        question: top {n} {things} by revenue
        sql: SELECT :n, :things
        parameters: {n: integer, things: {values: [products]}}
"""
    )
    both = load_semantics(text, "s.yaml").of("shop")
    assert match("top 3 products by revenue", both, lambda: SHOP, TODAY) is None


def one(question: str, sql: str) -> Meanings:
    """A file with one question."""
    verified = {"question": question, "sql": sql, "verified_by": "ada", "verified_on": "2026-01-05"}
    text = yaml.safe_dump({"version": 1, "databases": {"shop": {"questions": [verified]}}})
    return load_semantics(text, "s.yaml").of("shop")


def test_values_that_could_be_laid_out_in_two_ways_are_none() -> None:
    meanings = one("share of {a} {b}", "SELECT :a, :b")
    assert match("share of Rome Paris Oslo", meanings, lambda: SHOP, TODAY) is None
    both = match("share of 'New York' Oslo", meanings, lambda: SHOP, TODAY)
    assert both is not None
    assert both.sql == "SELECT 'New York', 'Oslo'"


def test_the_schema_is_not_needed_for_a_question_that_is_like_none() -> None:
    def schema() -> Catalog:
        raise AssertionError("nothing is like it")

    assert match("weather tomorrow", SHOPS, schema, TODAY) is None


def test_the_most_similar_come_first() -> None:
    best = similar("top ten products by price", SHOPS.questions, 2)
    assert [one.wordings[0] for one in best] == ["top {n} products by revenue", "the top 5 customers by revenue"]
    assert similar("anything", (), 3) == []


@pytest.mark.parametrize(
    ("sql", "may"),
    [
        ("SELECT count(*) FROM customers", True),
        ("SELECT c.city AS x FROM customers c ORDER BY x", True),
        ("WITH b AS (SELECT id AS nr FROM orders) SELECT b.nr FROM b", True),
        ("SELECT salary FROM customers", False),
        ("SELECT c.salary FROM customers c", False),
        ("SELECT 1 FROM salaries", False),
        ("SELECT name FROM customers WHERE id IN (SELECT id FROM salaries)", False),
    ],
)
def test_an_example_is_shown_to_who_sees_all_of_it(sql: str, may: bool) -> None:
    assert shown(one("x", sql).questions[0], SHOP) is may
