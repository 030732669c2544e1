"""Where ask('…') stands, and what a query in its place looks like."""

from __future__ import annotations

import pytest

from nlsql_gateway.errors import StatementError
from nlsql_gateway.sql import Batch, classify
from nlsql_gateway.sql.table_function import bound, calls, parameters, possible, replaced

ANSWER = "SELECT 1 AS one"


def batch(text: str) -> Batch:
    found = classify(text)
    assert isinstance(found, Batch)
    return found


def put(text: str, *answers: str) -> str:
    found = calls(read := batch(text))
    return replaced(read, list(zip(found, answers or [ANSWER] * len(found), strict=True)))


@pytest.mark.parametrize(
    ("text", "words", "whole"),
    [
        ("SELECT * FROM ask('q')", ["q"], "SELECT * FROM (SELECT 1 AS one) AS ask"),
        ("SELECT * FROM ask('q') AS t(a);", ["q"], "SELECT * FROM (SELECT 1 AS one) AS t(a);"),
        ("SELECT * FROM ask('q')t", ["q"], "SELECT * FROM (SELECT 1 AS one) t"),
        ("SELECT * FROM\tASK (\n E'O\\'Brien'\n) x", ["O'Brien"], "SELECT * FROM\t(SELECT 1 AS one) x"),
        ("SELECT * FROM ask($$what's )$$::text)", ["what's )"], "SELECT * FROM (SELECT 1 AS one) AS ask"),
        ("SELECT * FROM ask(CAST('ü (' AS varchar)) ü", ["ü ("], "SELECT * FROM (SELECT 1 AS one) ü"),
        (
            "SELECT * FROM (SELECT * FROM ask('a')) v, c JOIN ask('b') b USING (id)",
            ["a", "b"],
            "SELECT * FROM (SELECT * FROM (SELECT 1 AS one) AS ask) v, c JOIN (SELECT 1 AS one) b USING (id)",
        ),
        (
            "WITH w AS (TABLE t) SELECT (SELECT max(x) FROM ask('b') q(x)) FROM w, (SELECT * FROM ask('a')) v",
            ["b", "a"],
            "WITH w AS (TABLE t) SELECT (SELECT max(x) FROM (%) q(x)) FROM w, (SELECT * FROM (%) AS ask) v",
        ),
        ("EXPLAIN SELECT * FROM ask('q')", ["q"], "EXPLAIN SELECT * FROM (SELECT 1 AS one) AS ask"),
        (
            "DECLARE c CURSOR FOR SELECT * FROM ask('q'); FETCH ALL FROM c",
            ["q"],
            "DECLARE c CURSOR FOR SELECT * FROM (SELECT 1 AS one) AS ask; FETCH ALL FROM c",
        ),
        (
            "SELECT 'é'; SELECT * FROM ask('a'); SELECT * FROM ask('b') b",
            ["a", "b"],
            "SELECT 'é'; SELECT * FROM (SELECT 1 AS one) AS ask; SELECT * FROM (SELECT 1 AS one) b",
        ),
        ("SELECT * FROM \"ask\"(U&'\\0061')", ["a"], "SELECT * FROM (SELECT 1 AS one) AS ask"),
    ],
)
def test_a_call_is_found_and_replaced(text: str, words: list[str], whole: str) -> None:
    assert possible(text)
    assert [call.words for call in calls(batch(text))] == words
    assert put(text) == whole.replace("(%)", f"({ANSWER})")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM public.ask('q')",
        "SELECT 'FROM ask(''q'')'",
        "SELECT ask FROM t",
        "SELECT * FROM task('q')",
        "SELECT * FROM \"ASK\"('q')",
        "SELECT 1 -- FROM ask('q')",
    ],
)
def test_what_only_looks_like_one(text: str) -> None:
    assert calls(batch(text)) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT ask('q')", "ask() stands in FROM only"),
        ("SELECT 1 WHERE ask('q') = 'x'", "ask() stands in FROM only"),
        ("SELECT * FROM lower(ask('q'))", "ask() stands in FROM only"),
        ("SELECT * FROM ask()", "ask() takes one argument: the question"),
        ("SELECT * FROM ask('a', 'b')", "ask() takes one argument: the question"),
        ("SELECT * FROM ask(question => 'a')", "the question of ask() must be one string constant"),
        ("SELECT * FROM ask(VARIADIC 'a')", "ask() takes one argument: the question"),
        ("SELECT * FROM ask(NULL)", "the question of ask() must be one string constant"),
        ("SELECT * FROM ask(7)", "the question of ask() must be one string constant"),
        ("SELECT * FROM ask('a' || 'b')", "the question of ask() must be one string constant"),
        ("SELECT * FROM ask('abc'::varchar(1))", "the question of ask() must be one string constant"),
        ("SELECT * FROM t, ask(t.q)", "the question of ask() must be one string constant"),
        ("SELECT * FROM ask(' ')", "the question is empty"),
        ("SELECT * FROM t, LATERAL ask('q')", "ask() cannot stand with LATERAL"),
        ("SELECT * FROM ask('q') WITH ORDINALITY", "ask() cannot stand with WITH ORDINALITY"),
        ("SELECT * FROM ROWS FROM (ask('q'))", "ask() cannot stand with ROWS FROM"),
        ("SELECT * FROM ask('q') AS (a int)", "ask() takes no column definitions"),
    ],
)
def test_forms_that_are_none_say_why_and_where(text: str, message: str) -> None:
    with pytest.raises(StatementError) as caught:
        calls(batch(text))
    assert caught.value.message == message
    assert caught.value.sqlstate == "0A000"
    assert caught.value.hint
    assert text[(caught.value.position or 0) - 1 :].startswith("ask")


