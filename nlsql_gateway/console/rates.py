"""Limits on how often: counts in windows of time, in memory."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Final

MOST_KEYS: Final = 100_000
"""Keys of one window; one more is refused, so that what is kept is bounded."""


class Rate:
    """At most ``count`` in each window of ``seconds``, of each key."""

    def __init__(self, count: int, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._seconds = seconds
        self._monotonic = monotonic
        self._began = monotonic()
        self._taken: Counter[Hashable] = Counter()

    def take(self, key: Hashable) -> bool:
        """Whether one more may be; it is counted."""
        now = self._monotonic()
        if now - self._began >= self._seconds:
            self._began = now
            self._taken.clear()
        if self._taken[key] >= self._count or (key not in self._taken and len(self._taken) >= MOST_KEYS):
            return False
        self._taken[key] += 1
        return True

    def wait(self) -> int:
        """Whole seconds until the next window, at least one."""
        return max(1, round(self._began + self._seconds - self._monotonic()))
