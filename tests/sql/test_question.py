"""Which texts ask in words, and which are SQL that only looks like it."""

from __future__ import annotations

import pytest

from nlsql_gateway.errors import LimitError, StatementError
from nlsql_gateway.sql import Batch, Question, classify
from nlsql_gateway.sql.question import LONGEST

QUESTIONS = [
    ("-- ask: top 5 customers", "top 5 customers"),
    ("-- ask: top 5 customers\n", "top 5 customers"),
    ("-- ask: top 5 customers\n;", "top 5 customers"),
    ("--ASK:top 5;", "top 5"),
    ("  -- Ask : top 5", "top 5"),
    ("-- ask: sales of\n--   last year", "sales of last year"),
    ("-- ask: sales\r\n-- by region\r\n;", "sales by region"),
    ("/* ask: top 5 customers by revenue */;", "top 5 customers by revenue"),
    ("/* ask: a /* nested */ word */", "a /* nested */ word"),
    ("/*\n ask: over\n two lines\n*/", "over\n two lines"),
    ("SELECT -- ask: top 5 customers\n;", "top 5 customers"),
    ("select -- ask: top 5\n", "top 5"),
    ("/* ask: top 5 */\nSELECT", "top 5"),
    ("/* ask: top 5 */\nSELECT\nLIMIT 1001", "top 5"),
    ("/* ask: top 5 */ select limit 10 ;", "top 5"),
    ("SELECT\n-- ask: top 5\n;", "top 5"),
    ("ASK top 5 customers by revenue;", "top 5 customers by revenue"),
    ("ask: top 5", "top 5"),
    ("ask\ttop 5 ;; ", "top 5"),
    ("ASK what is O'Brien's total", "what is O'Brien's total"),
    ('ASK how many "big $ orders', 'how many "big $ orders'),
    ("ASK (roughly) how many orders", "(roughly) how many orders"),
    ("ask: wie viele Kunden über München?", "wie viele Kunden über München?"),
    ("-- ask\uff1a按地区的收入", "按地区的收入"),
    ("-- ask: \u202eright to left", "\u202eright to left"),
    ("-- Metabase:: userID: 1 queryType: native\n-- ask: top 5", "top 5"),
    ("/* ApplicationName=DataGrip 2025 */ -- ask: top 5", "top 5"),
    ('/* {"app": "x"} */ ASK top 5', "top 5"),
    ("-- Looker Query Context '{\"user_id\":1}'\nASK top 5", "top 5"),
    ("/* Superset */ SELECT -- ask: top 5\n;", "top 5"),
    ("ASK top 5 /*traceparent='00-0'*/", "top 5"),
    ("-- ask: top 5\n/* trace */", "top 5"),
    ("ASK a \N{LATIN SMALL LETTER LONG S}", "a \N{LATIN SMALL LETTER LONG S}"),
]


@pytest.mark.parametrize(("text", "words"), QUESTIONS)
def test_question(text: str, words: str) -> None:
    assert classify(text) == Question(words)


@pytest.mark.parametrize(
    "text",
    [
        "-- ask explain: top 5",
        "ASK EXPLAIN top 5",
        "ask explain: top 5;",
        "/* ask explain: top 5 */",
        "SELECT -- ask explain: top 5\n",
    ],
)
def test_explain(text: str) -> None:
    assert classify(text) == Question("top 5", explain=True)


SQL = [
    'SELECT 1 AS "-- ask: drop everything"',
    "SELECT '-- ask: x'",
    "SELECT '\n-- ask: x\n'",
    "SELECT $$-- ask: x$$",
    "SELECT $a$\n-- ask: x\n$a$",
    "-- ask: x\nSELECT 1",
    "SELECT 1 -- ask: x",
    "SELECT -- ask: x\n 1",
    "SELECT /* ask: x */ 1",
    "SELECT /* ask: x */",
    "SELECT 1; -- ask: x",
    "/* ask: x */ SELECT 1",
    "-- a report\n-- ask: x",
    "-- please ask: x",
    "-- asking: x",
    "-- ask x",
    "",
    "  ;; -- nothing\n",
    "SELECT mask FROM t -- ask me",
]


@pytest.mark.parametrize("text", SQL)
def test_not_a_question(text: str) -> None:
    assert isinstance(classify(text), Batch)


