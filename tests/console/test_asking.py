"""Asking in the console, on the real gateway: questions, statements, verdicts, refusals, follow-ups, cancelling."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx
import pytest

from tests.console.browser import Browser, tags, words
from tests.console.conftest import DATABASE, Consoles, House


def finished(browser: Browser, answer: httpx.Response) -> httpx.Response:
    """The page of a run once it has ended."""
    deadline = time.monotonic() + 30
    while "data-events" in answer.text:
        assert time.monotonic() < deadline, words(answer.text)
        time.sleep(0.02)
        answer = browser.get(answer.url.path)
    return answer


def ask(browser: Browser, question: str, **fields: Any) -> httpx.Response:
    if "tab" not in fields:
        browser.get(f"/d/{DATABASE}")
    return finished(browser, browser.post(f"/d/{DATABASE}/ask", question=question, **fields))


def run(browser: Browser, statement: str, **fields: Any) -> httpx.Response:
    return finished(browser, browser.post(f"/d/{DATABASE}/run", statement=statement, **fields))


def test_a_question_is_answered_with_sql_rules_and_rows(ada: Browser, house: House) -> None:
    house.answers[""] = "SELECT name, email FROM customers ORDER BY id"
    page = ask(ada, "who are our customers")
    said = words(page.text)
    assert "SELECT name, email FROM customers ORDER BY id" in said
    assert "mask public.customers.email (partial)" in said
    assert "double" in said
    assert "4 rows" in said
    assert "Ann a***" in said
    assert "ann@example.com" not in page.text
    (record,) = [one for one in house.gateway.records() if one.get("question") == "who are our customers"]
    assert (record["user"], record["application_name"]) == ("ada", "nlsql-gateway console")


def test_the_stages_are_told_as_they_pass(ada: Browser, house: House) -> None:
    house.model.pauses = {"": 0.5}
    try:
        ada.get(f"/d/{DATABASE}")
        page = ada.post(f"/d/{DATABASE}/ask", question="how many customers")
        path = re.search(r'data-events="([^"]*)"', page.text)
        assert path
        with ada.client.stream("GET", path[1]) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            told = "".join(stream.iter_text())
    finally:
        house.model.pauses = {}
    assert re.findall(r'"stage": "(\w+)"', told) == ["linking", "model", "checks", "running"]
    assert told.endswith('event: done\ndata: {"state": "done"}\n\n')


def test_a_typed_statement(ada: Browser) -> None:
    page = run(ada, "SELECT sum(amount) AS total, NULL AS nothing FROM orders")
    said = words(page.text)
    assert "Allowed as it is" in said
    assert "8610.00" in said
    assert "null" in said
    page = run(ada, "SELECT email FROM customers", explain="1")
    assert "rows-head" not in page.text
    checked = words(page.text)
    assert "Nothing was run" in checked
    assert "mask public.customers.email" in checked


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("SET extra_float_digits = 1", "0 rows"),
        ("SHOW server_encoding", "UTF8"),
        ("EXPLAIN SELECT 1", "Result"),
        ("BEGIN", "0 rows"),
        ("COMMIT", "0 rows"),
        ("VALUES (1), (2)", "2 rows"),
        ("SELECT", "1 row"),
        ("TABLE many LIMIT 0", "0 rows"),
        ("SELECT count(*) FROM ask('how many customers')", "1 row"),
        ("-- nothing", ""),
    ],
)
def test_statements_of_other_kinds(ada: Browser, statement: str, shown: str) -> None:
    page = run(ada, statement)
    assert shown in words(page.text)
    tab = re.search(r'name="tab" value="([^"]*)"', page.text)
    assert tab
    assert "of the same tab" in words(run(ada, "SELECT 'of the same ' || 'tab' AS x", tab=tab[1]).text)


def test_the_sql_of_a_question_only(ada: Browser, house: House) -> None:
    said = words(ask(ada, "who are they", explain="1").text)
    assert "Nothing was run" in said
    assert "model double" in said
    assert not [
        one for one in house.gateway.records() if one.get("question") == "who are they" and one["kind"] != "decision"
    ]


@pytest.mark.parametrize(
    ("statement", "title", "sqlstate"),
    [
        ("SELECT $1::int", "The statement is not right", "42P02"),
        ("DELETE FROM customers", "Everything here is read only", "25006"),
        ("SELECT salary FROM staff", "It is not allowed", "42501"),
        ("SELECT * FROM secrets", "It is not allowed", "42501"),
        ("SELEC 1", "The statement is not right", "42601"),
        ("SELECT 1/0", "A value does not fit", "22012"),
        ("SELECT 1; SELECT 2", "The statement is not right", "42601"),
    ],
)
def test_what_is_refused_says_why(ada: Browser, statement: str, title: str, sqlstate: str) -> None:
    page = run(ada, statement)
    said = words(page.text)
    assert title in said
    assert f"SQLSTATE {sqlstate}" in said
    assert "2" in words(run(ada, "SELECT 1 + 1").text), "the line goes on working"


@pytest.mark.parametrize(
    ("statement", "marked"),
    [
        ("SELECT id,\n salary FROM staff", " <mark>salary</mark> FROM staff"),
        ("SELECT id FROM staff\nWHER id = 1", "WHER <mark>id</mark> = 1"),
        ("SELECT lower(id) FROM staff", "SELECT <mark>lower</mark>(id) FROM staff"),
    ],
)
def test_an_error_is_shown_where_it_is(ada: Browser, statement: str, marked: str) -> None:
    assert f"<code>{marked}</code>" in run(ada, statement).text


def test_the_model_is_down(ada: Browser, house: House) -> None:
    house.answers[""] = None
    said = words(ask(ada, "how many customers").text)
    assert "The model does not answer" in said
    assert "NL002" in said
    assert "SQL goes on working" in said


def test_a_question_goes_on_from_the_last_one_of_its_tab(ada: Browser, house: House) -> None:
    first = ask(ada, "how many customers")
    tab = re.search(r'name="tab" value="([^"]*)"', first.text)
    assert tab
    house.answers.clear()
    house.answers[""] = "SELECT region, count(*) AS customers FROM customers GROUP BY region"
    said = words(ask(ada, "split them", tab=tab[1], more="1").text)
    assert "the last question" in said
    assert "how many customers" in house.model.asked[-1]
    other = ask(ada, "and by name?", more="1")
    assert "there is no question before this one" in words(other.text), "in a tab of its own"


def test_cancel(ada: Browser) -> None:
    page = ada.post(f"/d/{DATABASE}/run", statement="SELECT count(*) FROM generate_series(1, 100000000000) AS n")
    assert "data-events" in page.text
    path = page.url.path
    time.sleep(0.5)
    said = words(finished(ada, ada.post(f"{path}/cancel")).text)
    assert "Cancelled" in said
    tab = re.search(r'name="tab" value="([^"]*)"', page.text)
    assert tab
    assert "7 " in words(run(ada, "SELECT 3 + 4", tab=tab[1]).text)


def test_values_of_every_kind(ada: Browser) -> None:
    page = run(
        ada,
        "SELECT ARRAY[1, NULL], ROW(1, 'a b'), daterange('2020-01-01', NULL), 1.50, true, '\\x00'::bytea",
    )
    said = words(page.text)
    for text in ("{1,NULL}", "1.50", '(1,"a b")', "[2020-01-01,)", "\\x00"):
        assert text in said
    said = words(run(ada, "SELECT DATE 'infinity', DATE '0044-03-15 BC', INTERVAL '1 mon 2 days'").text)
    assert "infinity 0044-03-15 BC 1 mon 2 days" in said


def test_nothing_of_the_data_becomes_markup(ada: Browser, house: House) -> None:
    evil = "<script>alert('q')</script>"
    house.answers[""] = f'SELECT name, 1 AS "<img src=x onerror=alert(1)>" FROM customers -- {evil}'
    page = ask(ada, f"names {evil}")
    for text in (page.text, ada.get(f"/d/{DATABASE}").text, ada.get(f"/d/{DATABASE}/schema").text):
        assert "<script>alert" not in text
        assert "<img" not in text
    assert "&lt;script&gt;alert(" in page.text
    assert "<img" not in run(ada, "SELECT '<img src=x>' FROM nowhere_<img>").text


def test_nobody_sees_what_another_asked(ada: Browser, consoles: Consoles, house: House) -> None:
    page = run(ada, "SELECT 'of ada alone' AS mine")
    same_person = Browser(httpx.Client(base_url=ada.client.base_url, timeout=60)).sign_in("ada")
    emil = Browser(httpx.Client(base_url=ada.client.base_url, timeout=60)).sign_in("emil")
    path = page.url.path
    for browser in (emil, same_person):
        for rest in ("", "/rows.csv", "/rows.tsv", "/chart", "/events"):
            answer = browser.get(path + rest)
            assert answer.status_code == 404
            assert "of ada alone" not in answer.text
        assert "of ada alone" not in browser.get(f"/d/{DATABASE}").text
        browser.get(f"/d/{DATABASE}")
        for rest in ("/cancel", "/feedback"):
            assert browser.post(path + rest, judged="right").status_code == 404
        browser.client.close()


def test_what_one_may_not_pick(ada: Browser) -> None:
    assert ada.get("/d/postgres").status_code == 404
    assert ada.post("/d/postgres/run", statement="SELECT 1").status_code == 404
    for question in (" ", "x" * 9000):
        assert ada.post(f"/d/{DATABASE}/ask", question=question).status_code in (400, 413)
    assert ada.post(f"/d/{DATABASE}/run", statement="").status_code == 400
    assert ada.post(f"/d/{DATABASE}/run", statement="SELECT '\0'").status_code == 400


def test_the_tables_that_one_may_see(consoles: Consoles, ada: Browser) -> None:
    said = words(ada.get(f"/d/{DATABASE}/schema").text)
    assert "public.staff" in said
    assert "salary" not in said
    assert "secrets" not in said
    assert "public.customers.id" in said, "what a foreign key leads to"
    page = ada.get(f"/d/{DATABASE}/schema?find=staff")
    statement = next(one["value"] for _, one in tags(page.text) if one.get("name") == "statement")
    assert statement is not None
    rows = words(run(ada, statement).text)
    assert "id name 1 Zoe" in rows
    emil = words(consoles.start().sign_in("emil").get(f"/d/{DATABASE}/schema").text)
    assert "staff" not in emil
    assert "only some rows" in emil
    found = words(ada.get(f"/d/{DATABASE}/schema?find=AMOUNT").text)
    assert "public.orders" in found
    assert "public.staff" not in found
