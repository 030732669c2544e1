"""Texts that another table's column holds."""

from __future__ import annotations

import pytest

from nlsql_gateway.ask.grounding import Grounded
from nlsql_gateway.ask.rehoming import rehome
from nlsql_gateway.ask.vocabulary import Held, Vocabulary
from tests.ask.shop import SHOP

CITY, NAME = (("public", "customers"), "city"), (("public", "customers"), "name")
LABEL, PRODUCT = (("public", "categories"), "label"), (("public", "products"), "name")
VOCABULARY = Vocabulary(
    [
        Held(CITY, ("Berlin", "Mars")),
        Held(NAME, ("Ada",)),
        Held(LABEL, ("Garden", "Mars", "50% off", "Lamp")),
        Held(PRODUCT, ("Lamp",)),
    ],
    SHOP,
    1 << 20,
)


@pytest.mark.parametrize(
    ("sql", "unmet", "expected"),
    [
        (
            "SELECT count(*) FROM products p WHERE p.name = 'garden'",
            "garden",
            """SELECT COUNT(*) FROM products AS p
            JOIN categories ON p.category_id = categories.id WHERE categories.label = 'Garden'""",
        ),
        (
            "SELECT count(*) FROM products p JOIN categories c ON p.category_id = c.id WHERE p.name ILIKE '%garden%'",
            "garden",
            """SELECT COUNT(*) FROM products AS p
            JOIN categories AS c ON p.category_id = c.id WHERE c.label ILIKE '%garden%'""",
        ),
        (
            "SELECT p.price FROM products p JOIN categories c ON p.category_id = c.id WHERE p.name = 'mars'",
            "mars",
            "SELECT p.price FROM products AS p JOIN categories AS c ON p.category_id = c.id WHERE c.label = 'Mars'",
        ),
    ],
)
def test_it_is_compared_with_the_column_that_holds_it(sql: str, unmet: str, expected: str) -> None:
    found = rehome(Grounded(sql, 1, (unmet,)), SHOP, VOCABULARY)
    assert found == Grounded(" ".join(expected.split()), 2, ())


@pytest.mark.parametrize(
    ("sql", "unmet"),
    [
        ("SELECT count(*) FROM products p WHERE p.name = 'mars'", "mars"),
        ("SELECT count(*) FROM products p WHERE p.name = 'nowhere'", "nowhere"),
        ("SELECT count(*) FROM customers c WHERE c.city = 'ada'", "ada"),
        ("SELECT count(*) FROM products p WHERE p.name IN ('garden', 'x')", "garden"),
        ("SELECT count(*) FROM products p WHERE p.name = 'garden' OR p.name LIKE 'garden%'", "garden"),
        ("SELECT name FROM", "garden"),
    ],
)
def test_it_stays_where_that_is_not_certain(sql: str, unmet: str) -> None:
    """Two tables hold it, or none, or the same one; it is one of a list, or stands there twice; or is not readable."""
    assert rehome(Grounded(sql, 0, (unmet,)), SHOP, VOCABULARY) == Grounded(sql, 0, (unmet,))


def test_a_column_of_the_same_name_in_the_statement_is_not_taken_for_it() -> None:
    """products.name holds it; mended by its name alone that would become the customer's."""
    only = Vocabulary([Held(PRODUCT, ("Lamp",))], SHOP, 1 << 20)
    sql = "SELECT c.id FROM customers c WHERE c.city = 'lamp'"
    found = rehome(Grounded(sql, 0, ("lamp",)), SHOP, only)
    assert "c.name" not in found.sql
