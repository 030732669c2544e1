"""Repairs as data: what the model wrote, and what code makes of it over the shop's catalog."""

from __future__ import annotations

import pytest

from nlsql_gateway.ask.repair import mend
from tests.ask.shop import SHOP, catalog, table

MENDED = [
    (
        "the owner is another table of the query",
        "SELECT o.name FROM orders o JOIN customers c ON o.customer_id = c.id",
        "SELECT c.name FROM orders AS o JOIN customers AS c ON o.customer_id = c.id",
    ),
    (
        "a table is missing from the join",
        "SELECT c.name, SUM(o.revenue) AS r FROM customers c JOIN orders o ON c.id = o.customer_id GROUP BY c.name",
        (
            "SELECT c.name, SUM(order_items.revenue) AS r FROM customers AS c JOIN orders AS o ON c.id = o.customer_id "
            "JOIN order_items ON o.id = order_items.order_id GROUP BY c.name"
        ),
    ),
    (
        "the only table is not the one that has it, and bare names stay what they were",
        "SELECT id, city FROM orders",
        "SELECT orders.id, customers.city FROM orders JOIN customers ON orders.customer_id = customers.id",
    ),
    (
        "a qualifier that is in no FROM",
        "SELECT products.label, categories.label FROM products",
        (
            "SELECT categories.label, categories.label FROM products "
            "JOIN categories ON products.category_id = categories.id"
        ),
    ),
    (
        "an alias that nobody declared",
        "SELECT c.city FROM customers",
        "SELECT customers.city FROM customers",
    ),
    (
        "a table's own name after it was given an alias",
        "SELECT customers.name FROM customers c JOIN orders o ON o.customer_id = c.id",
        "SELECT c.name FROM customers AS c JOIN orders AS o ON o.customer_id = c.id",
    ),
    (
        "ON with a column that is not there, the tables between put in",
        "SELECT c.name FROM customers c JOIN products p ON c.product_id = p.id",
        (
            "SELECT c.name FROM customers AS c JOIN orders ON c.id = orders.customer_id "
            "JOIN order_items ON orders.id = order_items.order_id JOIN products AS p ON order_items.product_id = p.id"
        ),
    ),
    (
        "ON with columns that are there, and are no key",
        "SELECT o.id FROM orders o JOIN customers c ON o.id = c.id WHERE c.city = 'Rome'",
        "SELECT o.id FROM orders AS o JOIN customers AS c ON o.customer_id = c.id WHERE c.city = 'Rome'",
    ),
    (
        "ON with two types that do not compare",
        "SELECT p.name FROM products p JOIN categories c ON p.category_id = c.label",
        "SELECT p.name FROM products AS p JOIN categories AS c ON p.category_id = c.id",
    ),
    (
        "singular for plural",
        "SELECT customer.name FROM customer",
        "SELECT customer.name FROM customers AS customer",
    ),
    (
        "the table's name before the column's",
        "SELECT product_name FROM products",
        "SELECT products.name FROM products",
    ),
    (
        "ambiguous, but the same on both sides",
        "SELECT id FROM orders JOIN products USING (id) ORDER BY products.id",
        "SELECT id FROM orders JOIN products USING (id) ORDER BY products.id",
    ),
    (
        "an output's name in HAVING",
        "SELECT city, COUNT(*) AS n FROM customers GROUP BY city HAVING n > 3",
        "SELECT city, COUNT(*) AS n FROM customers GROUP BY city HAVING COUNT(*) > 3",
    ),
    (
        "an output's name in WHERE",
        "SELECT price * 2 AS double FROM products WHERE double > 3",
        "SELECT price * 2 AS double FROM products WHERE (price * 2) > 3",
    ),
    (
        "a sub-query that gives an outer column by accident",
        "SELECT name FROM customers WHERE id IN (SELECT city FROM orders)",
        (
            "SELECT name FROM customers WHERE id IN (SELECT customers_2.city FROM orders "
            "JOIN customers AS customers_2 ON orders.customer_id = customers_2.id)"
        ),
    ),
]

