"""Python over an answer, from its page: the result is an answer like any other."""

from __future__ import annotations

import httpx
import pytest

from tests.console.browser import Browser, words
from tests.console.conftest import Consoles
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
