"""A question that was asked, made one with parameters."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from nlsql_gateway.ask.verified_making import entry
from nlsql_gateway.errors import ConfigError

DAY = date(2026, 11, 23)


def made(question: str, sql: str, **parameters: str) -> dict[str, Any]:
    return entry(question, sql, parameters, DAY)


def test_without_parameters_it_stays_as_it_was() -> None:
    assert made("how  many\norders?", "SELECT count(*) \nFROM orders; ") == {
        "question": "how many orders?",
        "sql": "SELECT count(*)\nFROM orders",
        "verified_by": "",
        "verified_on": DAY,
    }


def test_values_become_parameters_in_both() -> None:
    found = made(
        "revenue of 'O''Fallon'? no: of Paris in 2025, above 1.5",
        "SELECT 'paris', 2025, 20250, '2025x', 1.5 -- 'Paris'\nWHERE city = 'Paris' AND y = 2025",
        city="Paris", year="2025", least="1.5",
    )  # fmt: skip
    assert found["question"] == "revenue of 'O''Fallon'? no: of {city} in {year}, above {least}"
    assert found["sql"] == ("SELECT :city, :year, 20250, '2025x', :least -- 'Paris'\nWHERE city = :city AND y = :year")
    assert found["parameters"] == {"city": "text", "year": "integer", "least": "number"}


def test_a_quoted_value_loses_its_quotes() -> None:
    assert made("orders of 'new york'", "SELECT 'new york'", city="new york")["question"] == "orders of {city}"


@pytest.mark.parametrize(
    ("question", "sql", "parameters", "message"),
    [
        ("orders of Paris", "SELECT 1", {"city": "Paris"}, "the SQL has no constant Paris"),
        ("orders", "SELECT 'Paris'", {"city": "Paris"}, "Paris stands 0 times in the question"),
        ("orders of Paris and Paris", "SELECT 'Paris'", {"city": "Paris"}, "Paris stands 2 times in the question"),
        ("top 5 of 15", "SELECT '5', 5", {"n": "5"}, "both as text and as a number"),
        ("and by month?", "SELECT 1", {}, "this question goes on from one before it: and by month?"),
        ("how old are they", "SELECT 1", {}, "this question goes on from one before it"),
    ],
)
def test_what_cannot_be_made(question: str, sql: str, parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        entry(question, sql, parameters, DAY)
    assert message in caught.value.message
