"""What of the semantics concerns a question, for a person."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nlsql_gateway.ask import load_semantics, relevant, with_joins
from nlsql_gateway.ask.joins import graph, way
from nlsql_gateway.ask.semantics import Meanings
from nlsql_gateway.ask.semantics_hints import MAX_LINE, MAX_LINES, unmatched
from nlsql_gateway.sql import Catalog, ForeignKey
from tests.ask.shop import SHOP, catalog, table

TEXT = """
version: 1
databases:
  shop:
    synonyms:
      client: customers
      turnover: order_items.revenue
      worth: [products.price, salaries.amount]
    metrics:
      revenue: sum(order_items.revenue)
      basket size: {sql: avg(order_items.quantity), description: pieces, also: [pieces per order]}
      pay: sum(salaries.amount)
    default_filters:
      - condition: orders.ordered_at IS NOT NULL
        unless: [drafts]
      - customers.city <> 'Nowhere'
      - salaries.amount > 0
    glossary:
      big order: one of 10 pieces or more
      top earner: {meaning: above 100000, tables: [salaries]}
"""
SHOPS = load_semantics(TEXT, "s.yaml").of("shop")


def lines(question: str, schema: Catalog = SHOP) -> tuple[str, ...]:
    return relevant(SHOPS, question, schema).lines


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("how many categories", ()),
        ("turnover by category", ("turnover: order_items.revenue",)),
        ("Turnovers?", ("turnover: order_items.revenue",)),
        ("total revenue", ("sum(order_items.revenue) AS revenue",)),
        ("the size of a basket", ()),
        ("Basket sizes by category", ("avg(order_items.quantity) AS basket_size (pieces)",)),
        ("pieces per order", (
            "avg(order_items.quantity) AS basket_size (pieces)",
            "Only orders.ordered_at IS NOT NULL, unless the question says otherwise",
        )),
        ("how many big orders", (
            "big order: one of 10 pieces or more",
            "Only orders.ordered_at IS NOT NULL, unless the question says otherwise",
        )),
        ("orders and drafts", ()),
        ("clients", ("client: customers", "Only customers.city <> 'Nowhere', unless the question says otherwise")),
        ("clients in nowhere", ("client: customers",)),
    ],
)  # fmt: skip
def test_only_what_the_question_speaks_of_is_told(question: str, expected: tuple[str, ...]) -> None:
    assert lines(question) == expected


def test_tables_and_columns_are_found_by_other_words() -> None:
    hints = relevant(SHOPS, "turnover of clients", SHOP)
    assert hints.tables == (("public", "customers"), ("public", "order_items"))
    assert hints.columns == ((("public", "order_items"), "revenue"),)
    assert hints.spelt_out("turnover of clients") == "turnover of clients customers order_items revenue"
    assert relevant(SHOPS, "categories", SHOP).spelt_out("categories") == "categories"


def test_nobody_is_told_of_what_they_do_not_see() -> None:
    question = "pay of top earners, worth, salaries"
    assert lines(question) == ("worth: products.price",)
    salaries = table("salaries", "id integer, amount numeric")
    everything = catalog(*SHOP.relations.values(), salaries)
    assert lines(question, everything) == (
        "worth: products.price or salaries.amount",
        "sum(salaries.amount) AS pay",
        "top earner: above 100000",
        "Only salaries.amount > 0, unless the question says otherwise",
    )
    masked = catalog(*SHOP.relations.values(), table("salaries", "id integer"))
    assert lines(question, masked) == ("worth: products.price", "top earner: above 100000")
    no_orders = catalog(*(one for one in SHOP.relations.values() if one.name != "order_items"))
    assert lines("turnover, revenue and basket size", no_orders) == ()


def test_a_prompt_gets_few_and_short_lines() -> None:
    text = "version: 1\ndatabases: {shop: {glossary: {" + ", ".join(f"t{n}: {'x' * 900}" for n in range(20)) + "}}}"
    found = relevant(load_semantics(text, "s.yaml").of("shop"), " ".join(f"t{n}" for n in range(20)), SHOP).lines
    assert len(found) == MAX_LINES
    assert {len(line) for line in found} == {MAX_LINE + 1}


def joined(text: str) -> Meanings:
    return load_semantics(f"version: 1\ndatabases: {{shop: {{joins: [{text}]}}}}", "s.yaml").of("shop")


def test_a_join_is_a_way_between_tables() -> None:
    plain = catalog(table("people", "nr integer, name text"), table("visits", "day date, who integer", key=False))
    assert way(graph(plain), [("public", "visits")], ("public", "people")) is None
    key = ForeignKey(("who",), ("public", "people"), ("nr",))
    for text in ("visits.who = people.nr", "people.nr = visits.who", "public.visits.who = public.people.nr"):
        known = with_joins(plain, joined(text))
        assert known.relations["public", "visits"].foreign_keys == (key,)
        edges = way(graph(known), [("public", "visits")], ("public", "people"))
        assert edges is not None
        assert edges[0].on == (("who", "nr"),)
        assert known.version != plain.version


def test_a_join_that_is_declared_or_not_all_seen_changes_nothing() -> None:
    assert with_joins(SHOP, joined("orders.customer_id = customers.id")) is SHOP
    assert with_joins(SHOP, joined("orders.customer_id = people.id")) is SHOP
    assert with_joins(SHOP, joined("orders.buyer = customers.id")) is SHOP
    assert with_joins(SHOP, Meanings()) is SHOP


def test_who_keeps_the_file_is_told_what_fits_nothing() -> None:
    found = list(unmatched(replace(SHOPS, joins=joined("orders.buyer = customers.id").joins), SHOP))
    assert found == [
        "synonym worth: no salaries.amount",
        "metric pay: not all of it is there",
        "default filter salaries.amount > 0: not all of it is there",
        "term top earner: no salaries",
        "join orders.buyer = customers.id",
    ]
