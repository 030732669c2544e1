"""What a query orders by, selected as well."""

from __future__ import annotations

import pytest

from nlsql_gateway.sql.order_keys import Keyed, with_order_keys


@pytest.mark.parametrize(
    ("sql", "keyed"),
    [
        ("SELECT a FROM t ORDER BY b DESC LIMIT 3", "SELECT a, b AS order_key_0 FROM t ORDER BY b DESC LIMIT 3"),
        ("SELECT a AS x FROM t ORDER BY x", "SELECT a AS x, a AS order_key_0 FROM t ORDER BY x"),
        ("SELECT a AS X FROM t ORDER BY x", "SELECT a AS X, a AS order_key_0 FROM t ORDER BY x"),
        ('SELECT a AS "X" FROM t ORDER BY x', 'SELECT a AS "X", x AS order_key_0 FROM t ORDER BY x'),
        (
            "SELECT a, count(*) FROM t GROUP BY a ORDER BY 2 DESC, a",
            "SELECT a, COUNT(*), COUNT(*) AS order_key_0, a AS order_key_1 FROM t GROUP BY a ORDER BY 2 DESC, a",
        ),
        ("SELECT DISTINCT a FROM t ORDER BY a", "SELECT DISTINCT a, a AS order_key_0 FROM t ORDER BY a"),
    ],
)
def test_keys(sql: str, keyed: str) -> None:
    found = with_order_keys(sql)
    assert found is not None
    assert found.sql == keyed


@pytest.mark.parametrize("sql", ["SELECT a FROM t", "SELECT a FROM (SELECT a FROM t ORDER BY b) x", "no SQL ("])
def test_no_order(sql: str) -> None:
    assert with_order_keys(sql) is None


@pytest.mark.parametrize(
    "sql",
    ["SELECT a FROM t UNION SELECT a FROM u ORDER BY a", "SELECT *, a FROM t ORDER BY 2", "SELECT a FROM t ORDER BY 7"],
)
def test_an_order_whose_keys_cannot_be_shown(sql: str) -> None:
    assert with_order_keys(sql) == Keyed("", 0)
