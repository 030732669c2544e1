"""A line that is cut, halved, split or slowed after any byte, on either side of the gateway, over a whole session.

Nothing hangs; no task, no upstream connection, no descriptor is left; what the audit log says agrees with what
PostgreSQL's own log says. ``python -m tests.server.test_lines`` does it after every byte.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest

from nlsql_gateway.config import Upstream
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.server.lines.house import House, books, descriptors, house, ran
from tests.server.lines.line import CUTS, Direction, How, Line, Plan, Side
from tests.server.lines.script import Session

SIDES: tuple[Side, ...] = ("client", "upstream", "cancel")
WAYS: tuple[Direction, ...] = ("up", "down")
PARALLEL = 12
SAMPLE = 2000
"""Cuts in ``make test``, of nearly 10,000."""

WHOLE = "RRRRKZTDCZ12TDCZHdddcCZNTDCZ"
"""The replies of a session that goes to its end, ParameterStatus left out, up to the statement that is cancelled."""

LAST = ("TEZ", "EZ", "TDCZ")
"""Of that statement: the cancel comes in the middle, at its beginning, or before it."""


@dataclass
class Site:
    """A gateway between two lines."""

    postgres: EmbeddedPostgres
    house: House
    line: Line
    "Between the gateway and PostgreSQL."
    mark: int
    "Where the server's log was at the beginning."
    count: int = 0
    lengths: dict[tuple[Side, Direction], int] = field(default_factory=dict)
    "Bytes of the first session."

    async def session(self, plan: Plan | None = None) -> Session:
        self.count += 1
        case = f"case-{self.count}"
        gateway = ("127.0.0.1", self.house.port)
        lines: dict[Side, Line] = {"client": Line(gateway), "cancel": Line(gateway), "upstream": self.line}
        if plan is not None:
            lines[plan.side].plans[case] = plan
        async with lines["client"].open(case), lines["cancel"].open(case):
            session = Session(case, lines["client"].port, lines["cancel"].port)
            await session.run()
        for side, way in product(SIDES, WAYS):
            self.lengths.setdefault((side, way), lines[side].passed.get((case, way), 0))
        return session

    async def all(self, plans: Sequence[Plan]) -> list[Session]:
        """A session for each plan, several at a time."""
        left = list(enumerate(plans))
        sessions: list[Session | None] = [None] * len(plans)

        async def some() -> None:
            while left:
                index, plan = left.pop()
                try:
                    sessions[index] = await self.session(plan)
                except BaseException as error:
                    error.add_note(str(plan))
                    raise

        async with asyncio.TaskGroup() as tasks:
            for _ in range(PARALLEL):
                tasks.create_task(some())
        return [session for session in sessions if session is not None]

    def connections(self) -> int:
        """Of clients, at PostgreSQL."""
        counted = self.postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'case-%'")
        return int(counted)

    def descriptors(self) -> int:
        """Open in this process, but for the gateway's own connections: each is one here and two in the line."""
        own = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'cutter' AND application_name NOT LIKE 'case-%'"
        return descriptors() - 3 * int(self.postgres.execute(own))

    def check_books(self) -> Counter[tuple[str, str]]:
        """What ran was recorded, and what is recorded as run was run."""
        with self.postgres.log.open() as log:
            log.seek(self.mark)
            happened = ran(log.read())
        told = books(self.house.audit)
        assert not happened - told.may_run, "ran, and was not recorded"
        assert not told.succeeded - happened, "recorded as run, and was not"
        return happened


@contextmanager
def site(postgres: EmbeddedPostgres, folder: Path, line: Line) -> Iterator[Site]:
    upstream = Upstream(
        host="127.0.0.1", port=line.port, user="cutter", password_file=folder / "secret", sslmode="disable"
    )
    (folder / "secret").write_text("cut")
    with house(folder, upstream) as running:
        yield Site(postgres, running, line, postgres.log.stat().st_size)


def is_whole(session: Session) -> bool:
    return session.ended == "" and session.kinds in [WHOLE + last for last in LAST]


def eventually(condition: Callable[[], bool], message: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, message
        time.sleep(0.05)


async def cut(postgres: EmbeddedPostgres, folder: Path, choose: Callable[[list[Plan]], list[Plan]]) -> str:
    """Sessions undisturbed, then disturbed, then cut at the places chosen. A line on what happened."""
    line = Line((postgres.host, postgres.port))
    async with line.open():
        with site(postgres, folder, line) as at:
            undisturbed = await at.session()
            assert is_whole(undisturbed), undisturbed
            await asyncio.sleep(1)
            tasks, files = at.house.tasks(), at.descriptors()
            slow: tuple[How, ...] = ("bytes", "join", "delay")
            whole = [Plan(side, way, how) for (side, way), how in product(at.lengths, slow)]
            for session in await at.all(whole):
                assert is_whole(session), session
            places = [
                Plan(side, way, how, offset)
                for (side, way), length in at.lengths.items()
                for offset in range(length + 1)
                for how in CUTS
            ]
            chosen = choose(places)
            sessions = await at.all(chosen)
            await asyncio.to_thread(eventually, lambda: at.connections() == 0, "an upstream connection is left")
            await asyncio.to_thread(eventually, lambda: at.house.sessions() == 0, "a session is left")
            await asyncio.to_thread(eventually, lambda: at.house.tasks() <= tasks, "a task is left")
            await asyncio.to_thread(eventually, lambda: at.descriptors() <= files, "a descriptor is left")
            assert not at.house.faults, "faults of our own"
            happened = await asyncio.to_thread(at.check_books)
            ends = Counter(session.ended or "whole" for session in sessions)
            return f"{len(chosen)} of {len(places)} places, {happened.total()} statements ran, ends: {dict(ends)}"


def prepared(postgres: EmbeddedPostgres) -> None:
    """A role whose login costs the server little, and a database in which something can be asked for."""
    postgres.execute("SET scram_iterations = 1; CREATE ROLE cutter SUPERUSER LOGIN PASSWORD 'cut'")
    postgres.execute("CREATE DATABASE lines")
    postgres.execute("CREATE TABLE said (what text)", "lines")


@pytest.fixture
def role(postgres: EmbeddedPostgres) -> Iterator[None]:
    prepared(postgres)
    yield
    postgres.execute("DROP DATABASE lines WITH (FORCE)")
    postgres.execute("DROP ROLE cutter")


@pytest.mark.usefixtures("role")
def test_a_line_that_is_cut_anywhere(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    print(asyncio.run(cut(postgres, tmp_path, lambda places: random.Random(seed).sample(places, SAMPLE))))


def main() -> None:
    """All places, or as many as an argument says."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder) / "server", durable=False, log_statement="all") as postgres,
    ):
        prepared(postgres)
        count = int(sys.argv[1]) if len(sys.argv) > 1 else 0
        started = time.monotonic()
        print(asyncio.run(cut(postgres, Path(folder), lambda all_: random.sample(all_, count) if count else all_)))
        print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
