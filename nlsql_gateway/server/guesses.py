"""Guesses: how many wrong cancel keys came lately, and who must wait because of it.

A key has 50 unknown bits or more, so a guesser needs years at any rate; the limit is there so that guessing is seen,
and costs us little. An address that is over it is not locked out: what it sends is looked at a second later, and only
a few at a time, since behind one address may be many clients.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

WINDOW: Final = 60.0
"""Seconds; wrong keys are counted anew in each."""

PER_ADDRESS: Final = 60
PER_PASSING: Final = 600
"""Of an address whose requests go to another replica, or come from one: whether their keys were right nobody tells."""

IN_ALL: Final = 1200
DELAY: Final = 1.0
WAITING: Final = 8
"""Requests of one address that may wait at a time; one more is closed unseen."""


class Guesses:
    """The count of one process."""

    def __init__(self, exceeded: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        """``exceeded`` is told, once a window, whose guesses are too many: an address, or "all"."""
        self._exceeded = exceeded
        self._monotonic = monotonic
        self._began = monotonic()
        self._wrong: Counter[tuple[str, bool]] = Counter()
        self._total = 0
        self._waiting: Counter[tuple[str, bool]] = Counter()

    def count(self, address: str, *, passing: bool) -> None:
        """A key was wrong, or went to another replica (``passing``), which will not tell."""
        self._renew()
        limit = PER_PASSING if passing else PER_ADDRESS
        self._wrong[address, passing] += 1
        if self._wrong[address, passing] == limit:
            self._exceeded(address)
        self._total += 1
        if self._total == IN_ALL:
            self._exceeded("all")

    async def admit(self, address: str, *, passing: bool) -> bool:
        """Whether a request may be looked at; returns later for an address that is over its limit."""
        self._renew()
        limit = PER_PASSING if passing else PER_ADDRESS
        source = (address, passing)
        if self._wrong[source] < limit and self._total < IN_ALL:
            return True
        if self._waiting[source] >= WAITING:
            return False
        self._waiting[source] += 1
        try:
            await asyncio.sleep(DELAY)
        finally:
            self._waiting[source] -= 1
            if not self._waiting[source]:
                del self._waiting[source]
        return True

    def _renew(self) -> None:
        now = self._monotonic()
        if now - self._began >= WINDOW:
            self._began = now
            self._wrong.clear()
            self._total = 0
