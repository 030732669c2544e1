"""docs/security.md: each line names tests, and each test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "security.md").read_text()
NAMED = re.compile(r"`(tests/[a-z_0-9/]+\.py)::(test_\w+)`")
LINES = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith(("| through", "| ---"))
]


@pytest.mark.parametrize("line", LINES, ids=[line[0][:50] for line in LINES])
def test_every_line_names_tests_and_nothing_else(line: list[str]) -> None:
    through, stops, shown = line
    assert through
    assert stops
    assert NAMED.findall(shown)
    assert not re.sub(r"[,\s]", "", NAMED.sub("", shown))


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED.findall(TEXT)}))
def test_every_test_that_is_named_exists(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert {name for named, name in NAMED.findall(TEXT) if named == file} <= there