@pytest.mark.parametrize("text", ["ASK", "ask:", "ASK ;", "-- ask:", "-- ask:  \n;", "/* ask: */", "ASK EXPLAIN"])
def test_empty_question(text: str) -> None:
    with pytest.raises(StatementError) as caught:
        classify(text)
    assert caught.value.sqlstate == "42601"
    assert "-- ask: " in caught.value.hint


def test_a_statement_behind_a_question_is_refused() -> None:
    with pytest.raises(StatementError) as caught:
        classify("ASK top 5; DROP TABLE orders")
    assert caught.value.sqlstate == "0A000"


def test_the_word_alone_is_not_enough() -> None:
    for text in ("asks top 5", "ask('top 5')", "task top 5", "\u017fask top 5"):
        with pytest.raises(StatementError, match="syntax error"):
            classify(text)


def test_too_long() -> None:
    with pytest.raises(LimitError):
        classify("ASK " + "x" * (LONGEST + 1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-- ask more: by month", Question("by month", more=True)),
        ("/* ask more: by month */;", Question("by month", more=True)),
        ("ASK MORE: by month;", Question("by month", more=True)),
        ("ask explain more: by month", Question("by month", explain=True, more=True)),
        ("ASK more orders than returns;", Question("more orders than returns")),
        ("-- ask reset", Question("reset", reset=True)),
        ("/* ask reset */;", Question("reset", reset=True)),
        ("-- Metabase:: userID: 1\n-- ask reset", Question("reset", reset=True)),
        ("SELECT -- ask reset\n;", Question("reset", reset=True)),
        ("ASK RESET;", Question("RESET", reset=True)),
        ("ask: reset", Question("reset", reset=True)),
        ("-- ask: reset\n-- counts by store", Question("reset counts by store")),
        ("ASK reset counts by store", Question("reset counts by store")),
        ("-- ask reset the counts", None),
        ("-- ask reset\nSELECT 1", None),
        ("SELECT 1 -- ask reset", None),
    ],
)
def test_going_on_and_forgetting(text: str, expected: Question | None) -> None:
    found = classify(text)
    assert (found if isinstance(found, Question) else None) == expected


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("ASK VERDICT: SELECT 1;", "SELECT 1;"),
        ("ask verdict :\nSELECT ';' AS a -- x\n", "SELECT ';' AS a -- x"),
        ("/* a tool */ ASK VERDICT: DELETE FROM t; SELECT 2", "DELETE FROM t; SELECT 2"),
        ("ASK VERDICT: " + "SELECT 1, " * LONGEST + "2", "SELECT 1, " * LONGEST + "2"),
    ],
)
def test_a_verdict_on_a_statement(text: str, statement: str) -> None:
    assert classify(text) == Question(statement, verdict=True)


@pytest.mark.parametrize(
    "about", ["", " ", "ASK how many", "ask verdict: SELECT 1", "-- ask: how many", "/* ask: a */;"]
)
def test_no_verdict_on_a_question(about: str) -> None:
    with pytest.raises(StatementError, match="about a statement"):
        classify(f"ASK VERDICT: {about}")
    with pytest.raises(StatementError, match="about a statement"):
        classify("ASK VERDICT: /**/" * 50_000)


def test_code_over_the_rows_of_an_answer() -> None:
    wanted = '{"wanted": "what; a ""quote"" -- and more", "columns": []}'
    assert classify(f"ASK PYTHON: {wanted};") == Question(wanted, python=True)
    assert classify(f"/* a tool */ ask python :\n{wanted}") == Question(wanted, python=True)
    asked = classify(f"ASK PYTHON: {wanted}")
    assert isinstance(asked, Question)
    assert not asked.is_for_the_model
    assert classify("ASK python: which courses are there?") == Question("python: which courses are there?")
    assert classify("ask: python: {x}") == Question("python: {x}")


def test_verdict_is_a_word_like_others() -> None:
    assert classify("ASK verdict of the court") == Question("verdict of the court")
    assert classify("ask: verdict: guilty") == Question("verdict: guilty")


@pytest.mark.parametrize("text", ["ASK VISIBLE", "ask visible ;", "-- ask: visible", "/* x */ ASK Visible"])
def test_what_is_visible(text: str) -> None:
    asked = classify(text)
    assert isinstance(asked, Question)
    assert asked.visible
    assert not asked.is_for_the_model
