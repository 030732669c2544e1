"""What officers look at, beside a real gateway; and that nobody else does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from nlsql_gateway.audit import chains
from nlsql_gateway.console import Backstage
from nlsql_gateway.console.app import PAGES
from tests.console.browser import Browser, words
from tests.console.conftest import DATABASE, POLICY, Consoles, House
from tests.console.test_asking import ask, run


@pytest.fixture
def otto(consoles: Consoles, offered: Backstage) -> Browser:
    return consoles.start(backstage=offered).sign_in("otto")


@pytest.fixture
def emil(consoles: Consoles) -> Browser:
    """He asked, and was refused."""
    browser = consoles.start().sign_in("emil")
    run(browser, "SELECT region, '<script>alert(7)</script>' AS planted FROM customers")
    run(browser, "SELECT salary FROM staff")
    return browser


def rows(page: str) -> list[str]:
    return [words(row) for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)][1:]


def test_nobody_else_gets_there(consoles: Consoles, offered: Backstage, ada: Browser) -> None:
    pages = [one for one in PAGES if one.who == "officer"]
    assert len(pages) == 8
    without = consoles.start(backstage=offered)
    for browser, status in ((consoles.start(backstage=offered).sign_in("petra"), 403), (without, 303)):
        browser.get("/" if status == 403 else "/sign-in")
        for one in pages:
            path = one.path.replace("{place}", "0-0")
            answer = browser.post(path, follow=False) if one.posts else browser.get(path, follow=False)
            assert answer.status_code == (status if status == 403 or not one.posts else 401), path
            assert "emil" not in answer.text
    assert "Audit log" not in words(ada.get("/databases").text)


def test_forms_need_their_token(otto: Browser) -> None:
    for path in ("/audit", "/policies"):
        assert otto.client.post(path, data={"csrf": "x", "file": "policy.yaml"}).status_code == 403


@pytest.mark.usefixtures("emil")
def test_the_audit_log_by_person_table_verdict_words_and_time(otto: Browser) -> None:
    everything = rows(otto.get("/audit").text)
    assert "SELECT salary FROM staff" in everything[0]
    assert "deny" in everything[0]
    assert all("emil" in row for row in rows(otto.get("/audit?user=EMIL").text))
    assert rows(otto.get("/audit?user=nobody").text) == []
    refused = rows(otto.get("/audit?user=emil&verdict=deny").text)
    assert refused
    assert all("deny" in row for row in refused)
    read = rows(otto.get("/audit?user=emil&table=public.customers").text)
    assert read
    assert all("public.customers" in row for row in read)
    assert "planted" in rows(otto.get("/audit?words=PLANTED").text)[0]
    assert rows(otto.get("/audit?until=2020-01-01").text) == []
    assert rows(otto.get("/audit?since=2020-01-01&until=2999-12-31").text)[0] == everything[0]


@pytest.mark.usefixtures("emil")
def test_it_is_turned_page_by_page(otto: Browser) -> None:
    first = otto.get("/audit")
    for _ in range(60):
        run(otto, "SELECT 1")
    page = otto.get("/audit")
    assert len(rows(page.text)) == 50
    seen = rows(page.text)
    while older := re.search(r'href="(/audit\?[^"]*older=[^"]*)"', page.text):
        page = otto.get(older[1].replace("&amp;", "&"))
        seen += rows(page.text)
    assert len(seen) > 100
    assert rows(first.text)[0] in seen


@pytest.mark.usefixtures("emil")
def test_one_entry_whole_and_escaped(otto: Browser) -> None:
    page = otto.get("/audit?user=emil&words=planted")
    (link, *_) = re.findall(r'href="(/audit/\d+-\d+)"', page.text)
    entry = otto.get(link)
    said = words(entry.text)
    for member in ("Decision", "text", "sql", "rules", "policy", "hash", "Outcome", "duration_ms"):
        assert member in said
    assert "row_filter public.customers" in said
    assert "<script>alert" not in entry.text + page.text
    for place in ("0-1", "9-0", "x", "0-99999999999999999999", "0"):
        assert otto.get(f"/audit/{place}").status_code == 422


@pytest.mark.parametrize("query", ["verdict=maybe", "since=yesterday", "until=2026-13-01"])
def test_a_search_for_nothing_sensible(otto: Browser, query: str) -> None:
    answer = otto.get(f"/audit?{query}")
    assert answer.status_code == 422
    assert "That cannot be shown" in words(answer.text)
    assert otto.get("/audit?user=" + "x" * 3000).status_code == 200
    assert otto.get("/audit?older=nonsense").status_code == 200


def test_the_chain_is_verified_and_a_broken_one_is_told(
    otto: Browser, house: House, consoles: Consoles, offered: Backstage
) -> None:
    assert "Not verified since" in words(otto.get("/audit").text)
    assert "Whole, verified 2" in words(otto.post("/audit").text).replace(" ,", ",")
    assert "Whole" in words(consoles.start(backstage=offered).sign_in("otto").get("/audit").text)
    (log,) = chains(house.gateway.audit)
    text = log.read_bytes()
    log.write_bytes(text.replace(b'"verdict":"allow"', b'"verdict":"deny"', 1))
    try:
        said = words(otto.post("/audit").text)
        assert "Broken" in said
        assert "hash" in said
    finally:
        log.write_bytes(text)
    assert "Whole" in words(otto.post("/audit").text)


def test_what_a_person_may_see_and_why(otto: Browser, house: House) -> None:
    people = words(otto.get("/people").text)
    for name in ("ada", "petra", "otto", "emil", "(not listed)"):
        assert name in people
    emil = words(otto.get("/person?name=emil").text)
    assert "region = 'East'" in emil
    assert re.search(r"role east \(policy\.yaml:\d+\)", emil)
    assert re.search(r"row_filter public\.customers .*?\(policy\.yaml:\d+\)", emil)
    assert "public.staff : no rule gives it" in emil
    ada = words(otto.get("/person?name=ada").text)
    assert "masked" in ada
    assert "Hidden salary" in ada
    assert "No table." in words(otto.get("/person?name=whoever").text)
    assert otto.get("/person?name=ada&database=template1").status_code == 404
    assert otto.get("/person", follow=False).headers["location"] == "/people"


def test_the_difference_between_two_policies(otto: Browser, house: House) -> None:
    new = yaml.safe_load(POLICY)
    new["roles"]["east"]["read"] = ["public.customers", "public.staff"]
    del new["roles"]["east"]["rows"]
    folder = (house.gateway.folder / yaml.safe_load(house.gateway.config.read_text())["policy"]).parent
    (folder / "next.yaml").write_text(yaml.safe_dump(new))
    try:
        assert "next.yaml" in words(otto.get("/policies").text)
        both: list[dict[str, Any]] = [{"file": "next.yaml"}, {"text": yaml.safe_dump(new)}]
        for fields in both:
            changes = rows(otto.post("/policies", **fields).text)
            assert "emil gains public.staff" in changes
            assert "emil loses public.orders" in changes
            assert any(change.startswith("emil sees otherwise public.customers: rows where") for change in changes)
    finally:
        (folder / "next.yaml").unlink()
    assert "Nobody gains or loses anything." in words(otto.post("/policies", text=POLICY).text)
    outside = ({"file": "../policy.yaml"}, {"file": "/etc/passwd"}, {"file": ""})
    broken: list[dict[str, Any]] = [*outside, {"text": "roles: ["}, {"text": "a: 1"}]
    for fields in broken:
        answer = otto.post("/policies", **fields)
        assert answer.status_code == 422, fields
        assert "root:" not in answer.text
    assert otto.post("/policies", text="x" * 300_000).status_code == 413


def test_the_evaluations_report(otto: Browser, tmp_path: Path) -> None:
    assert otto.get("/evaluation").status_code == 404
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "report.html").write_text("<style>b{}</style><script>alert(1)</script>right: 12")
    answer = otto.get("/evaluation")
    assert "right: 12" in answer.text
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "script-src" not in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_questions_are_told_as_such(otto: Browser, consoles: Consoles) -> None:
    ask(consoles.start().sign_in("ada"), "how many customers are there")
    found = rows(otto.get("/audit?user=ada&words=how+many+customers").text)
    assert any("ask: how many customers are there" in row for row in found)
    assert DATABASE in found[0]
