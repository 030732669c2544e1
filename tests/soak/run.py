"""A long time with many clients, a storm of logins, one hostile client: what is left behind, and what others notice."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import asyncpg
import psutil

from nlsql_gateway.audit import Whole, verify_all
from tests.kills.crowd import LOST
from tests.kills.house import DATABASE, House, house
from tests.soak.visitors import HARM, TABLES, Times, connect, percentile, visit

SLACK: Final = 5
"""Descriptors that gRPC and the loop may have opened since; a client that was forgotten takes two."""

WARM: Final = 0.1
"""Minutes."""

NOTE: Final = 30.0
"""Seconds between two notes of what the gateway holds."""


@dataclass
class Held:
    """What the gateway's processes hold together."""

    resident_mb: float
    descriptors: int
    threads: int
    upstream: int
    "Connections of clients at PostgreSQL."


@dataclass
class Report:
    clients: int
    minutes: float
    workers: int
    before: Held | None = None
    "With no client, after a little of the same: what is opened once is open."
    notes: list[Held] = field(default_factory=list)
    after: Held | None = None
    "When all have gone."
    told: dict[str, int] = field(default_factory=dict)
    statements: int = 0
    p50_ms: dict[str, float] = field(default_factory=dict)
    p99_ms: dict[str, float] = field(default_factory=dict)
    logins_a_minute: int = 0
    "As many as came through one after another, forty at a time."
    hostile: dict[str, dict[str, float]] = field(default_factory=dict)
    "Of other clients' look-ups, in milliseconds: without, and beside each hostile client."
    records: int = 0

    def text(self) -> str:
        return json.dumps(asdict(self), indent=2)


def held(made: House) -> Held:
    processes = [psutil.Process(pid) for pid in (made.pid, *made.workers_running())]
    counted = made.postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'visitor'")
    return Held(
        round(sum(one.memory_info().rss for one in processes) / 1024**2, 1),
        sum(one.num_fds() for one in processes),
        sum(one.num_threads() for one in processes),
        int(counted),
    )


def run(
    folder: Path,
    *,
    clients: int,
    minutes: float,
    workers: int = 1,
    pause: float = 2.0,
    harm_seconds: float = 20.0,
    tell: Callable[[str], None] = print,
) -> Report:
    """Raises AssertionError: something is left behind, a client was lost, or the log is not whole."""
    report = Report(clients, minutes, workers)
    server = {"max_connections": str(clients + 100), "shared_buffers": "256MB"}
    with house(folder, workers=workers, tables=TABLES, server=server) as made:
        asyncio.run(_soak(made, report, pause, harm_seconds, tell))
        assert made.stop() == 0
        for chain, verdict in verify_all(made.audit).items():
            assert isinstance(verdict, Whole), f"{chain}: {verdict}"
            report.records += verdict.records
    return report


async def _soak(made: House, report: Report, pause: float, harm_seconds: float, tell: Callable[[str], None]) -> None:
    await _visited(made, Report(report.clients, WARM, report.workers), Times(), pause / 4, tell)
    report.before, times = await _settled(made, None), Times()
    await _visited(made, report, times, pause, tell)
    found = times.take()
    report.p50_ms = {kind: percentile(seconds, 0.5) for kind, seconds in sorted(found.items())}
    report.p99_ms = {kind: percentile(seconds, 0.99) for kind, seconds in sorted(found.items())}
    report.statements = sum(len(seconds) for kind, seconds in found.items() if kind != "login")
    report.told = dict(times.told.most_common())
    tell("all have gone")
    report.after = await _settled(made, report.before)
    report.logins_a_minute = await _storm(made.port, min(60.0, report.minutes * 60))
    tell(f"{report.logins_a_minute} logins a minute")
    report.hostile["nobody"] = await _beside(made.port, None, harm_seconds)
    for name in HARM:
        report.hostile[name] = await _beside(made.port, name, harm_seconds)
        tell(f"{name}: {report.hostile[name]}; without: {report.hostile['nobody']}")
    await _settled(made, report.before)


async def _visited(made: House, report: Report, times: Times, pause: float, tell: Callable[[str], None]) -> None:
    stop, end = asyncio.Event(), time.monotonic() + report.minutes * 60
    async with asyncio.TaskGroup() as tasks:
        for number in range(report.clients):
            tasks.create_task(visit(made.port, DATABASE, random.Random(number), times, stop, pause))
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(NOTE, left))
            report.notes.append(await asyncio.to_thread(held, made))
            tell(f"{left / 60:.1f} minutes left: {report.notes[-1]}; {times.told.total()} statements")
        stop.set()


async def _settled(made: House, before: Held | None) -> Held:
    """When no client is there any more. Raises AssertionError: something of them is left."""
    deadline = time.monotonic() + 30
    while True:
        now = await asyncio.to_thread(held, made)
        if now.upstream == 0 and (before is None or now.descriptors <= before.descriptors + SLACK):
            return now
        assert time.monotonic() < deadline, f"left behind: {now}; before: {before}"
        await asyncio.sleep(0.2)


async def _storm(port: int, seconds: float) -> int:
    """Logins a minute, each by SCRAM, with one statement."""
    end, count = time.monotonic() + seconds, 0

    async def one() -> None:
        nonlocal count
        while time.monotonic() < end:
            connection = await connect(port, DATABASE)
            await connection.execute("SELECT 1")
            connection.terminate()
            count += 1

    async with asyncio.TaskGroup() as tasks:
        for _ in range(40):
            tasks.create_task(one())
    return round(count / seconds * 60)


async def _beside(port: int, name: str | None, seconds: float) -> dict[str, float]:
    """Look-ups of twenty clients while ``name`` does harm: percentiles in milliseconds."""
    stop, found = asyncio.Event(), list[float]()
    harmed: list[int] = []

    async def harm() -> None:
        if name is not None:
            with suppress(*LOST, asyncpg.PostgresError):
                harmed.append(await HARM[name](port, DATABASE, stop))

    async def one(chance: random.Random) -> None:
        connection = await connect(port, DATABASE)
        while not stop.is_set():
            began = time.monotonic()
            await connection.execute(f"SELECT name FROM customers WHERE id = {chance.randrange(2000)}")
            found.append(time.monotonic() - began)
            await asyncio.sleep(0.05)
        connection.terminate()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(harm())
        for number in range(20):
            tasks.create_task(one(random.Random(number)))
        await asyncio.sleep(seconds)
        stop.set()
    result = {"p50": percentile(found, 0.5), "p99": percentile(found, 0.99), "statements": len(found)}
    return {**result, "done by the hostile client": harmed[0]} if harmed else result
