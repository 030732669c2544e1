"""The outline of a SELECT's names."""

from __future__ import annotations

import pytest

from nlsql_gateway.errors import LimitError, StatementError
from nlsql_gateway.sql import Catalog, Column, Relation
from nlsql_gateway.sql.names import MAX_NESTING, MAX_TEXT, outline, quote


def table(schema: str, name: str, *columns: str) -> Relation:
    return Relation(schema, name, "table", tuple(Column(column, "integer") for column in columns))


CATALOG = Catalog(
    "d",
    "v",
    180000,
    ("pg_catalog", "public"),
    {
        relation.key: relation
        for relation in (
            table("public", "a", "id", "x"),
            table("public", "b", "id", "a_id", "y"),
            table("other", "c", "id", "z"),
            table("public", "Mixed", "Id"),
        )
    },
)


def sources(sql: str) -> list[list[tuple[str, tuple[str, str] | None, tuple[str, ...] | None]]]:
    return [
        [(source.alias, source.relation, source.columns) for source in scope.sources]
        for scope in outline(sql, CATALOG).scopes
    ]


def test_sources_are_found_as_postgres_finds_them() -> None:
    assert sources("SELECT 1 FROM a, b AS B2 JOIN other.c ON true") == [
        [
            ("a", ("public", "a"), ("id", "x")),
            ("b2", ("public", "b"), ("id", "a_id", "y")),
            ("c", ("other", "c"), ("id", "z")),
        ]
    ]
    assert sources('SELECT 1 FROM A, "Mixed"') == [
        [("a", ("public", "a"), ("id", "x")), ("Mixed", ("public", "Mixed"), ("Id",))]
    ]
    assert sources("SELECT 1") == [[]]


def test_what_the_catalog_does_not_have_is_unknown() -> None:
    sql = "SELECT 1 FROM nowhere n, c, mixed, generate_series(1, 2) g, other.c AS d"
    found = outline(sql, CATALOG)
    assert found.unknown == ("nowhere", "c", "mixed")  # c is not on the search path, mixed is not "Mixed"
    assert [(source.alias, source.relation) for source in found.scopes[0].sources] == [
        ("n", None),
        ("c", None),
        ("mixed", None),
        ("g", None),
        ("d", ("other", "c")),
    ]


def test_derived_tables_tell_their_columns_where_that_is_certain() -> None:
    (inner, outer) = sources("SELECT 1 FROM (SELECT x, count(*) AS n, max(x), 1 FROM a GROUP BY 1) AS d")
    assert outer == [("d", None, ("x", "n", "max", "?column?"))]
    assert inner == [("a", ("public", "a"), ("id", "x"))]
    assert sources("SELECT 1 FROM (SELECT * FROM a) AS d")[-1] == [("d", None, None)]
    assert sources("SELECT 1 FROM (SELECT x FROM a) AS d(renamed)")[-1] == [("d", None, None)]
    assert sources("WITH d AS (SELECT x FROM a UNION SELECT y FROM b) SELECT 1 FROM d AS e")[-1] == [
        ("e", None, ("x",))
    ]


def test_a_cte_hides_a_table() -> None:
    assert sources("WITH a AS (SELECT y FROM b) SELECT 1 FROM a")[-1] == [("a", None, ("y",))]


def test_uses_say_where_they_stand() -> None:
    (scope,) = outline(
        "SELECT x AS n, b.y FROM a JOIN b ON a.id = b.a_id WHERE x > 1 GROUP BY n HAVING count(b.y) > 2 ORDER BY n",
        CATALOG,
    ).scopes
    assert sorted((use.table, use.column, use.join, use.clause) for use in scope.uses) == sorted(
        [
            ("", "x", "", ""),
            ("b", "y", "", "output"),
            ("a", "id", "b", ""),
            ("b", "a_id", "b", ""),
            ("", "x", "", "where"),
            ("", "n", "", ""),
            ("b", "y", "", "having"),
            ("", "n", "", ""),
        ]
    )
    uses = {use.index: (use.table, use.column) for use in scope.uses}
    assert [(uses[left], uses[right]) for left, right in scope.equalities] == [(("a", "id"), ("b", "a_id"))]
    assert scope.outputs == {"n"}
    assert scope.aggregates == frozenset()


def test_a_sub_query_sees_what_is_around_it() -> None:
    inner, outer = outline("SELECT (SELECT max(y) AS m FROM b WHERE b.a_id = a.id) FROM a", CATALOG).scopes
    assert [source.alias for source in inner.outer] == ["a"]
    assert outer.outer == ()
    assert inner.aggregates == {"m"}
    assert outer.uses == ()


def test_using_merges() -> None:
    (scope,) = outline("SELECT id FROM a JOIN b USING (id)", CATALOG).scopes
    assert scope.merged == {"id"}


@pytest.mark.parametrize(
    "sql",
    ["", "DELETE FROM a", "SELECT 1; SELECT 2", "SELECT FROM WHERE", "EXPLAIN SELECT 1"],
)
def test_what_is_not_one_select_is_an_error(sql: str) -> None:
    with pytest.raises(StatementError):
        outline(sql, CATALOG)


def test_limits_hold_before_parsing() -> None:
    with pytest.raises(LimitError):
        outline("SELECT " + "(" * (MAX_NESTING + 1) + "1" + ")" * (MAX_NESTING + 1), CATALOG)
    with pytest.raises(LimitError):
        outline("SELECT '" + "x" * MAX_TEXT + "'", CATALOG)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("customers", "customers"),
        ("name", "name"),
        ("year", "year"),
        ("order", '"order"'),
        ("left", '"left"'),
        ("values", '"values"'),
        ("Mixed", '"Mixed"'),
        ("two words", '"two words"'),
        ('a"b', '"a""b"'),
        ("1st", '"1st"'),
        ("é", '"é"'),
        ("", '""'),
    ],
)
def test_names_are_quoted_only_where_they_must_be(name: str, written: str) -> None:
    assert quote(name) == written
