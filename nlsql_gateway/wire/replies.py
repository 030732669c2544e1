"""The queue of expected replies: one entry for each message sent upstream that the upstream answers.

It keeps the gateway in step when it exchanges an answer for its own. After an ErrorResponse in the extended protocol
the upstream skips to Sync (PostgreSQL manual, "Extended Query"): ``fail`` drops the entries that it skips.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final


class Step(enum.Enum):
    """A message whose reply is awaited."""

    QUERY = "Query"
    PARSE = "Parse"
    BIND = "Bind"
    DESCRIBE = "Describe"
    EXECUTE = "Execute"
    CLOSE = "Close"
    SYNC = "Sync"


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


@dataclass(slots=True)
class Account:
    """What the audit log is told of one run."""

    record_id: str
    started: float
    "Seconds of a monotonic clock."
    rows: int = 0
    bytes: int = 0
    sqlstate: str = "00000"
    is_closed: bool = False


@dataclass(slots=True)
class Expected:
    step: Step
    account: Account | None = None
    refusal: bytes | None = None
    "Our own ErrorResponse, in the place of the one that the upstream will give."
    rewritten: bool = False
    "Positions in the upstream's errors do not fit the client's text."
    undo: Callable[[], None] | None = None
    "Called when the upstream did not carry it out."


class Replies:
    """First in, first out."""

    __slots__ = ("_queue",)

    def __init__(self) -> None:
        self._queue: deque[Expected] = deque()

    def expect(self, entry: Expected) -> None:
        self._queue.append(entry)

    @property
    def head(self) -> Expected | None:
        return self._queue[0] if self._queue else None

    def __len__(self) -> int:
        return len(self._queue)

    def entries(self) -> Iterator[Expected]:
        return iter(self._queue)

    def answered(self, kind: int) -> Expected | None:
        """A reply of type ``kind`` came. The entry that it ends, taken off the queue; None when it ends none."""
        if self._queue and kind in ENDS[self._queue[0].step]:
            return self._queue.popleft()
        return None

    def fail(self) -> list[Expected]:
        """An ErrorResponse came. The entries that the upstream does not carry out, the failed one first.

        A Query's entry stays, since ReadyForQuery is still to come; so does a Sync's.
        """
        dropped: list[Expected] = []
        if self._queue and self._queue[0].step is not Step.QUERY:
            while self._queue and self._queue[0].step is not Step.SYNC:
                dropped.append(self._queue.popleft())
        return dropped

    def copy_in(self) -> None:
        """The upstream went into COPY FROM STDIN: it ignores every Sync that was sent ahead of the data."""
        head = self._queue.popleft()
        while self._queue and self._queue[0].step is Step.SYNC:
            self._queue.popleft()
        self._queue.appendleft(head)

    def drain(self) -> list[Expected]:
        """All entries, taken: the connection is over."""
        left = list(self._queue)
        self._queue.clear()
        return left
