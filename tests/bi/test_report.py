"""The table of docs/clients.md is what `make bi` found last; nothing in it is unexplained."""

from __future__ import annotations

from pathlib import Path

from tests.bi import known, report
from tests.bi.tools import TOOLS


def test_the_table_is_made_from_the_results() -> None:
    lines = report.PAGE.read_text().splitlines()
    for head, made in ((report.HEAD, report.rows), (report.FIGURES, report.figures)):
        start, end = report.table(lines, head)
        expected = made(report.read(), [tool.name for tool in TOOLS])
        assert lines[start:end] == expected, "\n".join(expected)


def test_every_tool_ran_and_every_difference_is_explained() -> None:
    results = report.read()
    assert set(results) == {tool.name for tool in TOOLS}
    for tool in TOOLS:
        one = results[tool.name]
        assert (one["title"], one["tried"]) == (tool.title, tool.tried), f"make bi TOOL={tool.name}"
        assert one["same"] + len(one["others"]) == one["steps"]
        assert all(other["why"] for other in one["others"])


def test_every_requirement_is_pinned() -> None:
    for file in (Path(__file__).parent / "requirements").glob("*.txt"):
        assert file.stem in {tool.name for tool in TOOLS}
        assert all("==" in line for line in file.read_text().splitlines()), file


def test_what_is_known_names_tools_that_there_are() -> None:
    for entry in known.read():
        assert set(entry.tools) <= {tool.name for tool in TOOLS}
        assert entry.outcome in {"differs", "refused", "fails"}
        assert entry.why
