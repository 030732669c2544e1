"""What holds for every answer."""

from __future__ import annotations

import re

import httpx

from nlsql_gateway.console.assets import Assets
from tests.console.browser import Browser, tags
from tests.console.conftest import Consoles

PATHS = ["/", "/sign-in", "/databases", "/static/console.css", "/static/../app.py", "/nowhere", "/static/nothing"]


def test_headers(ada: Browser) -> None:
    for path in PATHS:
        check_headers(path, ada.get(path, follow=False))


def check_headers(path: str, answer: httpx.Response) -> None:
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "server" not in answer.headers
    if path.startswith("/static/console"):
        assert "immutable" in answer.headers["cache-control"]
    else:
        assert answer.headers["cache-control"] == "no-store"


def test_limits(consoles: Consoles) -> None:
    browser = consoles.start().sign_in("ada")
    assert browser.client.post("/sign-out", data={"csrf": "x" * 600_000}).status_code == 413
    assert browser.client.post("/sign-out", data={str(n): "" for n in range(60)}).status_code == 400
    assert browser.client.post("/sign-out", json={}).status_code == 415
    assert browser.client.put("/sign-out").status_code == 405
    assert browser.get("/databases?" + "x" * 5000).status_code == 414
    for origin in ("https://evil.example", "null"):
        elsewhere = browser.client.post("/sign-out", data={"csrf": browser.csrf}, headers={"origin": origin})
        assert elsewhere.status_code == 403
    states = {browser.client.get("/static/console.css").status_code for _ in range(700)}
    assert states == {200, 429}


def test_forms_of_one_session_are_limited(consoles: Consoles) -> None:
    browser = consoles.start().sign_in("ada")
    states = [browser.client.post("/databases", data={"csrf": browser.csrf}).status_code for _ in range(3)]
    assert set(states) == {405}
    told = [browser.client.post("/sign-out", data={"csrf": "x"}).status_code for _ in range(125)]
    assert told[:100] == [403] * 100
    assert told[-1] == 429


def test_nothing_comes_from_other_hosts_and_nothing_is_inline(ada: Browser) -> None:
    for path in ("/sign-in", "/databases", "/nowhere"):
        for tag, attributes in tags(ada.get(path).text):
            assert "style" not in attributes
            assert not any(name.startswith("on") for name in attributes)
            assert tag != "style"
            if tag == "script":
                assert attributes.get("src"), "no script in the page"
            for name in ("src", "href", "action"):
                assert not re.match(r"[a-z]+:|//", attributes.get(name) or ""), attributes


def test_a_file_is_packed_where_the_browser_takes_that(ada: Browser) -> None:
    plain = ada.client.get("/static/console.css", headers={"accept-encoding": "identity"})
    packed = ada.client.get("/static/console.css", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.text == packed.text


def test_what_a_page_weighs_and_that_all_of_it_is_shipped() -> None:
    """docs/console.md says how much; the licences stand beside what is not ours."""
    files = Assets().files
    ours = {name: one for name, one in files.items() if not name.startswith("vendor/")}
    assert sum(len(one.packed) for one in ours.values()) < 10_000
    charts = [one for name, one in files.items() if name.startswith("vendor/") and name.endswith(".js")]
    assert sum(len(one.packed) for one in charts) < 270_000
    assert not re.search(rb"@import|url\(", files["console.css"].body)
    licences = files["vendor/LICENSES.txt"].body.decode()
    for name in files:
        if name.startswith("vendor/") and name.endswith(".js"):
            assert f"{name.removeprefix('vendor/')}: " in licences


def test_no_script_evaluates_texts() -> None:
    for name, one in Assets().files.items():
        if name.endswith(".js") and not name.startswith("vendor/"):
            assert not re.search(
                rb"\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write", one.body
            )
