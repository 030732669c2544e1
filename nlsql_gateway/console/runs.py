"""Runs: questions and statements on their way through a line, and their answers, kept while there is room."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final, Literal

from nlsql_gateway.console.line import Answer, Line, Notice, Unreadable, Verdict
from nlsql_gateway.errors import UpstreamError

PROGRESS: Final = "00NL1"
"""The SQLSTATE of a NOTICE that tells a stage; its DETAIL is JSON: stage, ms."""

STAGES: Final = ("linking", "model", "checks", "running")

LONGEST_RUN: Final = 900.0
"""Seconds; what the gateway and the policy allow is mostly less."""

State = Literal["running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as the gateway worded it."""

    sqlstate: str
    message: str
    detail: str
    hint: str
    around: tuple[str, str, str] | None = None
    "The line of the statement that it is about: what is before the place, the word there, what is behind."


def _around(statement: str, position: int | None) -> tuple[str, str, str] | None:
    if position is None or not 1 <= position <= len(statement):
        return None
    at = position - 1
    begin = statement.rfind("\n", 0, at) + 1
    end = statement.find("\n", at)
    behind = statement[at : len(statement) if end < 0 else end]
    found = re.match(r"\w+|.?", behind)
    word = found[0] if found is not None else ""
    return statement[begin:at][-100:], word, behind[len(word) :][:100]


@dataclass(slots=True, eq=False)
class Run:
    database: str
    tab: str
    text: str
    "The words of a question, or a statement."
    is_question: bool
    only_verdict: bool = False
    "Nothing is run: what would become of it is shown."
    goes_on: bool = False
    "The person says that it goes on from the last question."
    id: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float = 0.0
    state: State = "running"
    stages: list[tuple[str, int]] = field(default_factory=list)
    "Each with the milliseconds from the beginning."
    sql: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    "Who wrote the SQL, with which confidence, as the gateway says."
    doubt: str = ""
    verdict: Verdict | None = None
    answer: Answer | None = None
    let_go: bool = False
    "There was an answer; others needed its room."
    failure: Failure | None = None
    python: str = ""
    "The code that made the answer of another run's rows; then there is no statement."
    source: str = ""
    "The id of that run."
    printed: str = ""
    "What the code printed."
    judged: str = ""
    "right, wrong or nothing yet."
    task: asyncio.Task[None] | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def stage(self) -> str:
        return self.stages[-1][0] if self.stages else ""

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    def tell(self) -> None:
        """Something is another than before."""
        event, self._changed = self._changed, asyncio.Event()
        event.set()

    def enter(self, stage: str, ms: int) -> None:
        if self.stage != stage:
            self.stages.append((stage, ms))
            self.tell()

    def cancel(self) -> None:
        if self.task is not None and not self.task.done():
            self.task.cancel()

    def statement(self) -> str:
        """What goes to the gateway: a question as one line, for a line's end would end the comment that it is."""
        if not self.is_question:
            return self.text
        form = f"ask{' explain' if self.only_verdict else ''}{' more' if self.goes_on else ''}"
        return f"-- {form}: {' '.join(self.text.split())}"


@dataclass(slots=True)
class Shelf:
    """The answers of everybody, within ``room`` bytes: the oldest are let go."""

    room: int
    _runs: list[Run] = field(default_factory=list)
    _coming: dict[str, int] = field(default_factory=dict)
    "What answers that are being read take so far, by the id of their run."

    def fits(self, run: Run, size: int) -> bool:
        """Whether the answer to ``run``, now of this size, may grow: to a quarter of the room, all to its whole."""
        self._coming[run.id] = size
        return size <= self.room // 4 and sum(self._coming.values()) <= self.room

    def has_come(self, run: Run) -> None:
        """It grows no more."""
        self._coming.pop(run.id, None)

    def put(self, run: Run) -> None:
        self._runs = [one for one in self._runs if one.answer is not None]
        self._runs.append(run)
        taken = sum(one.answer.size for one in self._runs if one.answer is not None)
        while taken > self.room and len(self._runs) > 1:
            oldest = self._runs.pop(0)
            if oldest.answer is not None:
                taken -= oldest.answer.size
                oldest.answer, oldest.let_go = None, True


async def carry_out(run: Run, line: Line, shelf: Shelf, *, most: int) -> None:
    """To the end of ``run``, whatever that is. Cancel the task to cancel what runs."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(LONGEST_RUN), line.busy:
            line.noticed = lambda notice: _heard(run, notice)
            fits = partial(shelf.fits, run)
            await _steps(run, line, most, fits, lambda: round((loop.time() - began) * 1000))
        run.state = "done"
        if run.answer is not None:
            shelf.put(run)
    except asyncio.CancelledError:
        run.state = "cancelled"
    except TimeoutError:
        run.state, run.failure = "failed", Failure("57014", f"there was no end within {LONGEST_RUN:g} s", "", "")
    except UpstreamError as error:
        run.state, run.failure = (
            "failed",
            Failure(
                error.sqlstate,
                error.message,
                error.detail,
                error.hint,
                _around(run.text, getattr(error, "position", None)) if not run.is_question else None,
            ),
        )
    finally:
        run.seconds = loop.time() - began
        if run.state == "running":  # a fault of ours, which the task group hears of
            run.state, run.failure = "failed", Failure("XX000", "the console has a fault", "", "tell its operator")
        shelf.has_come(run)
        line.noticed = lambda _: None
        line.used = loop.time()
        run.tell()


async def _steps(run: Run, line: Line, most: int, fits: Callable[[int], bool], ms: Callable[[], int]) -> None:
    """Raises UpstreamError."""
    if run.only_verdict:
        run.verdict = await (line.explain(run.statement()) if run.is_question else line.verdict(run.text))
        run.sql, run.facts = run.verdict.sql, run.verdict.facts
        return
    if not run.is_question:
        run.enter("checks", ms())
        run.sql = run.text
        run.verdict = await line.verdict(run.text)
    try:
        prepared = await line.prepare(run.statement())
        if run.is_question:
            run.tell()
            run.verdict = await line.verdict(run.sql)
        run.enter("running", ms())
        run.answer = await line.rows(prepared, most, fits)
    except Unreadable:
        # The SQL is known; it is run once more, as a statement of its own.
        async with line.plainly():
            run.answer = await line.rows(await line.prepare(run.sql), most, fits)


def _heard(run: Run, notice: Notice) -> None:
    if notice.sqlstate == PROGRESS:
        try:
            told = json.loads(notice.detail)
            stage, ms = str(told["stage"]), int(told["ms"])
        except (ValueError, TypeError, KeyError):
            return
        if stage in STAGES:
            run.enter(stage, ms)
    elif notice.message.startswith("SQL: ") and not run.sql:
        run.sql = notice.message.removeprefix("SQL: ")
        facts = [fact.partition(": ") for fact in notice.detail.split("; ")]
        run.facts = tuple((name, value) for name, colon, value in facts if colon and name != "doubtful")
        run.doubt = next((value for name, _, value in facts if name == "doubtful"), "")
