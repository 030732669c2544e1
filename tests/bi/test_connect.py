"""Each page of docs/connect says how its tool was tried, and index.md agrees with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.bi import report

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "connect"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.name != "index.md")
RUN = {
    "superset": ["superset"],
    "pgadmin": ["pgadmin"],
    "dbt": ["dbt"],
    "jupyter": ["jupysql", "sqlalchemy"],
    "jdbc": ["pgjdbc"],
    "odbc": ["psqlodbc"],
    "psql": ["pgcli", "harlequin"],
    "libreoffice": ["libreoffice"],
    "node": ["node"],
}
"""What `make bi` ran of each page."""


def test_the_index_leads_to_every_page() -> None:
    assert set(re.findall(r"\]\(([a-z-]+)\.md\)", (FOLDER / "index.md").read_text())) == {page.stem for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_it_says_how_it_was_tried(page: Path) -> None:
    text = page.read_text()
    (tried,) = re.findall(r"^Tried: (.*)$", text, re.MULTILINE)
    ran = [name for name in RUN.get(page.stem, []) if name in report.read()]
    assert bool(ran) == ("make bi" in tried)
    assert "6432" in text
    index = next(line for line in (FOLDER / "index.md").read_text().splitlines() if f"({page.name})" in line)
    assert tried.startswith("replayed only") == ("was not run" in index)
    assert "ask" in text.lower()
