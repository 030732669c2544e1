"""The families' prompts beyond ``test_prompt.py``: which is taken, the schema first, Llama 3's, chat."""

from __future__ import annotations

from typing import get_args

import pytest

from nlsql_gateway.ask.extract import extract
from nlsql_gateway.ask.templates import REFUSAL, WRITERS, Attempt, Choice, Family, family, turns_of
from nlsql_gateway.config import Ask
from nlsql_gateway.errors import Unanswerable

TABLES = "CREATE TABLE t (\n  id integer\n);"
NOT_THERE = "the tables do not hold the answer"
WRITE = "Write one PostgreSQL SELECT statement that answers the question."
FAILED = Attempt("SELECT x", "column x does not exist")


def text(kind: Family, question: str = "How many?", failed: Attempt | None = None) -> str:
    return WRITERS[kind](TABLES, question, failed, None).text


LLAMA3 = f"""\
<|start_header_id|>user<|end_header_id|>

Generate a SQL query to answer this question: `How many?`
- If you cannot answer the question with the available database schema, return 'I do not know'

DDL statements:
{TABLES}<|eot_id|><|start_header_id|>assistant<|end_header_id|>

The following SQL query best answers the question `How many?`:
```sql
"""

SCHEMA_FIRST = f"""\
### Database Schema
The query will run on a database with the following schema:
{TABLES}

### Task
Generate a SQL query to answer [QUESTION]How many?[/QUESTION]

### Instructions
- If you cannot answer the question with the available database schema, return 'I do not know'

### Answer
Given the database schema, here is the SQL query that [QUESTION]How many?[/QUESTION]
[SQL]
"""


def test_llama_3_as_its_model_card_has_it() -> None:
    assert text("llama3-sqlcoder") == LLAMA3


def test_sqlcoder_with_the_schema_first() -> None:
    assert text("sqlcoder-schema-first") == SCHEMA_FIRST


@pytest.mark.parametrize("kind", ["chatml", "chat", "sqlcoder-schema-first", "llama3-sqlcoder-schema-first"])
@pytest.mark.parametrize("failed", [None, FAILED])
def test_the_schema_is_shared_by_all_questions(kind: Family, failed: Attempt | None) -> None:
    one, two = text(kind, "How many?"), text(kind, "Which?", failed)
    before, _, _ = one.partition(TABLES)
    assert two.startswith(before + TABLES)


@pytest.mark.parametrize("kind", get_args(Family))
def test_a_repair_shows_the_statement_and_its_error(kind: Family) -> None:
    prompt = text(kind, failed=FAILED)
    assert prompt.index("SELECT x") < prompt.index("column x does not exist")


@pytest.mark.parametrize("kind", get_args(Family))
def test_every_family_is_a_setting_and_the_other_way_round(kind: Family) -> None:
    assert Ask.model_validate({"prompt": kind, "backend": "openai"}).prompt == kind
    assert get_args(Choice) == ("auto", *get_args(Family)) == get_args(Ask.model_fields["prompt"].annotation)


def test_chat_needs_a_server_that_has_it() -> None:
    with pytest.raises(ValueError, match="prompt: chat needs backend: openai"):
        Ask.model_validate({"prompt": "chat"})


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("qwen2_5_coder_1_5b", "chatml"),
        ("Qwen/Qwen2.5-Coder-7B-Instruct", "chatml"),
        ("sqlcoder", "sqlcoder"),
        ("defog/SQLCoder-7b-2", "sqlcoder"),
        ("defog/llama-3-sqlcoder-8b", "llama3-sqlcoder"),
        ("llama3_sqlcoder_8b", "llama3-sqlcoder"),
    ],
)
def test_the_family_by_the_models_name(model: str, expected: Family) -> None:
    assert family("auto", model) == expected
    assert family("chatml", model) == "chatml"


def test_chat_becomes_messages() -> None:
    assert turns_of(text("chat", failed=FAILED)) == [
        {
            "role": "system",
            "content": f"You write PostgreSQL queries, or {REFUSAL} if {NOT_THERE}.",
        },
        {
            "role": "user",
            "content": f"{TABLES}\n\n{WRITE}\nQuestion: How many?",
        },
        {"role": "assistant", "content": "```sql\nSELECT x\n```"},
        {"role": "user", "content": "Error: column x does not exist\nWrite the statement again without this error."},
    ]


@pytest.mark.parametrize("other", ["SELECT 1", text("chatml"), text("sqlcoder"), "x" + text("chat"), ""])
def test_what_is_no_chat_is_no_messages(other: str) -> None:
    assert turns_of(other) is None


def test_the_refusal_is_what_extract_knows() -> None:
    with pytest.raises(Unanswerable):
        extract(REFUSAL)
