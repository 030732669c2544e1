"""What may differ between the two ways, and why: known.yaml, and whatever is not in it is a fault.

Each entry: ``steps`` (a regular expression for whole names), the ``outcome``, ``why``, which stands in docs/clients.md;
``tools`` and ``persons``, when given: for these alone; ``through``: of these words, which | separates, some must be in
what came through the gateway.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from tests.bi.running import Step

_FILE: Final = Path(__file__).with_name("known.yaml")


@dataclass(frozen=True)
class Known:
    steps: str
    outcome: str
    why: str
    through: str = ""
    tools: tuple[str, ...] = ()
    persons: tuple[str, ...] = ()

    def matches(self, tool: str, step: Step) -> bool:
        return (
            step.outcome == self.outcome
            and (not self.tools or tool in self.tools)
            and (not self.persons or step.person in self.persons)
            and re.fullmatch(self.steps, step.name) is not None
            and any(words in json.dumps(step.through, ensure_ascii=False) for words in self.through.split("|"))
        )


def read(path: Path = _FILE) -> list[Known]:
    entries = yaml.safe_load(path.read_text())
    return [
        Known(**{**one, "tools": tuple(one.get("tools", ())), "persons": tuple(one.get("persons", ()))})
        for one in entries
    ]


def why(tool: str, step: Step, known: list[Known]) -> str | None:
    """Of a step that is not the same both ways; None when nobody knows."""
    return next((one.why for one in known if one.matches(tool, step)), None)


def stale(tools: list[str], steps: list[tuple[str, Step]], known: list[Known]) -> list[Known]:
    """Entries that explain nothing any more, of tools that all ran."""
    return [
        one
        for one in known
        if (one.tools and set(one.tools) <= set(tools)) and not any(one.matches(tool, step) for tool, step in steps)
    ]
