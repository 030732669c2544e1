"""The queue of expected replies: one entry for each message sent upstream that the upstream answers.

It keeps the gateway in step when it exchanges an answer for its own. After an ErrorResponse in the extended protocol
the upstream skips to Sync (PostgreSQL manual, "Extended Query"): ``fail`` drops the entries that it skips. A reply that
the queue does not expect is an error: better no connection than one out of step.
"""

from __future__ import annotations

import enum
from typing import Final, Protocol

from nlsql_gateway.errors import ProtocolError


class Step(enum.Enum):
    """A message whose reply is awaited."""

    QUERY = "Query"
    PARSE = "Parse"
    BIND = "Bind"
    DESCRIBE = "Describe"
    EXECUTE = "Execute"
    CLOSE = "Close"
    SYNC = "Sync"

    __hash__ = object.__hash__  # Enum's own is Python code, and this is looked up for every reply


ENDS: Final = {
    Step.QUERY: b"Z",
    Step.PARSE: b"1",
    Step.BIND: b"2",
    Step.DESCRIBE: b"Tn",
    Step.EXECUTE: b"CIs",
    Step.CLOSE: b"3",
    Step.SYNC: b"Z",
}
"""The types of the replies that end each step; ErrorResponse ends all but Query and Sync."""

WITHIN: Final = {Step.QUERY: b"TCI"}
"""Of those types, the ones that may come without ending the step."""

MANY: Final = 256
"""Entries that are over and still kept: letting go of each by itself would take long where thousands wait."""


class Change(Protocol):
    """What a message will have changed when the upstream has carried it out."""

    def answered(self, done: bool) -> None:
        """Called once, with whether it did."""


class Effects(Protocol):
    """What a text does besides its result, told by the tags of its statements."""

    def completed(self, tag: bytes) -> None:
        """Called with the tag of each CommandComplete."""

    def over(self) -> None:
        """Called once, when no further reply will come."""


