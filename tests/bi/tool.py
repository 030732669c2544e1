"""One tool: what it needs, how its program is started, and what it is said to have tried."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bi.world import Address

PROGRAMS: Final = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Place:
    """Where a program runs: the interpreter of the tool's environment (or ours), a folder of its own."""

    python: Path
    folder: Path


@dataclass(frozen=True)
class Tool:
    name: str
    "Of its requirements, its results, and on the command line."
    title: str
    "In docs/clients.md."
    tried: str
    "What its program does, in words."
    program: Callable[[Place, Address], list[str | Path]]
    "The command; it prints what ``programs/steps.py`` says. PGHOST and so on are set, but as arguments may be wanted."
    persons: tuple[str, ...] = ("emil", "ada")
    environment: Mapping[str, str] | None = None
    "More variables."
    figures: tuple[str, ...] = ()
    "Steps whose times are kept."
    asks: bool = False
    "Whether a step asks a question, so that a model is wanted."
    needs: Callable[[], str] = lambda: ""
    "What is missing on this machine, a Debian package by name; nothing: ''."

    @property
    def requirements(self) -> Path:
        """All packages of its environment, each with its version. No such file: ours has what it needs."""
        return Path(__file__).parent / "requirements" / f"{self.name}.txt"


def script(name: str) -> Callable[[Place, Address], list[str | Path]]:
    """A Python program of ``programs/``, run by the tool's own interpreter."""
    return lambda place, _address: [place.python, PROGRAMS / name]


def ours(name: str) -> Callable[[Place, Address], list[str | Path]]:
    """A Python program of ``programs/``, run by this interpreter, with the tool's as its argument."""
    return lambda place, _address: [sys.executable, PROGRAMS / name, place.python]
