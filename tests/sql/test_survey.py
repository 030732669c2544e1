"""What is found in a tree, above all: which names in FROM are tables and which are CTEs."""

from __future__ import annotations

from collections import Counter

import pytest

from nlsql_gateway.sql import Batch, classify
from nlsql_gateway.sql.survey import Survey, survey, tables
from tests.tpc import reading


def of(sql: str) -> Survey:
    batch = classify(sql)
    assert isinstance(batch, Batch)
    return survey(batch.statements[0].node)


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT * FROM a, s.b", ["a", "s.b"]),
        ("WITH a AS (SELECT 1) SELECT * FROM a", []),
        ("WITH a AS (SELECT 1) SELECT * FROM s.a", ["s.a"]),
        ("WITH a AS (SELECT * FROM a) SELECT * FROM a", ["a"]),
        ("WITH RECURSIVE a AS (SELECT * FROM a) SELECT * FROM a", []),
        ("WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM b", ["b"]),
        ("WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM b", []),
        ("WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b", []),
        ("SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) x, a", ["a"]),
        ("WITH a AS (SELECT 1) SELECT * FROM (SELECT * FROM a) x WHERE EXISTS (SELECT 1 FROM a)", []),
        ("(WITH a AS (SELECT 1) SELECT * FROM a) UNION SELECT * FROM a", ["a"]),
        ("WITH a AS (SELECT 1) SELECT 1 UNION (SELECT 2 UNION SELECT * FROM a) ORDER BY (SELECT 1 FROM a)", []),
        ("WITH a AS (SELECT 1), b AS (WITH a AS (SELECT * FROM a) SELECT * FROM a) SELECT * FROM b, c", ["c"]),
        ('WITH "A" AS (SELECT 1) SELECT * FROM a', ["a"]),
        ("WITH A AS (SELECT 1) SELECT * FROM a", []),
        ("TABLE a", ["a"]),
        ("COPY a.b TO STDOUT", ["a.b"]),
        ("SELECT (SELECT 1 FROM a), ARRAY(SELECT 1 FROM b) FROM c JOIN (d JOIN e ON EXISTS (TABLE f)) ON true",
         ["a", "b", "c", "d", "e", "f"]),
        ("SELECT 1 FROM f(), ROWS FROM (g()), LATERAL (SELECT 1 FROM a) x, a TABLESAMPLE system (1)", ["a", "a"]),
        ("EXPLAIN WITH a AS (SELECT 1) SELECT * FROM a, b", ["b"]),
        ("DECLARE c CURSOR FOR WITH a AS (SELECT 1) SELECT * FROM a, b", ["b"]),
        ("SELECT * FROM d.s.t", ["d.s.t"]),
    ],
)  # fmt: skip
def test_tables(sql: str, tables: list[str]) -> None:
    assert sorted(use.written for use in of(sql).tables) == tables


def test_how_a_table_is_written() -> None:
    one, two, three = of("SELECT 1 FROM ONLY a x (p, q) TABLESAMPLE system (1), b, c AS y").relations
    assert (one.called, one.renames, one.only, one.sampled) == ("x", True, True, True)
    assert (two.called, two.renames, two.only, two.sampled) == ("b", False, False, False)
    assert (three.called, three.alias, three.location) == ("y", "y", 57)


def test_functions_wherever_they_stand() -> None:
    found = of(
        "SELECT a(), count(*) FILTER (WHERE b()) OVER (PARTITION BY c() ROWS d() PRECEDING), CASE WHEN e() THEN 1 END,"
        ' ARRAY[f()], (g()).x, h() COLLATE "C", i()::int, s.j(k => l()) FROM m(), ROWS FROM (n() AS (z int)) WHERE o()'
        " GROUP BY ROLLUP (p()) HAVING q() ORDER BY r() USING < LIMIT s() OFFSET t()"
    )
    assert sorted(use.name for use in found.functions) == sorted([*"abcdefghijlmnopqrst", "count"])
    assert [use.written for use in found.functions if use.schema] == ["s.j"]


def test_columns_operators_casts_and_joins() -> None:
    found = of(
        "SELECT a, b.c, s.d.e, b.*, (f).g, 'h'::s.i, CAST(j AS int), k OPERATOR(s.+) 1 FROM l NATURAL JOIN m"
        " JOIN n TABLESAMPLE q.r (1) USING (o, p)"
    )
    assert [use.fields for use in found.columns] == [
        ("a",),
        ("b", "c"),
        ("s", "d", "e"),
        ("b", "*"),
        ("f",),
        ("j",),
        ("k",),
    ]
    assert found.attributes == {"g"}
    assert found.operators == {("s", "+")}
    assert [(cast.type, cast.constant) for cast in found.casts] == [(("s", "i"), "h"), (("pg_catalog", "int4"), None)]
    assert found.methods == {("q", "r")}
    assert found.using == {"o", "p"}
    assert found.natural


@pytest.mark.parametrize("name", reading.NAMES)
def test_the_short_way_to_the_tables_finds_the_same(name: reading.Name) -> None:
    texts = [
        *reading.queries(name).values(),
        "WITH a AS (SELECT 1 FROM b), b AS (SELECT 2 FROM a) SELECT * FROM a, b, s.a",
        "WITH RECURSIVE a AS (SELECT 1 FROM b), b AS (WITH c AS (TABLE d) TABLE c) SELECT (TABLE b), (TABLE c) FROM a",
        "SELECT * FROM ROWS FROM (f((SELECT 1 FROM x))) WHERE EXISTS (VALUES ((TABLE y)), (ARRAY(TABLE z)))",
    ]
    for text in texts:
        batch = classify(text)
        assert isinstance(batch, Batch)
        node = batch.statements[0].node
        assert Counter(tables(node)) == Counter((use.schema, use.name) for use in survey(node).tables)


@pytest.mark.parametrize("sql", ["ALTER TYPE mood ADD VALUE 'glad'", "ALTER DOMAIN d SET NOT NULL"])
def test_a_type_that_is_named_by_a_list_is_no_cast(sql: str) -> None:
    assert of(sql).casts == ()