UNTOUCHED = [
    "SELECT name FROM customers WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = customers.id)",
    (
        "SELECT c.name, n FROM customers c JOIN (SELECT customer_id, count(*) AS n FROM orders GROUP BY 1) x "
        "ON x.customer_id = c.id ORDER BY n"
    ),
    "WITH x AS (SELECT * FROM orders) SELECT anything FROM x",
    "SELECT city AS place, count(*) FROM customers GROUP BY place ORDER BY place",
    "SELECT name FROM customers UNION SELECT label FROM categories ORDER BY name",
    "SELECT g FROM generate_series(1, 3) AS g",
    "SELECT customers FROM customers",
    "SELECT ctid FROM customers",
    "SELECT c.name FROM customers AS C WHERE C.id = 1",
    "SELECT l.n FROM customers c, LATERAL (SELECT count(*) AS n FROM orders o WHERE o.customer_id = c.id) l",
    "SELECT a.name FROM customers AS a JOIN customers AS b ON a.city = b.city AND a.id <> b.id",
    "SELECT o.id FROM orders AS o JOIN customers AS c ON o.customer_id = c.id AND o.id = c.id",
    "SELECT p.id FROM products AS p JOIN customers AS c ON p.name = c.name",
    "this is not SQL",
    "DELETE FROM customers",
    "SELECT " + "(" * 100 + "1" + ")" * 100,
]


@pytest.mark.parametrize(("sql", "expected"), [case[1:] for case in MENDED], ids=[case[0] for case in MENDED])
def test_names_are_put_right(sql: str, expected: str) -> None:
    mended = mend(sql, SHOP)
    assert mended.sql == expected
    assert mended.problem is None


@pytest.mark.parametrize("sql", UNTOUCHED)
def test_what_is_right_or_unreadable_stays_byte_for_byte(sql: str) -> None:
    mended = mend(sql, SHOP)
    assert mended.sql == sql
    assert mended.problem is None


def test_equated_columns_are_not_ambiguous_any_more() -> None:
    schema = catalog(table("a", "k_id integer, x text"), table("b", "k_id integer, y text"))
    assert mend("SELECT k_id FROM a JOIN b ON a.k_id = b.k_id", schema).sql == (
        "SELECT a.k_id FROM a JOIN b ON a.k_id = b.k_id"
    )


def test_mixed_case_is_quoted() -> None:
    schema = catalog(table("Orders", "orderId integer, customerName text"))
    assert mend("SELECT customerName FROM Orders", schema).sql == ('SELECT "Orders"."customerName" FROM "Orders"')
    outer = "SELECT 1 FROM Orders AS O WHERE 2 = (SELECT count(*) FROM Orders AS I WHERE I.orderId > O.orderId)"
    assert mend(outer, schema).sql == (
        'SELECT 1 FROM "Orders" AS O WHERE 2 = (SELECT COUNT(*) FROM "Orders" AS I WHERE i."orderId" > o."orderId")'
    )


@pytest.mark.parametrize(
    ("sql", "problem", "unknown"),
    [
        (
            "SELECT temperature FROM weather",
            "table weather does not exist; there are: categories, customers, order_items, orders, products",
            True,
        ),
        (
            "SELECT salary FROM customers",
            "column salary does not exist in customers; customers has: id, name, city",
            True,
        ),
        (
            "SELECT name FROM customers, products",
            "column name is ambiguous: it is in customers and in products",
            False,
        ),
    ],
)
def test_what_cannot_be_mended_is_said_in_words(sql: str, problem: str, unknown: bool) -> None:
    mended = mend(sql, SHOP)
    assert mended.problem is not None
    assert (mended.problem.message, mended.problem.unknown) == (problem, unknown)


def test_two_tables_equally_near_are_not_guessed_between() -> None:
    schema = catalog(
        table("orders", "id integer"),
        table("invoices", "id integer, order_id integer, note text", "order_id orders(id)"),
        table("parcels", "id integer, order_id integer, note text", "order_id orders(id)"),
    )
    mended = mend("SELECT note FROM orders", schema)
    assert mended.sql == "SELECT note FROM orders"
    assert mended.problem is not None
    assert mended.problem.message == "column note does not exist in orders; note is in invoices, parcels"


def test_problems_name_only_what_is_visible() -> None:
    visible = catalog(SHOP.relations["public", "orders"])
    mended = mend("SELECT name FROM orders JOIN customers ON customers.id = orders.customer_id", visible)
    assert mended.problem is not None
    assert mended.problem.message == "table customers does not exist; there are: orders"
