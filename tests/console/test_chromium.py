"""The console in a real Chromium: drawn, by keyboard alone, narrow, and without a serious finding of axe.

The screenshots of the documentation are made here, when ``NLSQL_SHOTS`` names a folder for them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, Playwright, sync_playwright

from nlsql_gateway.console import Backstage
from nlsql_gateway.embedded.triton import CACHE
from tests.console.conftest import DATABASE, Consoles, House
from tests.e2e.harness import PASSWORDS

CHROMIUM = shutil.which("chromium")
AXE = "axe-core@4.14.1"

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or shutil.which("npm") is None, reason="needs Chromium, and npm to fetch axe-core"
)

WIDE, NARROW = 1280, 360
Open = Callable[..., AbstractContextManager[Page]]


@pytest.fixture(scope="module")
def axe() -> str:
    """The script; fetched once."""
    folder = CACHE.expanduser() / f"axe-{hashlib.sha256(AXE.encode()).hexdigest()[:12]}"
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", AXE]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    return script.read_text()


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as found:
        yield found


@pytest.fixture
def opened(playwright: Playwright, consoles: Consoles, offered: Backstage) -> Iterator[Open]:
    """``opened(width=…)`` is a page at a console; what its browser complains of fails the test."""
    url = str(consoles.start(backstage=offered, analysis={}).client.base_url)
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

    @contextmanager
    def page(width: int = WIDE, *, scheme: str = "light", csp: bool = True) -> Iterator[Page]:
        context = browser.new_context(
            base_url=url,
            viewport={"width": width, "height": 800},
            color_scheme="dark" if scheme == "dark" else "light",
            bypass_csp=not csp,
        )
        said: list[str] = []
        one = context.new_page()
        one.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        one.on("pageerror", lambda error: said.append(str(error)))
        one.on("request", lambda request: said.append(request.url) if not request.url.startswith(url) else None)
        yield one
        context.close()
        assert [words for words in said if "status of 4" not in words and "status of 5" not in words] == []

    yield page
    browser.close()


def sign_in(page: Page, name: str = "petra") -> None:
    page.goto("/")
    page.fill("#name", name)
    page.fill("#password", PASSWORDS[name])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/d/{DATABASE}")


def ask(page: Page, question: str) -> None:
    page.goto(f"/d/{DATABASE}")
    page.fill("#question", question)
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/r/*")


def shot(page: Page, name: str) -> None:
    folder = os.environ.get("NLSQL_SHOTS")  # noqa: TID251 - a test has no gateway.yaml
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


SALES = "SELECT region, count(*) AS customers FROM customers GROUP BY region ORDER BY region"


@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
def test_every_page_is_drawn_and_fits(opened: Open, house: House, width: int, scheme: str) -> None:
    house.answers[""] = (
        "SELECT placed AS day, sum(amount) AS revenue FROM orders GROUP BY placed ORDER BY placed LIMIT 5"
    )
    with opened(width, scheme=scheme) as page:
        page.goto("/")
        fits(page)
        sign_in(page)
        fits(page)
        ask(page, "revenue by day in the first week")
        page.wait_for_selector("[data-drawn]")
        fits(page)
        if scheme == "light":
            shot(page, "console-answer")
        page.fill("#statement", "SELECT id, label FROM many ORDER BY id")
        page.click("button:text-is('Run')")
        page.wait_for_selector("table >> text=row 1")
        fits(page)
        page.click("text=Analyse in Python")
        house.answers.clear()
        house.answers["by the rest"] = "rows.groupby(rows['id'] % 7)['id'].sum()"
        page.fill("#wish", "by the rest of seven")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("text=Suggested by double")
        fits(page)
        page.keyboard.press("Control+Enter")  # the code has the focus
        page.wait_for_selector("[data-drawn]")
        fits(page)
        page.goto(f"/d/{DATABASE}/schema")
        page.wait_for_selector("text=customers")
        fits(page)
        page.goto("/nowhere")
        fits(page)


OVERSIGHT = ("/audit", "/people", "/person?name=emil", "/policies")


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_officers_pages_are_drawn_and_fit(opened: Open, width: int) -> None:
    with opened(width) as page:
        sign_in(page, "emil")
        for statement in (SALES, "SELECT salary FROM staff"):
            page.goto(f"/d/{DATABASE}")
            page.fill("#statement", statement)
            page.click("button:text-is('Run')")
            page.wait_for_url("**/r/*")
        page.click("button:text-is('Sign out')")
        sign_in(page, "otto")
        for path in OVERSIGHT:
            page.goto(path)
            fits(page)
        page.goto("/audit")
        page.click("button:text-is('Verify now')")
        page.wait_for_selector("text=Whole")
        page.fill("#user", "emil")
        page.keyboard.press("Enter")
        page.wait_for_url("**user=emil**")
        assert "salary" in page.inner_text("table")
        fits(page)
        if width == WIDE:
            shot(page, "console-audit")
        page.click("tbody a >> nth=0")
        page.wait_for_selector("h2:text-is('Decision')")
        fits(page)


def fits(page: Page) -> None:
    """Nothing makes the page wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened: Open, house: House, axe: str, scheme: str) -> None:
    house.answers.clear()
    house.answers.update({"down": None, "": SALES})  # the first that fits
    with opened(scheme=scheme, csp=False) as page:  # axe is a script that the policy would not let in

        def check() -> None:
            found = page.evaluate(
                "async source => { (0, eval)(source); return (await axe.run()).violations"
                ".filter(one => ['serious', 'critical'].includes(one.impact))"
                ".map(one => [one.id, one.nodes.map(node => node.html)]) }",
                axe,
            )
            assert found == [], page.url

        page.goto("/")
        check()
        sign_in(page)
        check()
        ask(page, "customers by region")
        page.wait_for_selector("[data-drawn]")
        check()
        page.click("text=Analyse in Python")
        page.wait_for_selector("#code")
        check()
        ask(page, "down")
        page.wait_for_selector("text=NL002")
        check()
        for path in (f"/d/{DATABASE}/schema", "/nowhere"):
            page.goto(path)
            check()
        page.click("button:text-is('Sign out')")
        sign_in(page, "otto")
        for path in OVERSIGHT:
            page.goto(path)
            check()
        page.goto("/audit")
        page.click("tbody a >> nth=0")
        page.wait_for_selector("dl.facts")
        check()


