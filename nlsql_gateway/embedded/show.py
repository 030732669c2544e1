"""How the demonstration talks: narrow, in colour on a terminal, plain text elsewhere."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from nlsql_gateway.embedded.psql import Reply
from nlsql_gateway.embedded.tour import Step

WIDTH = 92
SHOWN_ROWS = 8

_LABEL = 9


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

    def step(self, number: int, step: Step) -> None:
        """One step of the tour: its title, its facts, its rows, and whether it held."""
        self.say.print(Text.assemble((f"{number:>2}  ", "dim"), (step.title, "bold")))
        for label, text in step.facts:
            self.say.print(Padding(_fact(label, text), (0, 0, 0, 4)))
        if step.reply is not None:
            self.say.print(Padding(_rows(step.reply), (0, 0, 0, 4 + _LABEL)))
        held = ("failed: " + step.failure, "bold red") if step.failure else ("ok", "green")
        took = (f"  {step.seconds:.1f} s", "dim") if step.seconds else ""
        self.say.print(Padding(Text.assemble(held, took), (0, 0, 1, 4)))

    def download(self) -> Progress:
        """A bar for bytes; where there is no terminal it draws nothing (``say`` it in lines instead)."""
        columns = (BarColumn(30), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        return Progress(*columns, console=self.say, disable=not self.say.is_terminal, transient=True)


def _fact(label: str, text: str) -> Table:
    grid = Table.grid(padding=0)
    grid.add_column(width=_LABEL, style="dim")
    grid.add_column(style="cyan" if label == "SQL" else "")
    grid.add_row(label, Text(text))
    return grid


def _rows(reply: Reply) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim underline")
    for index, name in enumerate(reply.columns):
        numeric = bool(reply.rows) and all(re.fullmatch(r"-?[\d.]*", row[index]) for row in reply.rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="ellipsis", no_wrap=True)
    for row in reply.rows[:SHOWN_ROWS]:
        table.add_row(*(Text(cell) for cell in row))
    if len(reply.rows) > SHOWN_ROWS:
        table.add_row(Text(f"… {len(reply.rows) - SHOWN_ROWS} more", style="dim"))
    return table
