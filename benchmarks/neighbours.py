"""What one client's large statements cost the others: the times of known statements, alone and meanwhile."""

from __future__ import annotations

import threading
import time
from itertools import count

import psycopg

from benchmarks.columns import Column
from benchmarks.report import percentile

LARGE = " OR ".join(f"(aid = {number} AND bid = {number % 7})" for number in range(5000))
"""140 kB that PostgreSQL runs at once, by the key, but that take long to read."""


def times_us(column: Column, seconds: float) -> dict[str, int]:
    """p50, p99 and the longest, in microseconds, of one row by primary key; ``alone`` and ``meanwhile``."""
    found = {f"alone_{name}": value for name, value in _figures(_known(column, seconds)).items()}
    done = threading.Event()
    sender = threading.Thread(target=_send_large, args=(column, done))
    sender.start()
    try:
        meanwhile = _known(column, seconds)
    finally:
        done.set()
        sender.join()
    return found | {f"meanwhile_{name}": value for name, value in _figures(meanwhile).items()}


def _figures(times: list[int]) -> dict[str, int]:
    return {"p50": percentile(times, 50), "p99": percentile(times, 99), "max": max(times)}


def _known(column: Column, seconds: float) -> list[int]:
    times = []
    with psycopg.connect(column.conninfo(), autocommit=True) as connection:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            start = time.perf_counter_ns()
            connection.execute("SELECT abalance FROM pgbench_accounts WHERE aid = 4711")
            times.append((time.perf_counter_ns() - start) // 1000)
    return times


def _send_large(column: Column, done: threading.Event) -> None:
    """Another text each time: nothing of it is known."""
    with psycopg.connect(column.conninfo(), autocommit=True) as connection:
        for number in count(1):
            if done.is_set():
                return
            connection.execute(f"SELECT count(*) FROM pgbench_accounts WHERE aid = -{number} AND ({LARGE})")
