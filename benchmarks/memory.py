"""Memory of a process in the middle, its children included, as Linux accounts for it (proc(5))."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg

from benchmarks.columns import Column

_WARM_UP = 5
"Clients before the count starts: the first ones pay for what all share."


def resident_kb(pid: int) -> int:
    return _sum(pid, "VmRSS")


def peak_kb(pid: int) -> int:
    """The most that was resident since ``reset_peak``, or since the start."""
    return _sum(pid, "VmHWM")


def reset_peak(pid: int) -> int:
    """Begin a new VmHWM; what is resident now. Needs the right to write clear_refs: our own children, or root."""
    for process in _family(pid):
        Path(f"/proc/{process}/clear_refs").write_text("5")
    return resident_kb(pid)


def idle_kb(column: Column, clients: int) -> float:
    """kB for each of ``clients`` connections that have run one statement and wait."""
    assert column.pid is not None
    with ExitStack() as connections:

        def connect(count: int) -> None:
            for _ in range(count):
                connection = connections.enter_context(psycopg.connect(column.conninfo(), autocommit=True))
                connection.execute("SELECT abalance FROM pgbench_accounts WHERE aid = 1")

        connect(_WARM_UP)
        before = resident_kb(column.pid)
        connect(clients)
        return (resident_kb(column.pid) - before) / clients


def _sum(pid: int, key: str) -> int:
    return sum(read_kb(Path(f"/proc/{process}/status").read_text(), key) for process in _family(pid))


def read_kb(status: str, key: str) -> int:
    """``key`` of the text of /proc/PID/status, in kB."""
    line = next(line for line in status.splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1])


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that ended meanwhile
            for child in (task / "children").read_text().split():
                yield from _family(int(child))
