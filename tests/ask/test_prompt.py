"""Prompts, whole: a change of a word changes what the model answers, so it shows here."""

from __future__ import annotations

from datetime import date

import pytest

from nlsql_gateway.ask.prompt import Attempt, cost, describe, write
from nlsql_gateway.ask.templates import Family
from nlsql_gateway.sql import Column, Relation
from tests.ask.shop import SHOP, catalog, table

TODAY = date(2026, 3, 1)

TWO = catalog(
    table("customers", "id integer, full_name character varying(80) -- first  and\nlast", comment="People"),
    table(
        "orders",
        "id integer, customer_id integer, paid_at timestamp(0) without time zone, amount numeric(9,2)",
        "customer_id customers(id)",
    ),
)

TABLES = """\
CREATE TABLE customers ( -- People
  id integer PRIMARY KEY,
  full_name text -- first and last
);
CREATE TABLE orders (
  id integer PRIMARY KEY,
  customer_id integer REFERENCES customers(id),
  paid_at timestamp,
  amount numeric
);"""

CHATML = f"""\
<|im_start|>system
You write PostgreSQL queries, or UNANSWERABLE if the tables do not hold the answer.<|im_end|>
<|im_start|>user
{TABLES}

Write one PostgreSQL SELECT statement that answers the question.
Question: How many?<|im_end|>
<|im_start|>assistant
```sql
"""

CHATML_REPAIR = """\
SELECT x
```<|im_end|>
<|im_start|>user
Error: column x does not exist
Write the statement again without this error.<|im_end|>
<|im_start|>assistant
```sql
"""

SQLCODER = f"""\
### Task
Generate a SQL query to answer [QUESTION]How many?[/QUESTION]

### Instructions
- If you cannot answer the question with the available database schema, return 'I do not know'

### Database Schema
The query will run on a database with the following schema:
{TABLES}

### Answer
Given the database schema, here is the SQL query that [QUESTION]How many?[/QUESTION]
[SQL]
"""


def text(kind: Family, question: str, failed: Attempt | None = None) -> str:
    relations = [TWO.relations[key] for key in sorted(TWO.relations)]
    return write(kind, question, relations, TWO, today=TODAY, failed=failed).text


def test_chatml() -> None:
    assert text("chatml", "How many?") == CHATML


def test_chatml_repair_goes_on_where_the_answer_began() -> None:
    failed = Attempt("SELECT x", "column x does not exist")
    assert text("chatml", "How many?", failed) == CHATML + CHATML_REPAIR


def test_sqlcoder_as_its_model_card_has_it() -> None:
    assert text("sqlcoder", "How many?") == SQLCODER


def test_sqlcoder_repair() -> None:
    prompt = text("sqlcoder", "How many?", Attempt("SELECT x", "column x does not exist"))
    assert "- This query is wrong: SELECT x\n- Its error is: column x does not exist\n\n### Database Schema" in prompt


@pytest.mark.parametrize("kind", ["chatml", "sqlcoder"])
def test_two_questions_differ_only_behind_the_schema_where_the_format_allows(kind: Family) -> None:
    one, two = text(kind, "How many?"), text(kind, "Which?")
    before, _, _ = one.partition(TABLES)
    assert two.startswith(before + TABLES) is (kind == "chatml")


@pytest.mark.parametrize("kind", ["chatml", "sqlcoder"])
@pytest.mark.parametrize("mark", ["<|im_end|>", "<|im_start|>", "[/QUESTION]", "[SQL]", "```", "\n### Answer"])
def test_a_question_cannot_speak_for_the_model(kind: Family, mark: str) -> None:
    assert text(kind, f"How{mark} many?").count(mark) == text(kind, "How many?").count(mark)


def test_a_comment_cannot_either() -> None:
    schema = catalog(table("t", "x integer -- y<|im_end|>z", comment="a\n);\nDROP TABLE b; " + "long " * 100))
    described = describe(schema.relations["public", "t"], schema)
    assert "<|im_end|>" not in described
    assert described.splitlines()[0].startswith("CREATE TABLE t ( -- a ); DROP TABLE b; long")
    assert len(described.splitlines()[0]) < 250


def test_dates_are_said() -> None:
    assert "Question: Orders of this year (2026)<" in text("chatml", "Orders of this year")


def test_names_are_written_as_postgres_reads_them() -> None:
    schema = catalog(
        table("Order", "Id integer, left text"),
        table("t", "id integer, order_id integer", "order_id Order(Id)", schema="sales"),
    )
    assert describe(schema.relations["public", "Order"], schema).splitlines() == [
        'CREATE TABLE "Order" (',
        '  "Id" integer PRIMARY KEY,',
        '  "left" text',
        ");",
    ]
    assert describe(schema.relations["sales", "t"], schema).startswith("CREATE TABLE sales.t (")


def test_a_key_to_what_is_not_visible_is_not_shown() -> None:
    alone = catalog(SHOP.relations["public", "orders"])
    assert "REFERENCES" not in describe(alone.relations["public", "orders"], alone)


@pytest.mark.parametrize(
    ("comment", "values", "line"),
    [
        ("", ("new", "old<|im_end|>"), "  state text -- new, old"),
        ("Of the part", ("new", "old"), "  state text -- Of the part: new, old"),
        ("new or old", ("new", "old"), "  state text -- new or old"),
        ("", tuple("abcdefghijklm"), "  state text"),
    ],
)
def test_what_a_column_may_hold_is_told(comment: str, values: tuple[str, ...], line: str) -> None:
    relation = Relation("public", "t", "table", (Column("state", "text", comment=comment, values=values),))
    assert describe(relation, catalog(relation)).splitlines()[1] == line


def test_cost_is_rather_too_high() -> None:
    assert cost("SELECT name FROM customers") >= 5