class Fetched:
    """What was returned of one cursor so far."""

    __slots__ = ("bytes", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self.bytes = 0


class Account:
    """What the audit log is told of one run."""

    __slots__ = (
        "bytes",
        "cursor",
        "is_closed",
        "is_noted",
        "limit",
        "most_bytes",
        "most_rows",
        "over",
        "record_id",
        "rows",
        "sqlstate",
        "started",
    )

    def __init__(self, record_id: str, started: float) -> None:
        """``started``: seconds of a monotonic clock."""
        self.record_id = record_id
        self.started = started
        self.rows = 0
        self.bytes = 0
        self.sqlstate = "00000"
        self.is_closed = False
        self.most_rows: int | None = None
        self.most_bytes: int | None = None
        "What the run may return; None: anything."
        self.over = ""
        "What whoever goes over that is told, beside the limit."
        self.is_noted = False
        "Going over is noted and ends nothing."
        self.limit = ""
        "The one of them that it went over."
        self.cursor: Fetched | None = None
        "What it takes its rows from, when that is a cursor."


class Expected:
    """A message that went upstream, and what is to be done when its reply comes."""

    __slots__ = (
        "account",
        "change",
        "copied",
        "effects",
        "is_recorded",
        "notice",
        "refusal",
        "rewritten",
        "silent",
        "step",
    )

    def __init__(
        self,
        step: Step,
        account: Account | None = None,
        *,
        refusal: bytes | None = None,
        is_recorded: bool = False,
        rewritten: tuple[str, str] | None = None,
        notice: bytes = b"",
        change: Change | None = None,
        effects: Effects | None = None,
        silent: bool = False,
    ) -> None:
        self.step = step
        self.account = account
        self.refusal = refusal
        "Our own ErrorResponse, in the place of the one that the upstream will give."
        self.is_recorded = is_recorded
        "It may go upstream only when the audit log has kept what was added for it."
        self.rewritten = rewritten
        "The client's text and what was sent in its place, where positions in the upstream's errors are of the latter."
        self.notice = notice
        "NoticeResponses that go to the client before the reply."
        self.change = change
        self.effects = effects
        self.silent = silent
        "It is ours: what the upstream answers is kept from the client, unless it is an error."
        self.copied = 0
        "How often the client ended COPY data ahead of a CopyInResponse; of a Sync: that it came before such an end."

    def refused(self, error: bytes, step: Step | None = None) -> Expected:
        """Turned into one whose message will fail and be answered with ``error``; ``step``: by another message."""
        self.step = step or self.step
        self.refusal = error
        if self.effects is not None:
            self.effects.over()
        self.account = self.change = self.effects = None
        self.notice = b""
        return self


class Replies:
    """First in, first out."""

    __slots__ = ("_at", "_queue")

    def __init__(self) -> None:
        self._queue: list[Expected] = []
        self._at = 0
        "What is before it is over. Compiled, a list is several times as fast as a deque."

    def expect(self, entry: Expected) -> None:
        self._queue.append(entry)

    @property
    def head(self) -> Expected | None:
        return self._queue[self._at] if self._at < len(self._queue) else None

    def __len__(self) -> int:
        return len(self._queue) - self._at

    def _take(self) -> Expected:
        entry = self._queue[self._at]
        self._at += 1
        if self._at == len(self._queue) or self._at > MANY:
            del self._queue[: self._at]
            self._at = 0
        return entry

    def answered(self, kind: int) -> Expected | None:
        """A reply of type ``kind``, one of those in ``ENDS``, came. The entry that it ends, taken off the queue.

        None when the step goes on. Raises ProtocolError when nothing of the kind is expected.
        """
        head = self.head
        if head is not None:
            if kind in ENDS[head.step]:
                return self._take()
            if kind in WITHIN.get(head.step, b""):
                return None
        raise ProtocolError(f"the upstream sent {chr(kind)!r} out of step")

    @property
    def is_alone(self) -> bool:
        """Nothing was sent behind the head but the Sync of its batch."""
        return len(self) == 1 or (len(self) == 2 and self._queue[self._at + 1].step is Step.SYNC)

    def fail(self) -> list[Expected]:
        """An ErrorResponse came. The entries that the upstream does not carry out, taken, the failed one first.

        Empty when the step is a Query or a Sync: its ReadyForQuery is still to come, so its entry stays.
        """
        dropped: list[Expected] = []
        head = self.head
        if head is not None and head.step is not Step.QUERY:
            while head is not None and head.step is not Step.SYNC:
                dropped.append(self._take())
                head = self.head
        return dropped

    def copy_ended(self) -> None:
        """The client sent CopyDone or CopyFail before it can have seen CopyInResponse."""
        for entry in reversed(self._queue[self._at :]):
            entry.copied += 1
            if entry.step is not Step.SYNC:
                return

    def copy_in(self) -> bool:
        """CopyInResponse came. Whether the client has still to send the data.

        The upstream ignores every Sync that was sent ahead of the data. Raises ProtocolError when something else was:
        it would take that for an error and we should be out of step.
        """
        head = self.head
        if head is None or head.step not in (Step.QUERY, Step.EXECUTE):
            raise ProtocolError("the upstream asks for COPY data out of step")
        waiting = head.copied == 0
        # The head stays where it is, whatever comes: what runs must be accounted for at the end.
        behind = self._at + 1
        while len(self) > 1 and self._queue[behind].step is Step.SYNC and (waiting or self._queue[behind].copied):
            del self._queue[behind]
        if waiting and len(self) > 1:
            raise ProtocolError("a message was sent ahead of the data of COPY FROM STDIN")
        head.copied -= not waiting
        return waiting

    def drain(self) -> list[Expected]:
        """All entries, taken: the connection is over."""
        left = self._queue[self._at :]
        self._queue.clear()
        self._at = 0
        return left
