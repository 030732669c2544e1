"""Figures: what the rooms count, for whoever collects it. Numbers only grow; nothing here knows a statement."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

BUCKETS: Final = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"Upper ends in seconds; one more bucket is for what took longer."

MOST: Final = 200
"Keys of a tally: what comes beyond is counted as other."
OTHER: Final = "other"


class Times:
    """How long something took, each time."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        "Not cumulative, one number a bucket."
        self.seconds = 0.0
        "All together."

    def took(self, seconds: float) -> None:
        self.seconds += seconds
        self.counts[bisect_left(BUCKETS, seconds)] += 1


class Tally:
    """How often each of a few things was. What they are called may come from outside, so their number is bounded."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}

    def add(self, one: str, other: str = "") -> None:
        key = (one, other)
        found = self.counts.get(key)
        if found is None and len(self.counts) >= MOST:
            key = (one, OTHER) if other else (OTHER, "")
            found = self.counts.get(key)
        self.counts[key] = 1 if found is None else found + 1
