"""The documentation as a site: it builds, it is whole, and it asks nothing of other hosts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
_LOADED = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"([^\"]+)\"|<link\b[^>]*\bhref=\"([^\"]+)\"")


def build(sources: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    return subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    done = build(ROOT, target)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def test_every_page_is_there_and_the_reference_is_made_from_code(site: Path) -> None:
    pages = {page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").rglob("*.md")}
    built = {page.relative_to(site) for page in site.rglob("*.html")}
    assert built == pages | {Path("404.html"), Path("reference/commands.html"), Path("reference/sqlstates.html")}
    commands = (site / "reference" / "commands.html").read_text()
    assert "nlsql-gateway audit verify [OPTIONS]" in commands
    assert "<code>NL001</code>" in (site / "reference" / "sqlstates.html").read_text()


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    loaded = {
        (page.name, first or second)
        for page in site.rglob("*.html")
        for first, second in _LOADED.findall(page.read_text())
        if re.match(r"(?:https?:)?//", first or second)
    }
    assert loaded == set()


def test_links_into_the_sources_are_no_links(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert "../nlsql_gateway/" not in page.read_text(), page


@pytest.mark.parametrize("link", ["[x](nowhere.md)", "[x](policy.md#nowhere)"])
def test_a_broken_link_is_an_error(tmp_path: Path, link: str) -> None:
    for name in ("docs", "site_builder"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    with (tmp_path / "docs" / "start.md").open("a") as page:
        page.write(f"\n{link}\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert "nowhere" in done.stdout + done.stderr
