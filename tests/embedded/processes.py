"""Looking at processes from outside."""

from __future__ import annotations

from pathlib import Path


def runs(pid: int) -> bool:
    """One that has ended and that nobody has waited for yet does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