def test_a_parameter_is_known_by_its_number() -> None:
    texts = (
        "SELECT * FROM ask($2) WHERE a = $1",
        "SELECT * FROM ask($2::text)",
        "SELECT * FROM ask(CAST($2 AS varchar))",
    )
    assert [[call.parameter for call in calls(batch(text))] for text in texts] == [[2]] * 3


@pytest.mark.parametrize(
    ("answer", "inside"),
    [
        ("SELECT 1 AS a; -- done", "SELECT 1 AS a"),
        ("  /* x */ TABLE t /* y */ ;", "TABLE t"),
        ("SELECT 1 -- the end\n AS a", "SELECT 1 -- the end\n AS a"),
        ("VALUES (1, 2)", "VALUES (1, 2)"),
        ("SELECT *, 1 AS a, 2 AS a FROM t", "SELECT *, 1 AS a, 2 AS a FROM t"),
        (
            "SELECT count(*), count(DISTINCT a), t.count FROM t",
            "SELECT * FROM (SELECT count(*), count(DISTINCT a), t.count FROM t) AS ask(count, count_2, count_3)",
        ),
        (
            "SELECT a AS b, b, b_2, 1, 2 FROM t",
            'SELECT * FROM (SELECT a AS b, b, b_2, 1, 2 FROM t) AS ask(b, b_3, b_2, "?column?", "?column?_2")',
        ),
        (
            "SELECT a::date, CASE b WHEN 1 THEN 2 END, coalesce(a), CASE b WHEN 3 THEN 4 END FROM t LIMIT 3",
            'SELECT * FROM (%) AS ask(a, "case", "coalesce", case_2)',
        ),
    ],
)
def test_an_answer_stands_alone_and_its_columns_are_told_apart(answer: str, inside: str) -> None:
    assert put("SELECT * FROM ask('q') t", answer) == f"SELECT * FROM ({inside.replace('%', answer)}) t"


@pytest.mark.parametrize(
    "answer",
    [
        "SELECT 1) AS t; DROP TABLE x; --",
        "SELECT 1; SELECT 2",
        "DELETE FROM t",
        "SELECT $1",
        "SELECT 1 /*",
        "ask: something else",
        "",
    ],
)
def test_an_answer_that_is_not_one_select_has_no_place(answer: str) -> None:
    with pytest.raises(StatementError):
        put("SELECT * FROM ask('q') t WHERE a = $1", answer)


def test_parameters_that_hold_questions_become_constants() -> None:
    text = "SELECT $1 FROM ask($3) a, ask('b') b, ask($2::text) c"
    assert parameters(text) == {2, 3}
    whole = bound(text, ["1", "it's c", "\\a"])
    assert whole == "SELECT $1 FROM ask('\\a') a, ask('b') b, ask('it''s c') c"
    assert [call.words for call in calls(batch(whole))] == ["\\a", "b", "it's c"]


@pytest.mark.parametrize("text", ["SELECT ask($1)", "SELECT $1", "SELECT FROM FROM ask($1)", "SELECT * FROM ask('a')"])
def test_texts_without_such_parameters(text: str) -> None:
    assert parameters(text) == frozenset()


@pytest.mark.parametrize(("values", "sqlstate"), [([None], "22004"), ([], "22004"), (["a\0b"], "22021")])
def test_values_that_are_no_questions(values: list[str | None], sqlstate: str) -> None:
    with pytest.raises(StatementError) as caught:
        bound("SELECT * FROM ask($1)", values)
    assert caught.value.sqlstate == sqlstate
