"""Values as SQL: what comes out reads back as exactly what went in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.policy.literals import literal, string
from nlsql_gateway.sql import Batch, classify
from nlsql_gateway.sql.quoting import identifier
from nlsql_gateway.sql.survey import constant, survey


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        ("EU", "'EU'::text"),
        ("O'Brien", "'O''Brien'::text"),
        ("a\\'b", "E'a\\\\''b'::text"),
        ("$$", "'$$'::text"),
        ("--", "'--'::text"),
        ("Zürich 東京", "'Zürich 東京'::text"),
        ("", "''::text"),
        (5, "'5'::bigint"),
        (-(2**63), "'-9223372036854775808'::bigint"),
        (True, "true::boolean"),
        ((), "ARRAY[]::text[]"),
        (("a", "b'"), "ARRAY['a', 'b''']::text[]"),
        ((1, 2), "'{1,2}'::bigint[]"),
        ((False,), "ARRAY[false]::boolean[]"),
    ],
)
def test_literal(value: str | int | bool | tuple[str, ...], sql: str) -> None:
    assert literal(value) == sql


@pytest.mark.parametrize("value", ["a\0b", "\ud800", 2**63, -(2**63) - 1, ("a", 1), (True, 1), ("a\0",)])
def test_what_cannot_be_written_is_refused(value: str | int | tuple[str, ...]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several kinds
        literal(value)


def target(sql: str) -> object:
    batch = classify(sql)
    assert isinstance(batch, Batch)
    (statement,) = batch.statements
    return statement.node["SelectStmt"]["targetList"][0]["ResTarget"]


@given(st.text().filter(lambda text: ("\0" not in text and text.isprintable()) or "\n" in text))
def test_a_string_is_one_constant_and_reads_back(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    if "\0" in text:
        return
    found = target(f"SELECT {string(text)}")
    assert isinstance(found, dict)
    assert constant(found["val"]) == text


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20))
def test_an_identifier_reads_back(name: str) -> None:
    if len(name.encode()) > 63:
        return  # the server cuts it off
    batch = classify(f"SELECT 1 FROM {identifier(name)}")
    assert isinstance(batch, Batch)
    (use,) = survey(batch.statements[0].node).relations
    assert use.name == name


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("orders", "orders"),
        ("name", "name"),
        ("order", '"order"'),
        ("left", '"left"'),
        ("values", '"values"'),
        ("Orders", '"Orders"'),
        ('a"b', '"a""b"'),
        ("a b", '"a b"'),
        ("é", '"é"'),
        ("1a", '"1a"'),
    ],
)
def test_identifier(name: str, sql: str) -> None:
    assert identifier(name) == sql
