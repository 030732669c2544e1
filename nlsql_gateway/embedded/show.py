"""How the demonstration talks: narrow, in colour on a terminal, plain text elsewhere."""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from nlsql_gateway.embedded.psql import Reply
from nlsql_gateway.embedded.tour import Outcome, Step

WIDTH = 92
SHOWN_ROWS = 8

_INDENT = 4
_LABEL = 9
_WIDEST = 30
"Of a column, in characters."
_STYLES = {"SQL": "cyan"}


def console() -> Console:
    """At most ``WIDTH`` wide, so that it stays readable; no colour and no motion when not a terminal."""
    wide = Console(highlight=False)
    return Console(highlight=False, width=min(WIDTH, wide.width) if wide.is_terminal else WIDTH)


@dataclass(slots=True)
class Part:
    """One thing being started; what is said of it when it is ready."""

    note: str = ""


class Show:
    def __init__(self, say: Console) -> None:
        self.say = say

    def title(self, text: str) -> None:
        self.say.print(f"\n{text}\n", style="bold")

    @contextmanager
    def part(self, name: str, doing: str) -> Iterator[Part]:
        """Say what is being done; then, unless it fails, its line with the seconds it took."""
        part = Part()
        started = time.monotonic()
        with self.say.status(f"{name}: {doing}"):
            yield part
        self.ready(name, part.note, time.monotonic() - started)

    def ready(self, name: str, note: str, seconds: float) -> None:
        line = Text.assemble(("✓ ", "green"), (f"{name:<12}", "bold"), f"{note}  ", (f"{seconds:.1f} s", "dim"))
        self.say.print(line)

    def line(self, text: str = "", style: str = "") -> None:
        self.say.print(Text(text, style=style), soft_wrap=True)

    def take(self, number: int, step: Step) -> Outcome:
        """Take one step of the tour: its title at once; then its facts, its rows, and whether it held."""
        self._labelled(f"{number:>2}", step.title, label_width=_INDENT, indent="", style="bold")
        with self.say.status(""):
            outcome = step.take()
        for label, text in outcome.facts:
            self._labelled(label, text, label_width=_LABEL, indent=" " * _INDENT, style=_STYLES.get(label, ""))
        for index, line in enumerate(_table(outcome.reply) if outcome.reply is not None else ()):
            self.line(" " * (_INDENT + _LABEL) + line, "dim" if index == 0 else "")
        held = ("failed: " + outcome.failure, "bold red") if outcome.failure else ("ok", "green")
        took = (f"  {outcome.seconds:.1f} s", "dim") if outcome.seconds else ""
        self.say.print(Text.assemble(" " * _INDENT, held, took, "\n"), soft_wrap=True)
        return outcome

    def _labelled(self, label: str, text: str, *, label_width: int, indent: str, style: str) -> None:
        """The label once, the text beside it, each of its lines wrapped."""
        width = self.say.width - len(indent) - label_width
        lines = [part for line in text.splitlines() for part in textwrap.wrap(line, width) or [""]]
        for index, line in enumerate(lines or [""]):
            head = label if index == 0 else ""
            self.say.print(Text.assemble(indent, (f"{head:<{label_width}}", "dim"), (line, style)), soft_wrap=True)


def _table(reply: Reply) -> Iterator[str]:
    """The names of the columns, then the first rows; numbers to the right."""
    shown = [reply.columns, *reply.rows[:SHOWN_ROWS]]
    widths = [min(_WIDEST, max(len(row[index]) for row in shown)) for index in range(len(reply.columns))]
    numeric = [
        bool(reply.rows) and all(re.fullmatch(r"-?[\d.]*", row[index]) for row in reply.rows)
        for index in range(len(reply.columns))
    ]
    for row in shown:
        cells = [cell if len(cell) <= _WIDEST else cell[: _WIDEST - 1] + "…" for cell in row]
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ]
        yield "  ".join(padded).rstrip()
    if len(reply.rows) > SHOWN_ROWS:
        yield f"… {len(reply.rows) - SHOWN_ROWS} more"
