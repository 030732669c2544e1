"""Completions as models write them, and the SQL in them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.ask.extract import extract
from nlsql_gateway.errors import AskError, NoValidSql, Unanswerable

RIGHT = [
    ("plain", "SELECT 1", "SELECT 1"),
    ("the fence was opened by the prompt", "SELECT 1\n```\nThis counts …", "SELECT 1"),
    ("its own fence", "```sql\nSELECT 1;\n```", "SELECT 1"),
    ("a fence without a language", "```\nSELECT 1\n```", "SELECT 1"),
    ("a sentence and a fence", "Here is the query:\n\n```sql\nSELECT 1;\n```\nIt selects one.", "SELECT 1"),
    ("a sentence, no fence", "Sure, here it is:\nSELECT 1;", "SELECT 1"),
    ("an explanation behind", "SELECT 1;\n\nThis selects one.", "SELECT 1"),
    ("a comment before", "-- one\n/* two */ SELECT 1", "SELECT 1"),
    ("a comment behind", "SELECT 1; -- replace 1 with what you want", "SELECT 1"),
    ("a comment inside stays", "SELECT 1, -- one\n2", "SELECT 1, -- one\n2"),
    ("WITH", "WITH a AS (SELECT 1) SELECT * FROM a;", "WITH a AS (SELECT 1) SELECT * FROM a"),
    ("parentheses", "(SELECT 1) UNION (SELECT 2)", "(SELECT 1) UNION (SELECT 2)"),
    ("EXPLAIN that nobody asked for", "EXPLAIN SELECT 1", "SELECT 1"),
    ("EXPLAIN with options", "EXPLAIN (ANALYZE, VERBOSE) SELECT 1", "SELECT 1"),
    ("EXPLAIN ANALYZE", "explain analyze select 1", "select 1"),
    ("a semicolon in a literal", "SELECT 'a;b'", "SELECT 'a;b'"),
    ("a semicolon in a name", 'SELECT 1 AS "a;b"', 'SELECT 1 AS "a;b"'),
    ("a semicolon in a dollar quote", "SELECT $x$a;b$x$", "SELECT $x$a;b$x$"),
    ("a refusal's word in a literal", "SELECT 'unanswerable'", "SELECT 'unanswerable'"),
    ("an end mark", "SELECT 1<|im_end|>", "SELECT 1"),
    ("a write is for the policy to refuse", "DELETE FROM orders", "DELETE FROM orders"),
]


@pytest.mark.parametrize(("completion", "sql"), [case[1:] for case in RIGHT], ids=[case[0] for case in RIGHT])
def test_sql_is_found(completion: str, sql: str) -> None:
    assert extract(completion) == sql


@pytest.mark.parametrize(
    "completion",
    [
        "UNANSWERABLE",
        "unanswerable.\n",
        "```sql\nUNANSWERABLE\n```",
        "-- UNANSWERABLE: there is no weather here",
        "I do not know",
        "I don't know",
        "SELECT UNANSWERABLE",
        "The question cannot be answered from these tables.",
    ],
)
def test_a_refusal_is_unanswerable(completion: str) -> None:
    with pytest.raises(Unanswerable) as caught:
        extract(completion)
    assert caught.value.sqlstate == "NL001"


@pytest.mark.parametrize(
    ("completion", "words"),
    [
        ("", "no SQL"),
        ("   \n", "no SQL"),
        ("I like cheese.", "without SQL"),
        ("SELECT 1; SELECT 2", "several"),
        ("SELECT 1; DROP TABLE orders;", "several"),
        ("SELECT 1;\n-- and now\nDELETE FROM orders", "several"),
    ],
)
def test_what_is_not_one_statement_is_no_valid_sql(completion: str, words: str) -> None:
    with pytest.raises(NoValidSql, match=words) as caught:
        extract(completion)
    assert caught.value.sqlstate == "NL003"


@given(st.text(alphabet="SELCT 1;'\"$`-*/\nxWIH()", max_size=200))
def test_any_text_gives_sql_or_an_ask_error(completion: str) -> None:
    with contextlib.suppress(AskError):
        assert extract(completion).strip()
