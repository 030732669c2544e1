"""What an install brings: its licences, and that the locks are those of constraints.txt with a hash for each file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import licences

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "locks"
ENTRY = re.compile(r"^(\S+?)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)


def locked(name: str) -> dict[str, str]:
    """Versions by name. Every line belongs to an entry with a hash."""
    text = (LOCKS / name).read_text()
    assert not ENTRY.sub("", text).strip(), "a line that is no entry with hashes"
    return {canonicalize_name(package): version for package, version, _ in ENTRY.findall(text)}


def constraints() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def test_everything_is_locked_in_the_version_that_is_tested() -> None:
    assert locked("everything.txt") == constraints(), "make lock"


def test_the_image_installs_what_the_gateway_and_its_console_need() -> None:
    described = licences.project()
    needed = licences.closure([*described["dependencies"], *described["optional-dependencies"]["console"]])
    found = locked("gateway.txt")
    assert found.keys() == needed.keys(), "make lock"
    assert found.items() <= constraints().items()


def test_what_builds_it_is_what_pyproject_names() -> None:
    named = re.search(r"^requires = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert named
    wanted = [Requirement(text) for text in re.findall(r'"([^"]+)"', named[1])]
    lines = (LOCKS / "build.in").read_text().splitlines()
    assert [Requirement(line) for line in lines if not line.startswith("#")] == wanted
    found = locked("build.txt")
    assert all(found[canonicalize_name(one.name)] in one.specifier for one in wanted)
    assert found.items() <= constraints().items()


def test_the_tools_are_locked() -> None:
    found = locked("tools.txt")
    for line in (LOCKS / "tools.in").read_text().splitlines():
        name, version = line.split("==")
        assert found[canonicalize_name(name)] == version


def test_the_image_is_built_from_the_locks_alone() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    installs = re.findall(r"python -m pip (?:--python \S+ )?(install|wheel) ([^\n]*)", text)
    assert len(installs) == 4
    for _, options in installs:
        assert "--require-hashes" in options or "--no-deps" in options
    assert set(re.findall(r"locks/\w+\.txt", text)) == {"locks/gateway.txt", "locks/build.txt"}


@pytest.mark.parametrize("row", licences.rows(), ids=lambda row: row.split("|")[1].strip())
def test_a_licence_is_a_free_one(row: str) -> None:
    name, licence, where = (cell.strip() for cell in row.strip("|").split("|"))
    words = set(re.findall(r"[\w.+-]+", licence)) - {"AND", "OR", "WITH"}
    if words == {"LGPL-3.0-only"}:
        assert (name, where) == ("pyte", "embedded"), "a library that can be exchanged, and not of the gateway itself"
    else:
        assert words <= licences.FREE


def test_a_licence_that_is_not_free_would_be_found() -> None:
    psycopg = licences.closure(["psycopg"])["psycopg"]
    assert "LGPL" in licences.licence(psycopg)
    assert "LGPL-3.0-only" not in licences.FREE


def test_the_page_lists_what_is_installed() -> None:
    text = (ROOT / "docs" / "licences.md").read_text()
    shown = [
        line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| package", "| ---"))
    ]
    assert shown == licences.rows(), "python -m tests.licences"
