"""Signing in and out: sessions, cookies, tokens of forms, how often."""

from __future__ import annotations

from nlsql_gateway.console import Port
from nlsql_gateway.console.app import PAGES
from tests.console.browser import Browser, words
from tests.console.conftest import DATABASE, Consoles
from tests.server.authority import Authority


def cookie(browser: Browser) -> str:
    (found,) = [one for one in browser.client.cookies.jar if one.name.endswith("nlsql-console")]
    return str(found.value)


def test_in_and_out(consoles: Consoles) -> None:
    browser = consoles.start()
    first = browser.get("/databases", follow=False)
    assert first.status_code == 303
    assert first.headers["location"] == "/sign-in?next=%2Fdatabases"
    page = browser.get("/databases")
    before = cookie(browser)
    header = page.headers["set-cookie"].lower()
    assert "httponly" in header
    assert "samesite=strict" in header
    assert "secure" not in header
    answer = browser.post("/sign-in", name="ada", password="ada-secret", next="/databases")
    assert DATABASE in words(answer.text)
    assert cookie(browser) != before, "a token from before signing in is not taken over"
    signed = cookie(browser)
    assert browser.post("/sign-out").status_code == 200
    browser.client.cookies.set("nlsql-console", signed)
    again = browser.get("/databases")
    assert "Your session has ended" in words(again.text), "its cookie is good for nothing"


def test_a_wrong_password_or_name_is_told_without_saying_which(consoles: Consoles) -> None:
    browser = consoles.start()
    browser.get("/sign-in")
    told = [browser.post("/sign-in", name=name, password="wrong") for name in ("ada", "nobody")]
    assert {one.status_code for one in told} == {401}
    assert all("The name or the password is wrong." in words(one.text) for one in told)
    assert browser.post("/sign-in", name="", password="x").status_code == 400
    assert browser.post("/sign-in", name="a\0b", password="x").status_code == 400


def test_tries_are_limited(consoles: Consoles) -> None:
    now = [0.0]
    browser = consoles.start(monotonic=lambda: now[0])
    browser.get("/sign-in")
    states = [browser.post("/sign-in", name="ada", password="wrong").status_code for _ in range(11)]
    assert states == [401] * 10 + [429]
    now[0] += 61
    assert browser.post("/sign-in", name="ada", password="ada-secret", follow=False).status_code == 303


def test_the_gateway_is_down(consoles: Consoles) -> None:
    browser = consoles.start(port=Port("127.0.0.1", 1))
    browser.get("/sign-in")
    answer = browser.post("/sign-in", name="ada", password="ada-secret")
    assert answer.status_code == 503
    assert "The gateway does not answer" in words(answer.text)


def test_a_session_ends_by_itself(consoles: Consoles) -> None:
    """An hour after its last use, eight hours after its beginning."""
    now = [0.0]
    browser = consoles.start(monotonic=lambda: now[0]).sign_in("ada")
    for _ in range(9):
        now[0] += 3000
        assert browser.get("/databases", follow=False).status_code == 200
    now[0] += 3000
    assert "Your session has ended" in words(browser.get("/databases").text), "28,800 seconds after its beginning"
    browser.sign_in("ada")
    now[0] += 3601
    assert "Your session has ended" in words(browser.get("/databases").text)
    assert browser.post("/sign-out").status_code == 200


def test_the_first_database_that_the_catalog_lists(consoles: Consoles) -> None:
    browser = consoles.start(databases=[])
    browser.sign_in("ada")
    assert {DATABASE, "postgres"} <= set(words(browser.get("/databases").text).split())


def test_next_leads_nowhere_else(consoles: Consoles) -> None:
    browser = consoles.start()
    for target in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"):
        browser.get("/sign-in")
        answer = browser.post("/sign-in", name="ada", password="ada-secret", next=target, follow=False)
        assert answer.headers["location"] == "/"
        browser.get("/databases")
        browser.post("/sign-out")


def test_by_tls_the_cookie_is_secure(consoles: Consoles, authority: Authority) -> None:
    tls = authority.server()
    browser = consoles.start(listen={"tls": {"certificate": tls.certificate, "key": tls.key}})
    page = browser.get("/sign-in")
    header = page.headers["set-cookie"]
    assert header.startswith("__Host-nlsql-console=")
    assert "; secure" in header.lower()
    assert "max-age" in page.headers["strict-transport-security"]
    browser.sign_in("ada")


def test_no_form_without_its_token(consoles: Consoles) -> None:
    browser = consoles.start().sign_in("petra")
    other = consoles.start().sign_in("petra")
    for page in PAGES:
        if page.posts:
            path = page.path.replace("{database}", DATABASE).replace("{run}", "x")
            for token in ("", "0" * 64, "é", other.csrf):
                answer = browser.client.post(path, data={"csrf": token})
                assert answer.status_code == 403, path
                assert "The form is too old" in words(answer.text)


def test_pages_of_others_roles(consoles: Consoles) -> None:
    ada, nobody = consoles.start().sign_in("ada"), consoles.start()
    for one in PAGES:
        path = one.path.replace("{database}", DATABASE).replace("{run}", "x")
        if one.who == "anyone" or one.posts:
            continue
        answer = nobody.get(path, follow=False)
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/sign-in?"), path
        if one.who != "person":
            assert ada.get(path).status_code == 403, path
