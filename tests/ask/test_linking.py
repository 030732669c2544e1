"""What goes into the prompt, and in which order."""

from __future__ import annotations

from nlsql_gateway.ask.linking import link, rank, words
from nlsql_gateway.sql import Relation
from tests.ask.shop import SHOP, catalog, table


def names(relations: tuple[Relation, ...] | list[Relation]) -> list[str]:
    return [relation.name for relation in relations]


def one(_: Relation) -> int:
    return 1


def test_a_schema_that_fits_goes_in_whole_in_canonical_order() -> None:
    assert names(link("anything", SHOP, 5, one)) == ["categories", "customers", "order_items", "orders", "products"]


def test_a_larger_schema_is_cut_to_what_the_question_names() -> None:
    assert names(link("How many products are there?", SHOP, 1, one)) == ["products"]
    assert names(link("revenue of customers", SHOP, 3, one)) == ["customers", "order_items", "orders"]


def test_tables_that_join_two_chosen_ones_come_along() -> None:
    chosen = names(link("names of customers and labels of categories, please", SHOP, 4, one))
    assert {"customers", "categories"} <= set(chosen)
    pair = names(link("customers and order items", SHOP, 3, one))
    assert pair == ["customers", "order_items", "orders"]


def test_there_is_always_one_table() -> None:
    assert len(link("customers", SHOP, 0, one)) == 1


def test_what_does_not_fit_is_pruned_further() -> None:
    whole = link("revenue by category", SHOP, 5, cost=lambda _: 1, pruned=2)
    assert len(whole) == 5
    assert len(link("revenue by category", SHOP, 4, cost=lambda _: 1)) == 4
    assert len(link("revenue by category", SHOP, 4, cost=lambda _: 1, pruned=2)) == 2
    assert len(link("revenue by category", SHOP, 2, cost=lambda _: 1, pruned=3)) == 2


def test_the_budget_holds() -> None:
    relations = [table(f"t{number}", "id integer, x text") for number in range(500)]
    chosen = link("what is in t7", catalog(*relations), 20, lambda relation: 3)
    assert len(chosen) == 6
    assert "t7" in names(chosen)


def test_comments_and_plurals_count() -> None:
    relations = [SHOP.relations[key] for key in sorted(SHOP.relations)]
    assert rank("where do they live", relations)[0].name == "customers"
    assert rank("every category", relations)[0].name in ("categories", "products")
    assert rank("qwertz", relations) == relations


def test_words() -> None:
    assert words("orderItems order_items Categories ID2") == ["order", "item", "order", "item", "category", "id2"]


def test_sequences_are_left_out() -> None:
    sequence = Relation("public", "orders_id_seq", "sequence", ())
    assert names(link("orders", catalog(sequence, *SHOP.relations.values()), 9, one)) == names(
        link("orders", SHOP, 9, one)
    )
