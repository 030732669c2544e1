"""A decision that was remembered is the one that would be made: 2,000 hits here, any number by ``rounds``."""

from __future__ import annotations

import sys
import time

from tests.attacks.literals import Literals


def rounds(hits: int, first: int = 0) -> Literals:
    """At least so many comparisons; ``python -m tests.attacks.test_literals HITS [SEED]``."""
    found = Literals()
    seed = first
    while found.hits < hits:
        found.round(seed)
        seed += 1
    return found


def test_what_is_remembered_is_what_is_decided() -> None:
    assert rounds(2000).hits >= 2000


if __name__ == "__main__":
    began = time.monotonic()
    done = rounds(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns())
    print(f"{done.hits} hits in {done.texts} texts, {time.monotonic() - began:.0f} s")
