"""Looking at processes from outside."""

from __future__ import annotations

import time
from pathlib import Path


def runs(pid: int) -> bool:
    """One that has ended and that nobody has waited for yet does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ended(pid: int, *, within: float = 10.0) -> bool:
    """Whether it ends in time: a signal is not at once its death."""
    deadline = time.monotonic() + within
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not runs(pid)
