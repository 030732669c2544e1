"""The semantics file: what it becomes, and every fault with its line."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from nlsql_gateway import app
from nlsql_gateway.ask import load_semantics
from nlsql_gateway.ask.semantics import Filter, Parameter, Term, Uses, Verified
from nlsql_gateway.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]

TEXT = """\
version: 1
databases:
  shop:
    synonyms:
      client: customers
      turnover: [order_items.revenue, 'public."Sales".Total']
    metrics:
      revenue: sum(order_items.revenue)
      late share:
        sql: >-
          count(*) FILTER (WHERE late) /
          count(*)
        tables: orders
        description: of all orders
        also: [lateness]
    joins:
      - orders.customer_id = customers.id
      - a.x = s.b.y AND a.z = s.b.w
    default_filters:
      - orders.status <> 'cancelled'
      - condition: EXISTS (SELECT 1 FROM accounts a WHERE a.id = customers.id)
        unless: everybody
    glossary:
      active: who ordered
      churned: {meaning: gone, tables: [customers]}
    questions:
      - question: revenue of {city} in {year}
        also: ["{year}: revenue of {city}"]
        sql: SELECT sum(revenue) FROM sales WHERE city = $1 AND year = :year;
        parameters: {year: {type: integer, values: ["2025", "2026"]}}
        verified_by: ada
        verified_on: 2026-11-01
"""


def test_everything_in_a_file() -> None:
    semantics = load_semantics(TEXT, "semantics.yaml")
    meanings = semantics.of("shop")
    assert meanings.synonyms == {
        "client": (("customers",),),
        "turnover": (("order_items", "revenue"), ("public", "Sales", "total")),
    }
    revenue, late = meanings.metrics
    assert revenue.uses == Uses((("order_items",),), (("order_items", "revenue"),))
    assert (late.name, late.sql, late.description, late.also) == (
        "late share",
        "count(*) FILTER (WHERE late) / count(*)",
        "of all orders",
        ("lateness",),
    )
    assert late.uses == Uses((("orders",),), (("late",),))
    assert meanings.joins == (
        (((("orders",), "customer_id"), (("customers",), "id")),),
        (((("a",), "x"), (("s", "b"), "y")), ((("a",), "z"), (("s", "b"), "w"))),
    )
    assert meanings.filters == (
        Filter("orders.status <> 'cancelled'", Uses((("orders",),), (("orders", "status"),))),
        Filter(
            "EXISTS (SELECT 1 FROM accounts a WHERE a.id = customers.id)",
            Uses((("accounts",), ("customers",)), (("accounts", "id"), ("customers", "id"))),
            ("everybody",),
        ),
    )
    assert meanings.glossary == (Term("active", "who ordered"), Term("churned", "gone", (("customers",),)))
    assert meanings.questions == (
        Verified(
            ("revenue of {city} in {year}", "{year}: revenue of {city}"),
            "SELECT sum(revenue) FROM sales WHERE city = :city AND year = :year",
            {"city": Parameter(), "year": Parameter("integer", ("2025", "2026"))},
            "ada",
            date(2026, 11, 1),
        ),
    )
    assert meanings.questions[0].line == 27
    assert semantics.of("another").metrics == ()
    assert len(semantics.version) == 64
    assert load_semantics(TEXT + "#", "semantics.yaml").version != semantics.version


def question(**keys: str) -> str:
    found = {"question": "x of {a}", "sql": "SELECT :a", "verified_by": "ada", "verified_on": "2026-11-01"} | keys
    return "questions: [{" + ", ".join(f'{key}: "{value}"' for key, value in found.items()) + "}]"


TYPED = (
    "questions: [{question: 'of {x}', sql: 'SELECT :x', verified_by: a, verified_on: 2026-01-01, "
    "parameters: {x: {type: date, values: [soon]}}}]"
)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("synonims: {}", "4: databases.shop.synonims: not a known key; did you mean synonyms?"),
        ("metrics: {m: {sqll: x}}", "4: databases.shop.metrics.m.sqll: not a known key; did you mean sql?"),
        ("synonyms: {client: a.b.c.d}", "4: databases.shop.synonyms.client: write table, table.column or schema"),
        ("synonyms: {client: 'cust omers'}", "write table, table.column or schema.table.column"),
        ("metrics: {m: 'sum('}", "4: databases.shop.metrics.m: not an SQL expression: syntax error"),
        ("metrics: {m: 'sum(a.b)) FROM c; DROP TABLE d; SELECT (1'}", "not an SQL expression"),
        ("metrics: {m: sum(revenue)}", "write columns as table.column, or name its tables"),
        ("joins: [a.x]", "4: databases.shop.joins.0: write a.x = b.y"),
        ("joins: [x = y]", "write a.x = b.y"),
        ("joins: [a.x = b.y AND a.z = c.w]", "write a.x = b.y"),
        ("default_filters: [status = 1]", "write columns as table.column"),
        (question(sql="DELETE FROM t WHERE a = :a"), "4: databases.shop.questions.0.sql: write one SELECT"),
        (question(sql="SELECT :a; SELECT 1"), "write one SELECT"),
        (question(sql="SELECT :a, :b"), "the question has no {b} for :b"),
        (question(sql="SELECT $2"), "the question has no 2. parameter for $2"),
        (question(sql="SELECT 1"), "the question's {a} is not used: write :a"),
        (question(sql="SELEC :a"), "syntax error"),
        (question(question="{a} and {a}"), "a {parameter} may stand there once"),
        (question(also="x of {b}"), "it must have the same {parameters}"),
        (TYPED, "questions.0.parameters.x.values.0: no date"),
        (question(verified_on="soon"), "4: databases.shop.questions.0.verified_on: Input should be a valid date"),
        ("questions: [{question: x, sql: SELECT 1, verified_by: a, verified_on: 2026-01-01, parameters: {y: text}}]",
         "databases.shop.questions.0.parameters.y: the question has no {y}"),
    ],
)  # fmt: skip
def test_a_fault_names_file_line_and_key(line: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_semantics(f"version: 1\ndatabases:\n  shop:\n    {line}\n", "semantics.yaml")
    assert fault in caught.value.message
    assert caught.value.message.startswith("semantics.yaml:4: databases.shop")


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_semantics("version: 1\ndatabases: {a: {joins: [x]}, b: {joins: [y]}}\n", "s.yaml")
    assert caught.value.message.count("\n") == 1


def plain(text: str) -> Any:
    """As an editor sees a file: dates are texts."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


def test_the_published_schema_is_that_of_the_code_and_takes_what_the_code_takes() -> None:
    schema = app.semantics_schema()
    assert (ROOT / "docs" / "semantics.schema.json").read_text() == schema
    jsonschema.validate(plain(TEXT), json.loads(schema))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plain(TEXT.replace("glossary", "glosary")), json.loads(schema))
