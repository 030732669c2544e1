"""What code does to an answer for the question's sake."""

from __future__ import annotations

import pytest

from nlsql_gateway.ask.rework import is_meant, rework
from tests.ask.shop import SHOP


@pytest.mark.parametrize(
    ("question", "sql", "better"),
    [
        ("all products", "SELECT id FROM products", "SELECT products.name, id FROM products"),
        ("all product ids", "SELECT id FROM products", "SELECT id FROM products"),
        ("the id of every product", "SELECT id FROM products", "SELECT id FROM products"),
        (
            "orders to pieces",
            "SELECT count(DISTINCT order_id), sum(quantity) FROM order_items",
            "SELECT count(DISTINCT order_id), sum(quantity) FROM order_items",
        ),
        (
            "ratio of orders to pieces",
            "SELECT count(DISTINCT order_id), sum(quantity) FROM order_items",
            (
                "SELECT COUNT(DISTINCT order_id), SUM(quantity), "
                "CAST(COUNT(DISTINCT order_id) AS DECIMAL) / NULLIF(SUM(quantity), 0) AS ratio FROM order_items"
            ),
        ),
        ("anything", "SELECT FROM WHERE", "SELECT FROM WHERE"),
    ],
)
def test_rework(question: str, sql: str, better: str) -> None:
    assert rework(sql, question, SHOP).sql == better


def test_a_table_is_meant_by_a_word_that_is_its_own() -> None:
    products, items = ("public", "products"), ("public", "order_items")
    assert is_meant(products, (items,), "every product")
    assert not is_meant(products, (items,), "every order")
    assert is_meant(("public", "t_lndng"), (products,), "how many lendings")
    assert not is_meant(("public", "t_lndng"), (products,), "how many landlords")
    assert is_meant(items, (products,), "those with president votes", {"president_vote"})
    assert not is_meant(items, (products,), "the product with this number", {"product_id", "product_number"})
    assert not is_meant(products, (("public", "product_names"),), "every product")
