"""Spider's four levels, on queries made for it."""

from __future__ import annotations

import pytest

from nlsql_gateway.sql.difficulty import difficulty


@pytest.mark.parametrize(
    ("sql", "level"),
    [
        ("SELECT count(*) FROM singer", "easy"),
        ("SELECT name FROM singer WHERE age > 20", "easy"),
        ("SELECT name FROM singer ORDER BY age", "easy"),
        ("SELECT name, age FROM singer", "medium"),
        ("SELECT name FROM singer WHERE age > 20 ORDER BY age", "medium"),
        ("SELECT country, count(*) FROM singer GROUP BY country", "medium"),
        ("SELECT min(age), max(age) FROM singer WHERE country = 'France'", "medium"),
        ("SELECT name FROM singer WHERE age > 20 AND country = 'France'", "medium"),
        ("SELECT name FROM singer ORDER BY age DESC LIMIT 1", "medium"),
        ("SELECT name, age FROM singer WHERE age > 20 ORDER BY age LIMIT 3", "hard"),
        ("SELECT s.name FROM singer s JOIN song t ON s.id = t.singer WHERE t.title LIKE 'A%'", "hard"),
        ("SELECT name FROM singer WHERE id IN (SELECT singer FROM song)", "hard"),
        ("SELECT name FROM singer EXCEPT SELECT name FROM band", "hard"),
        ("SELECT a, sum(b) FROM t JOIN u USING (i) WHERE c > 1 OR d > 1 GROUP BY a, e ORDER BY 2 LIMIT 1", "extra"),
        ("SELECT name FROM singer WHERE age > (SELECT avg(age) FROM singer) ORDER BY age", "extra"),
        ("WITH x AS (SELECT 1 AS a), y AS (SELECT a FROM x) SELECT a FROM y", "extra"),
        ("this is no SQL (", "extra"),
    ],
)
def test_levels(sql: str, level: str) -> None:
    assert difficulty(sql) == level


def test_a_query_in_a_query_has_its_own_components() -> None:
    """What stands inside counts as one nested query, however long it is."""
    inner = "SELECT max(a) FROM t JOIN u USING (i) WHERE b > 1 OR c LIKE 'x' GROUP BY d ORDER BY 1 LIMIT 1"
    assert difficulty(f"SELECT name FROM singer WHERE age = ({inner})") == "hard"
