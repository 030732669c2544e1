"""Parameters in a verified question's SQL: where they stand, and what a value becomes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.ask.semantics import Type
from nlsql_gateway.ask.verified_sql import constant, filled, names_in, numbered
from nlsql_gateway.sql import grammar


def test_a_name_counts_only_where_the_scanner_sees_a_colon_and_a_word() -> None:
    sql = "SELECT a::date, ':x', \":y\", $$:z$$, :x, :Year -- :w\n/* :v */"
    assert names_in(sql, ["x", "year"]) == {"x", "year"}
    assert filled(sql, {"x": "'é'", "year": "2026"}) == (
        "SELECT a::date, ':x', \":y\", $$:z$$, 'é', 2026 -- :w\n/* :v */"
    )


def test_numbers_count_the_parameters_of_the_question() -> None:
    assert numbered("SELECT 'é$1', $2, $1", ["a", "b"]) == "SELECT 'é$1', :b, :a"
    with pytest.raises(ValueError, match=r"no 3\. parameter"):
        numbered("SELECT $3", ["a", "b"])


@pytest.mark.parametrize(
    ("value", "of", "expected"),
    [
        ("5", "integer", "5"),
        ("-5", "integer", "(-5)"),
        ("5.0", "integer", None),
        ("5; DROP", "integer", None),
        ("1.50", "number", "1.50"),
        ("-1e3", "number", "(-1000)"),
        ("nan", "number", None),
        ("Infinity", "number", None),
        ("five", "number", None),
        ("2026-02-28", "date", "DATE '2026-02-28'"),
        ("2026-02-30", "date", None),
        ("Yes", "boolean", "true"),
        ("maybe", "boolean", None),
        ("O'Brien", "text", "'O''Brien'"),
        ("a\\'; DROP TABLE x --", "text", "E'a\\\\''; DROP TABLE x --'"),
        ("", "text", None),
        ("a\0b", "text", None),
    ],
)
def test_a_value_is_a_constant_of_its_type_or_nothing(value: str, of: Type, expected: str | None) -> None:
    assert constant(value, of) == expected


@given(st.text(min_size=1, max_size=50), st.sampled_from(["text", "integer", "number", "date", "boolean"]))
def test_whatever_is_filled_in_is_one_constant(value: str, of: Type) -> None:
    written = constant(value, of)
    if written is None:
        return
    try:
        sql = filled("SELECT 1-:x, 2", {"x": written})
    except UnicodeEncodeError:  # a lone surrogate: no statement may have one
        return
    (statement,) = grammar.parse(sql.encode())
    first, second = statement.node["SelectStmt"]["targetList"]
    assert second["ResTarget"]["val"]["A_Const"]["ival"] == {"ival": 2}
    assert first["ResTarget"]["val"]["A_Expr"]["lexpr"]["A_Const"]["ival"] == {"ival": 1}
