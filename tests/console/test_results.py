"""What can be done with an answer: pages, order, files, charts, right and wrong, verifying."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest

from nlsql_gateway.config import load
from nlsql_gateway.console_backstage import backstage
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.console.browser import Browser, words
from tests.console.conftest import Consoles, House
from tests.console.test_asking import ask, run


def cells(text: str) -> list[str]:
    return re.findall(r"<td[^>]*>(.*?)</td>", text)


def test_ten_thousand_rows_in_pages(ada: Browser) -> None:
    page = run(ada, "SELECT id, label FROM many ORDER BY id")
    said = words(page.text)
    assert "10,000 rows" in said
    assert "There are more" in said
    assert "Page 1 of 100" in said
    assert len(page.content) < 60_000
    path = page.url.path
    last = ada.get(f"{path}?page=100")
    assert cells(last.text)[-2:] == ["10000", "row 10000"]
    down = ada.get(f"{path}?sort=0&order=down")
    assert cells(down.text)[:2] == ["10000", "row 10000"]
    assert 'aria-sort="descending"' in down.text
    text = ada.get(f"{path}?sort=1&order=up&page=2")
    assert cells(text.text)[1] == sorted(f"row {n}" for n in range(1, 10_001))[100], "texts as texts"
    for nonsense in ("?page=0", "?page=999", "?page=-1&sort=9", "?sort=x&order=y", "?page=9999999999999"):
        assert ada.get(path + nonsense).status_code == 200
    got = list(csv.reader(io.StringIO(ada.get(f"{path}/rows.csv?sort=0&order=down").text)))
    assert len(got) == 10_001
    assert got[:2] == [["id", "label"], ["10000", "row 10000"]]


def test_a_file_for_a_spreadsheet_has_no_formulas(ada: Browser) -> None:
    page = run(
        ada,
        "SELECT * FROM (VALUES ('=1+1', -5.5, '-3'), ('@x', 7, '+y'), (E'\\t=2', NULL, 'a,\"b')) AS t(\"=h\", n, t)",
    )
    answer = ada.get(f"{page.url.path}/rows.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith('attachment; filename="shop-')
    assert list(csv.reader(io.StringIO(answer.text))) == [
        ["'=h", "n", "t"], ["'=1+1", "-5.5", "-3"], ["'@x", "7", "'+y"], ["'\t=2", "", 'a,"b'],
    ]  # fmt: skip
    assert "'=1+1\t-5.5" in ada.get(f"{page.url.path}/rows.tsv").text


def test_a_chart_that_fits_and_another(ada: Browser) -> None:
    page = run(
        ada, "SELECT date_trunc('month', placed)::date AS month, sum(amount) AS total FROM orders GROUP BY 1 ORDER BY 1"
    )
    assert "Line chart of total by month" in words(page.text)
    path = page.url.path
    made = ada.get(f"{path}/chart").json()
    assert made["spec"]["mark"]["type"] == "line"
    assert made["spec"]["encoding"]["x"]["type"] == "temporal"
    assert made["spec"]["data"]["values"][0] == {"x": "2025-01-01", "y": 4882.5}
    other = ada.get(f"{path}/chart?mark=bar&x=0&y=1&colour=").json()
    assert other["spec"]["mark"]["type"] == "bar"
    assert "http" not in json.dumps({**other["spec"], "$schema": ""})
    assert ada.get(f"{path}/chart?mark=pie&x=99&y=-1&colour=zzz").json()["spec"]["mark"]["type"] == "line"
    table = run(ada, "SELECT name, region FROM customers")
    assert "data-chart" not in table.text
    assert ada.get(f"{table.url.path}/chart").status_code == 404


def test_right_and_wrong_are_kept(consoles: Consoles, ada: Browser) -> None:
    page = ask(ada, "how many customers")
    for judged in ("right", "wrong"):
        assert f"Kept: {judged}." in words(ada.post(f"{page.url.path}/feedback", judged=judged).text)
    assert ada.post(f"{page.url.path}/feedback", judged="perhaps").status_code == 400
    file = consoles.folder / "feedback.jsonl"
    assert file.stat().st_mode & 0o777 == 0o600
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(one["person"], one["judged"], one["question"]) for one in kept] == [
        ("ada", "right", "how many customers"), ("ada", "wrong", "how many customers"),
    ]  # fmt: skip
    assert kept[0]["sql"] == "SELECT count(*) AS customers FROM customers"


def test_a_reviewer_verifies_an_answer(
    consoles: Consoles, house: House, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTREAM_PASSWORD", postgres.password)
    settings = load(house.gateway.config)
    offered = backstage(house.gateway.config, settings)
    house.answers[""] = "SELECT count(*) AS n FROM customers WHERE region = 'East'"
    petra = consoles.start(backstage=offered).sign_in("petra")
    page = ask(petra, "how many customers are in East")
    assert "Verify this" in words(page.text)
    shown = petra.get(f"{page.url.path}/verify")
    assert "SELECT count(*) AS n FROM customers WHERE region" in words(shown.text)
    wrong = petra.post(f"{page.url.path}/verify", wording="how many", parameters="Region", write="1")
    assert wrong.status_code == 422
    file = settings.ask.semantics
    assert file is not None
    assert "petra" not in file.read_text()
    fields: dict[str, Any] = {"wording": "how many customers are in East", "parameters": "region=East"}
    looked = petra.post(f"{page.url.path}/verify", look="1", **fields)
    assert "{region}" in words(looked.text)
    assert "petra" not in file.read_text()
    assert "Written." in words(petra.post(f"{page.url.path}/verify", write="1", **fields).text)
    assert "verified_by: petra" in file.read_text()
    ada = consoles.start(backstage=offered).sign_in("ada")
    own = ask(ada, "how many orders")
    assert "Verify this" not in words(own.text)
    assert ada.get(f"{own.url.path}/verify").status_code == 403
    file.write_text("version: 1\ndatabases:\n  shop:\n    metrics:\n      turnover: sum(orders.amount)\n")


def test_answers_that_take_too_much_room_are_let_go(consoles: Consoles) -> None:
    ada = consoles.start(memory=2_000_000).sign_in("ada")
    first = run(ada, "SELECT id, label FROM many LIMIT 3000")
    assert "The rows were let go" not in words(ada.get(first.url.path).text)
    for _ in range(4):
        run(ada, "SELECT id, label FROM many LIMIT 3000")
    assert "The rows were let go" in words(ada.get(first.url.path).text)
    assert ada.get(f"{first.url.path}/rows.csv").status_code == 404


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(ada: Browser, rows: int) -> None:
    page = run(ada, f"SELECT id, label FROM many WHERE id <= {rows}")
    assert f"{rows} row" in words(page.text)
    assert ada.get(f"{page.url.path}/rows.csv").text.count("\r\n") == rows + 1
