"""Vocabularies: what people's columns hold, read in the background when somebody asks, kept for a while in memory.

One for people with the same rights under the same policy on the same catalog; none is used when it is older than
``seconds``. All together they take ``most`` bytes; the one that was used last stays longest. Nothing of them is written
anywhere, logs included.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final, NamedTuple

from nlsql_gateway.ask import Vocabulary

WAIT_S: Final = 0.5
"""Seconds that a question waits for one that is being read: a small schema's is there by then."""
SHARE: Final = 4
"""No single one may take more than this part of the memory."""
RETRY_S: Final = 30.0
"""Seconds until one that could not be read is read again."""
MAX_KEPT: Final = 1000
"""However small they are."""


class Whose(NamedTuple):
    """What a vocabulary depends on. Two people share one only if their ``rights`` are the same."""

    database: str
    rights: str
    policy: str
    catalog: str


@dataclass(frozen=True, slots=True)
class _Kept:
    vocabulary: Vocabulary | None
    "None: it could not be read; that is not tried again for RETRY_S."
    read_at: float


class Vocabularies:
    """One for a worker. Bound to one event loop."""

    def __init__(self, seconds: float, most: int, failed: Callable[[str], None] = lambda _: None) -> None:
        """``seconds``: for which one is used; 0: none is read. ``failed`` is told why one could not be read."""
        self.tasks: asyncio.TaskGroup | None = None
        "Where they are read, while it lasts; None: they are not."
        self._seconds = seconds
        self._most = most
        self._failed = failed
        self._kept: OrderedDict[Whose, _Kept] = OrderedDict()
        self._reading: dict[Whose, asyncio.Task[None]] = {}
        self._one_by_one = asyncio.Semaphore(1)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def largest(self) -> int:
        """Bytes that one may take."""
        return self._most // SHARE

    @property
    def size(self) -> int:
        """Bytes that all take."""
        return sum(kept.vocabulary.size for kept in self._kept.values() if kept.vocabulary is not None)

    async def of(self, whose: Whose, read: Callable[[], Awaitable[Vocabulary]]) -> Vocabulary | None:
        """The one of ``whose``, which ``read`` reads if need be; None: there is none, or none yet."""
        if not self._seconds:
            return None
        kept = self._known(whose)
        if kept is None and self.tasks is not None:
            task = self._reading.get(whose)
            if task is None:
                task = self._reading[whose] = self.tasks.create_task(self._read(whose, read))
            await asyncio.wait({task}, timeout=WAIT_S)
            kept = self._known(whose)
        return kept.vocabulary if kept is not None else None

    def _known(self, whose: Whose) -> _Kept | None:
        kept = self._kept.get(whose)
        if kept is None:
            return None
        if self._is_old(kept):
            del self._kept[whose]
            return None
        self._kept.move_to_end(whose)
        return kept

    def _is_old(self, kept: _Kept) -> bool:
        life = self._seconds if kept.vocabulary is not None else min(self._seconds, RETRY_S)
        return monotonic() - kept.read_at >= life

    async def _read(self, whose: Whose, read: Callable[[], Awaitable[Vocabulary]]) -> None:
        vocabulary, read_at = None, monotonic()
        try:
            async with self._one_by_one:
                read_at = monotonic()
                vocabulary = await read()
        except Exception as error:  # noqa: BLE001 - answers come without; its text could hold values
            self._failed(type(error).__name__)
        finally:
            del self._reading[whose]
        self._kept[whose] = _Kept(vocabulary, read_at)
        self._kept.move_to_end(whose)
        for old in [one for one, kept in self._kept.items() if self._is_old(kept)]:
            del self._kept[old]
        while len(self._kept) > MAX_KEPT or self.size > self._most:
            self._kept.popitem(last=False)

    async def aclose(self) -> None:
        """End what is being read."""
        reading = list(self._reading.values())
        for task in reading:
            task.cancel()
        for task in reading:
            with suppress(asyncio.CancelledError):
                await task
        self._kept.clear()