def test_by_keyboard_alone(opened: Open, house: House) -> None:
    house.answers[""] = SALES
    with opened() as page:
        page.goto("/")
        keys = page.keyboard

        def to(selector: str) -> None:
            for _ in range(40):
                keys.press("Tab")
                if page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
                    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                    assert outline != "none", f"one sees where the focus is: {selector}"
                    return
            raise AssertionError(f"no Tab leads to {selector}")

        to("#name") if page.evaluate("document.activeElement.id") != "name" else None
        keys.type("ada")
        to("#password")
        keys.type(PASSWORDS["ada"])
        keys.press("Enter")
        page.wait_for_url(f"**/d/{DATABASE}")
        to("#question") if page.evaluate("document.activeElement.id") != "question" else None
        keys.type("customers by region")
        keys.press("Control+Enter")
        page.wait_for_selector("table >> text=East")


def test_ten_thousand_rows_the_model_down_and_a_session_that_ended(opened: Open, house: House) -> None:
    house.answers["all of them"] = "SELECT id, label FROM many ORDER BY id"
    house.answers["down"] = None
    house.answers.pop("")
    with opened() as page:
        sign_in(page, "ada")
        ask(page, "all of them")
        page.wait_for_selector("table >> text=row 100")
        assert "10,000" in page.inner_text("main")
        assert page.locator("tbody tr").count() <= 200, "a page of rows, not all"
        ask(page, "down")
        page.wait_for_selector("text=NL002")
        page.context.clear_cookies()
        page.goto(f"/d/{DATABASE}")
        page.wait_for_selector("#password")
