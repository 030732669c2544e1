"""Results as JSON in benchmarks/results/bi.json, and the table of docs/clients.md that is made from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tests.bi.known import Known, why
from tests.bi.running import Run
from tests.bi.tool import Tool

RESULTS: Final = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "bi.json"
PAGE: Final = RESULTS.parents[2] / "docs" / "clients.md"
HEAD: Final = "| tool | version | tried | steps, of them the same | what is not, and why |"

FIGURES: Final = "| tool | step | PostgreSQL itself | through the gateway |"


def result(tool: Tool, run: Run, known: list[Known], seconds: float) -> dict[str, Any]:
    """What is kept of a run; steps that were the same are counted, the others named."""
    return {
        "title": tool.title,
        "version": run.version,
        "tried": tool.tried,
        "seconds": round(seconds, 1),
        "steps": len(run.steps),
        "same": sum(step.outcome == "same" for step in run.steps),
        "others": [
            {"person": one.person, "step": one.name, "outcome": one.outcome, "why": why(tool.name, one, known)}
            for one in run.steps
            if one.outcome != "same"
        ],
        "figures": {
            one.name: {"direct_ms": one.direct["ms"], "through_ms": one.through["ms"]}
            for one in run.steps
            if one.name in tool.figures and one.person == tool.persons[0]
        },
    }


def read() -> dict[str, Any]:
    """By the tools' names; {} where nothing was kept yet."""
    kept: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return kept


def write(results: dict[str, Any], order: list[str]) -> None:
    """The results, and the table that is made from them."""
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    lines = PAGE.read_text().split("\n")
    for head, made in ((HEAD, rows(results, order)), (FIGURES, figures(results, order))):
        start, end = table(lines, head)
        lines[start:end] = made
    PAGE.write_text("\n".join(lines))


def figures(results: dict[str, Any], order: list[str]) -> list[str]:
    """The lines of the table of times, without its head."""
    return [
        f"| {results[name]['title']} | {step} | {one['direct_ms']:.0f} ms | {one['through_ms']:.0f} ms |"
        for name in sorted(results, key=order.index)
        for step, one in results[name]["figures"].items()
    ]


def table(lines: list[str], head: str) -> tuple[int, int]:
    """From which line of the page to which the rows below ``head`` stand."""
    start = lines.index(head) + 2
    return start, lines.index("", start)


def rows(results: dict[str, Any], order: list[str]) -> list[str]:
    """The lines of the table, without its head."""
    lines = []
    for name in sorted(results, key=order.index):
        one = results[name]
        whys = dict.fromkeys(other["why"] or "not explained" for other in one["others"])
        cells = (one["title"], one["version"], one["tried"], f"{one['steps']}, {one['same']}", "; ".join(whys) or "-")
        lines.append(f"| {' | '.join(cells)} |")
    return lines
