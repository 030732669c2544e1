"""Edits as data: the text, the edits, the text after them."""

from __future__ import annotations

import pytest

from nlsql_gateway.sql import Catalog, Column, Relation
from nlsql_gateway.sql.edits import AddJoin, Edit, Equate, Expand, RenameTable, Requalify, edit
from nlsql_gateway.sql.names import outline


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
            table("other", "c", "id", "b_id"),
            table("public", "order", "Id"),
        )
    },
)


def use(sql: str, column: str) -> int:
    return next(use.index for scope in outline(sql, CATALOG).scopes for use in scope.uses if use.column == column)


@pytest.mark.parametrize(
    ("sql", "edits", "expected"),
    [
        ("SELECT y FROM a, b", [Requalify(0, "b")], "SELECT b.y FROM a, b"),
        ("SELECT y FROM a", [Requalify(0, "a", "x")], "SELECT a.x FROM a"),
        ("SELECT id FROM a", [Requalify(0, "order", "Id")], 'SELECT "order"."Id" FROM a'),
        (
            "SELECT 1 FROM a WHERE true",
            [AddJoin(0, ("public", "b"), "b", "a", (("id", "a_id"),))],
            "SELECT 1 FROM a JOIN b ON a.id = b.a_id WHERE TRUE",
        ),
        (
            "SELECT 1 FROM a JOIN b ON a.id = b.a_id",
            [AddJoin(0, ("other", "c"), "c_2", "b", (("id", "b_id"), ("y", "id")))],
            "SELECT 1 FROM a JOIN b ON a.id = b.a_id JOIN other.c AS c_2 ON b.id = c_2.b_id AND b.y = c_2.id",
        ),
        (
            "SELECT 1 FROM a AS t JOIN b ON t.q = b.r",
            [Equate((0, 1), ("t", "id"), ("b", "a_id"))],
            "SELECT 1 FROM a AS t JOIN b ON t.id = b.a_id",
        ),
        ("SELECT bs.y FROM bs", [RenameTable("bs", ("public", "b"))], "SELECT bs.y FROM b AS bs"),
        ("SELECT t.id FROM x.c t", [RenameTable("x.c", ("other", "c"))], "SELECT t.id FROM other.c AS t"),
    ],
)
def test_edits(sql: str, edits: list[Edit], expected: str) -> None:
    assert edit(sql, edits, CATALOG) == expected


def test_expand() -> None:
    sql = "SELECT x + 1 AS n FROM a WHERE n > 2"
    assert edit(sql, [Expand(0, use(sql, "n"))], CATALOG) == "SELECT x + 1 AS n FROM a WHERE (x + 1) > 2"
