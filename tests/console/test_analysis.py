"""Python over an answer, from its page: the result is an answer like any other."""

from __future__ import annotations

import html

import httpx
import pytest

from tests.console.browser import Browser, words
from tests.console.conftest import Consoles, House
from tests.console.test_asking import run


@pytest.fixture
def ada(consoles: Consoles) -> Browser:
    return consoles.start(analysis={"seconds": 5}).sign_in("ada")


def answered(browser: Browser) -> httpx.Response:
    return run(browser, "SELECT customer_id, amount, placed FROM orders ORDER BY id")


def test_it_is_off_until_it_is_switched_on(consoles: Consoles) -> None:
    ada = consoles.start().sign_in("ada")
    page = answered(ada)
    assert "Analyse in Python" not in words(page.text)
    assert ada.get(f"{page.url.path}/python").status_code == 404
    assert ada.post(f"{page.url.path}/python", code="1").status_code == 404


def test_a_result_has_rows_a_chart_and_a_file(ada: Browser) -> None:
    page = answered(ada)
    assert "Analyse in Python" in words(page.text)
    form = ada.get(f"{page.url.path}/python")
    assert "amount number" in words(form.text)
    assert "resample('MS').sum()" in words(form.text)
    code = "print('by <b>customer</b>')\nrows.groupby('customer_id')['amount'].sum()"
    made = ada.post(f"{page.url.path}/python", code=code)
    said = words(made.text)
    assert made.status_code == 200
    assert "by <b>customer</b>" in said
    assert "<b>customer" not in made.text
    assert "3 rows" in said
    assert "data-chart" in made.text
    assert ada.get(f"{made.url.path}/rows.csv").text.splitlines()[0].endswith("customer_id,amount")
    assert ada.get(f"{made.url.path}/chart").json()["spec"]["data"]["values"]
    assert "Is it right?" not in said
    again = ada.get(f"{page.url.path}/python?code={made.url.path.rpartition('/')[2]}")
    assert "by &lt;b&gt;customer" in again.text
    assert ada.post(f"{made.url.path}/python", code="rows['amount'].sum()").status_code == 200


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("", 400, "The code is empty"),
        ("x" * 30_000, 413, "too long"),
        ("1 / 0", 422, "ZeroDivisionError"),
        ("open('/etc/passwd')", 422, "Operation not permitted"),
        ("print('only this')", 200, "only this"),
        ("x = 1", 200, "gave no result"),
    ],
)
def test_what_gives_no_rows(ada: Browser, code: str, status: int, said: str) -> None:
    answer = ada.post(f"{answered(ada).url.path}/python", code=code)
    assert answer.status_code == status
    assert said in words(answer.text)


def test_nobody_gets_at_anothers_rows(ada: Browser, consoles: Consoles) -> None:
    page = answered(ada)
    petra = consoles.start(analysis={}).sign_in("petra")
    assert petra.get(f"{page.url.path}/python").status_code == 404
    assert petra.post(f"{page.url.path}/python", code="rows").status_code == 404
    assert ada.client.post(f"{page.url.path}/python", data={"code": "rows", "csrf": "x"}).status_code == 403


def test_the_model_suggests_code_that_the_person_runs(ada: Browser, house: House) -> None:
    page = answered(ada)
    house.answers.clear()
    house.answers["the mean of each customer"] = "print(rows.groupby('customer_id')['amount'].mean())\n```"
    made = ada.post(f"{page.url.path}/python/suggestion", wish="the mean of each customer")
    assert made.status_code == 200
    assert "Suggested by double" in words(made.text)
    code = "rows.groupby('customer_id')['amount'].mean()"
    assert f"autofocus>{code}</textarea>" in html.unescape(made.text)
    prompt = house.model.asked[-1]
    assert "- 'amount' (number)" in prompt
    assert "420.0" not in prompt  # the largest amount: no row is told
    assert ada.post(f"{page.url.path}/python", code=code, wish="the mean").status_code == 200


def test_code_that_failed_is_suggested_anew(ada: Browser, house: House) -> None:
    page = answered(ada)
    failed = ada.post(f"{page.url.path}/python", code="rows['nothing']", wish="what is there")
    assert failed.status_code == 422
    assert "Suggest it without this error" in words(failed.text)
    house.answers.clear()
    house.answers["KeyError: 'nothing'"] = "rows['amount']"
    made = ada.post(
        f"{page.url.path}/python/suggestion", wish="what is there", code="rows['nothing']", error="KeyError: 'nothing'"
    )
    assert "rows['amount']</textarea>" in html.unescape(made.text)


def test_no_suggestion_is_said(ada: Browser, house: House) -> None:
    page = answered(ada)
    house.answers.clear()
    house.answers["nonsense"] = "rows.groupby("
    made = ada.post(f"{page.url.path}/python/suggestion", wish="nonsense", code="rows.head()")
    assert made.status_code == 422
    assert "No code was suggested no valid Python was found" in words(made.text)
    assert "rows.head()</textarea>" in made.text  # what was written is not lost
    assert ada.post(f"{page.url.path}/python/suggestion", wish=" ").status_code == 400
    assert ada.post(f"{page.url.path}/python/suggestion", wish="x" * 3000).status_code == 413
