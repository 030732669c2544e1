"""Attributes of declared types: what fits, what is told of the rest, and what PostgreSQL reads."""

from __future__ import annotations

import pytest

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.policy import load
from nlsql_gateway.policy.literals import literal
from tests.policy.test_against_postgres import Company, database

__all__ = ["database"]  # a fixture

ID = "6ad0c9a0-5d5b-4f4e-8f9a-0c1d2e3f4a5b"


def text(of: str, value: str) -> str:
    return f"""version: 1
name: t
attributes:
  a: "{of}"
users:
  x:
    roles: r
    attributes:
      a: {value}
roles: {{r: {{read: public.orders, rows: [{{tables: public.orders, using: pg_typeof(person.a)::text <> ''}}]}}}}
"""


@pytest.mark.parametrize(
    ("of", "value", "sql"),
    [
        ("text", "it's", "'it''s'::text"),
        ("text[]", "[]", "ARRAY[]::text[]"),
        ("boolean", "yes", "'true'::boolean"),
        ("smallint", "-32768", "'-32768'::smallint"),
        ("numeric", '"1.50"', "'1.50'::numeric"),
        ("uuid", ID.upper(), f"'{ID}'::uuid"),
        ("uuid[]", f"[{ID}]", f"ARRAY['{ID}']::uuid[]"),
        ("date", "2024-01-31", "'2024-01-31'::date"),
        ("timestamp", "2024-01-31T10:00:00", "'2024-01-31 10:00:00'::timestamp"),
        ("timestamptz", '"2024-01-31T10:00:00+02:00"', "'2024-01-31 10:00:00+02:00'::timestamptz"),
    ],
)
def test_a_value_of_its_type(of: str, value: str, sql: str, database: Company) -> None:
    policy = load(text(of, value), "p.yaml")
    assert literal(policy.principal("x").attributes["a"]) == sql
    assert database.rows("SELECT count(*) FROM orders", "x", policy) == [(3,)]


@pytest.mark.parametrize(
    ("of", "value", "fault"),
    [
        ("uuid", "abc", "not of type uuid: badly formed hexadecimal UUID string"),
        ("text", "5", "not of type text: write it in quotes"),
        ("smallint", "32768", "not of type smallint: write a whole number of 16 bits"),
        ("integer", "yes", "not of type integer: write a whole number of 32 bits"),
        ("boolean", "1", "not of type boolean: write yes or no"),
        ("numeric", "NaN", 'not of type numeric: write a number; one with a decimal point in quotes, such as "1.5"'),
        ("date", "2024-02-30x", "not of type date: Invalid isoformat string: '2024-02-30x'"),
        ("timestamptz", '"2024-01-31T10:00:00"', "not of type timestamptz: it needs a time zone"),
        ("text[]", "EU", "text[]: write a list"),
        ("text", "[EU]", "text: write one value"),
        ("text", '"a\\0b"', "a value cannot contain a NUL character"),
    ],
)
def test_a_value_that_does_not_fit(of: str, value: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text(of, value), "p.yaml")
    assert caught.value.message == f"p.yaml:9: users.x.attributes.a: {fault}"


def test_a_type_that_is_not_known() -> None:
    with pytest.raises(ConfigError) as caught:
        load(text("money", "5"), "p.yaml")
    assert caught.value.message.startswith("p.yaml:4: attributes.a: write one of text, boolean, smallint,")
