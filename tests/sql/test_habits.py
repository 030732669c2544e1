"""People's habits for Postgres's, in a model's answer: what changes, and what must stay byte for byte."""

from __future__ import annotations

import pytest

from nlsql_gateway.errors import StatementError
from nlsql_gateway.sql.habits import listed_once, settle, shows_words_only, with_names, with_ratio
from tests.ask.shop import SHOP, catalog, table

BOOKS = catalog(
    table("books", "id integer, title text, published integer, price numeric, pages bigint"),
    table("loans", "id integer, book_id integer, reader text", "book_id books(id)"),
)


@pytest.mark.parametrize(
    ("sql", "settled"),
    [
        # Two integers divide to an integer in Postgres, and a divisor of zero ends the statement.
        (
            "SELECT SUM(pages) / COUNT(*) FROM books",
            "SELECT CAST(SUM(pages) AS DECIMAL) / NULLIF(COUNT(*), 0) FROM books",
        ),
        (
            "SELECT (SELECT COUNT(*) FROM books) / (SELECT COUNT(*) FROM loans)",
            "SELECT CAST((SELECT COUNT(*) FROM books) AS DECIMAL) / NULLIF((SELECT COUNT(*) FROM loans), 0)",
        ),
        (
            "WITH n AS (SELECT COUNT(*) AS a, COUNT(title) AS b FROM books) SELECT a / b FROM n",
            (
                "WITH n AS (SELECT COUNT(*) AS a, COUNT(title) AS b FROM books) "
                "SELECT CAST(a AS DECIMAL) / NULLIF(b, 0) FROM n"
            ),
        ),
        ("SELECT price / pages FROM books", "SELECT price / NULLIF(pages, 0) FROM books"),
        # Also where the measure is shown because it is sorted by.
        (
            "SELECT title FROM books GROUP BY title ORDER BY SUM(pages) / 4",
            (
                "SELECT title, CAST(SUM(pages) AS DECIMAL) / 4 FROM books GROUP BY title "
                "ORDER BY CAST(SUM(pages) AS DECIMAL) / 4"
            ),
        ),
        # Nulls sort as the largest.
        (
            "SELECT title FROM books ORDER BY price DESC LIMIT 5",
            "SELECT title FROM books ORDER BY price DESC NULLS LAST LIMIT 5",
        ),
        ("SELECT 1 FROM books WHERE title LIKE '%sea%'", "SELECT 1 FROM books WHERE title ILIKE '%sea%'"),
        # GROUP BY is completed, its keys and what is sorted by are shown.
        (
            "SELECT b.title, b.price, COUNT(l.id) FROM books b JOIN loans l ON l.book_id = b.id GROUP BY b.title",
            (
                "SELECT b.title, b.price, COUNT(l.id) FROM books AS b JOIN loans AS l ON l.book_id = b.id "
                "GROUP BY b.title, b.price"
            ),
        ),
        (
            "SELECT COUNT(*) FROM loans GROUP BY reader ORDER BY MAX(id)",
            "SELECT reader, COUNT(*), MAX(id) FROM loans GROUP BY reader ORDER BY MAX(id)",
        ),
        (
            "SELECT EXTRACT(YEAR FROM published), COUNT(*) FROM books GROUP BY EXTRACT(YEAR FROM published)",
            "SELECT published, COUNT(*) FROM books GROUP BY published",
        ),
    ],
)
def test_settled(sql: str, settled: str) -> None:
    assert settle(sql, BOOKS) == settled
    assert settle(settled, BOOKS) == settled, "twice is once"


@pytest.mark.parametrize(
    "sql",
    [
        # What a FILTER, a WITHIN GROUP or an aggregate that sqlglot does not know looks at is not grouped by.
        "SELECT published, COUNT(*) FILTER (WHERE pages > 100) FROM books GROUP BY published",
        "SELECT published, PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY pages) FROM books GROUP BY published",
        "SELECT published, MODE() WITHIN GROUP (ORDER BY pages) FROM books GROUP BY published",
        "SELECT published, jsonb_agg(title), every(pages > 9) FROM books GROUP BY published",
        "select  price/2 from books",  # its own text, spaces and all
        "SELECT published / 10 * 10 AS decade FROM books",
        "SELECT price / 2.0 FROM books",
        "SELECT title FROM books ORDER BY price",
        "SELECT published, COUNT(*) FROM books GROUP BY 1",
        "SELECT published AS year, COUNT(*) FROM books GROUP BY year",
        "SELECT published, COUNT(*) FROM books GROUP BY ROLLUP (published)",
        "SELECT DISTINCT COUNT(*) FROM books GROUP BY published",
        "SELECT COUNT(*) FROM books",
    ],
)
def test_left_as_it_is(sql: str) -> None:
    assert settle(sql, BOOKS) == sql


@pytest.mark.parametrize(
    ("sql", "once"),
    [
        (
            "SELECT b.title FROM books b JOIN loans l ON l.book_id = b.id WHERE l.reader = 'x'",
            "SELECT DISTINCT b.title FROM books AS b JOIN loans AS l ON l.book_id = b.id WHERE l.reader = 'x'",
        ),
        ("SELECT book_id FROM loans WHERE reader = 'x'", "SELECT DISTINCT book_id FROM loans WHERE reader = 'x'"),
    ],
)
def test_listed_once(sql: str, once: str) -> None:
    assert listed_once(sql, BOOKS) == once


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT title FROM books",  # two books of one title are two books
        "SELECT id FROM loans",
        "SELECT b.title, l.reader FROM books b JOIN loans l ON l.book_id = b.id",
        "SELECT b.title FROM books b JOIN loans l ON l.book_id = b.id ORDER BY l.id",
        "SELECT b.title FROM books b JOIN loans l ON l.book_id = b.id LIMIT 3",
        "SELECT COUNT(b.id) FROM books b JOIN loans l ON l.book_id = b.id",
        "SELECT * FROM books",
    ],
)
def test_not_listed_once(sql: str) -> None:
    assert listed_once(sql, BOOKS) == sql


def test_names_beside_other_columns() -> None:
    shown = "SELECT books.title, price FROM books WHERE price > 5"
    assert with_names("SELECT price FROM books WHERE price > 5", BOOKS) == shown
    for other in (
        shown,
        "SELECT title FROM books",
        "SELECT DISTINCT price FROM books",
        "SELECT MAX(price) FROM books",
        "SELECT price, COUNT(*) FROM books GROUP BY price",
        "SELECT l.id FROM loans l JOIN books b ON b.id = l.book_id",
        "SELECT reader FROM loans",
    ):
        assert with_names(other, BOOKS) == other


def test_the_ratio_of_two_aggregates() -> None:
    two = "SELECT SUM(quantity), COUNT(*) FROM order_items"
    assert with_ratio(two) == (
        "SELECT SUM(quantity), COUNT(*), CAST(SUM(quantity) AS DECIMAL) / NULLIF(COUNT(*), 0) AS ratio FROM order_items"
    )
    for other in ("SELECT COUNT(*) FROM order_items", "SELECT SUM(quantity) / COUNT(*), COUNT(*) FROM order_items"):
        assert with_ratio(other) == other


def test_words_of_its_own() -> None:
    assert shows_words_only("SELECT 'Yes, it can' AS answer")
    assert shows_words_only("SELECT 'a', 'b' FROM books")
    assert not shows_words_only("SELECT 'books', COUNT(*) FROM books")
    assert not shows_words_only("SELECT CURRENT_DATE")


def test_what_cannot_be_read_is_said() -> None:
    with pytest.raises(StatementError):
        settle("SELECT FROM WHERE", SHOP)
