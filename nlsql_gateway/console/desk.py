"""A desk: what one session has in hand, its lines and its runs. Nobody else gets at it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

import structlog

from nlsql_gateway.console.line import Line
from nlsql_gateway.console.port import Port
from nlsql_gateway.console.runs import Run, Shelf, carry_out
from nlsql_gateway.console.sessions import Session

MOST_LINES: Final = 10
"""Tabs of one session that have a connection; the one that was used longest ago loses its own. More than may run."""

LINE_IDLE: Final = 900.0
"""Seconds after which a connection that nobody uses is closed; its tab opens another, which knows no last question."""

MOST_KEPT: Final = 50
"""Runs."""

MOST_RUNNING: Final = 8


@dataclass(slots=True, eq=False)
class Desk:
    session: Session
    port: Port
    shelf: Shelf
    most_rows: int
    tasks: asyncio.TaskGroup
    log: structlog.stdlib.BoundLogger
    runs: dict[str, Run] = field(default_factory=dict)
    "The newest last."
    _lines: dict[tuple[str, str], Line] = field(default_factory=dict)
    "By database and tab."

    def line(self, database: str, tab: str) -> Line:
        """The connection of one tab, opened when it is first used."""
        now = asyncio.get_running_loop().time()
        found = self._lines.get((database, tab))
        if found is None:
            idle = sorted((line.used, key) for key, line in self._lines.items() if not line.busy.locked())
            for _, key in idle[: max(0, len(self._lines) - MOST_LINES + 1)]:
                self.tasks.create_task(_closed(self._lines.pop(key)))
            found = self._lines[database, tab] = Line(self.port, self.session, database)
        found.used = now
        return found

    def sweep(self) -> None:
        """Close what nobody uses."""
        before = asyncio.get_running_loop().time() - LINE_IDLE
        for key, line in list(self._lines.items()):
            if line.used < before and not line.busy.locked():
                self.tasks.create_task(_closed(self._lines.pop(key)))

    @property
    def is_full(self) -> bool:
        """Too much runs at a time."""
        return sum(run.state == "running" for run in self.runs.values()) >= MOST_RUNNING

    def keep(self, run: Run) -> None:
        """One that is done."""
        self._add(run)
        self.shelf.put(run)

    def _add(self, run: Run) -> None:
        self.runs[run.id] = run
        for old in list(self.runs.values())[:-MOST_KEPT]:
            if old.state != "running":
                old.answer = None
                del self.runs[old.id]

    def start(self, run: Run) -> None:
        """Carry it out behind the pages."""
        self._add(run)
        run.task = self.tasks.create_task(self._contained(run, self.line(run.database, run.tab)))

    def leave(self) -> None:
        """The session has ended: what runs is cancelled, the connections are closed."""
        for run in self.runs.values():
            run.cancel()
            run.answer = None
        for line in self._lines.values():
            self.tasks.create_task(_closed(line))
        self.runs.clear()
        self._lines.clear()

    async def _contained(self, run: Run, line: Line) -> None:
        """A fault of ours ends this run and nothing else."""
        try:
            await carry_out(run, line, self.shelf, most=self.most_rows)
        except Exception as error:
            self.log.error("a run failed", exc_info=error)
            await _closed(line)


async def _closed(line: Line) -> None:
    try:
        async with asyncio.timeout(5), line.busy:
            pass
    except TimeoutError:
        pass  # closed all the same
    await line.close()
