"""Random statements on tables whose hidden rows are poisoned: what is answered must not depend on them.

``python -m tests.policy.leak_search --statements 20000 --seed 1``: on PostgreSQL 18, and on Debian's 15 where it is.
Each statement is decided and run on three databases (``leak_world``); rows, error code and message must be the same.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import asyncpg

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import StatementError
from nlsql_gateway.policy import Allow, Policy, decide, load
from nlsql_gateway.server.catalog_reading import read
from nlsql_gateway.sql import Batch, Catalog, classify
from tests.drivers.regress.source import BINARIES
from tests.policy import leak_world
from tests.policy.leak_statements import Statement, statement
from tests.policy.leak_world import HIDDEN, LESS, PEOPLE, TABLES, VISIBLE
from tests.server import debian_postgres

FENCE: Final = " OFFSET 0"
PLANS: Final = (
    *("", "plan_cache_mode=force_generic_plan", "enable_hashjoin=off enable_mergejoin=off"),
    "enable_nestloop=off enable_hashjoin=off",
    "enable_seqscan=off enable_sort=off enable_hashagg=off",
    "enable_seqscan=off enable_hashjoin=off enable_mergejoin=off enable_bitmapscan=off",
    "join_collapse_limit=1 from_collapse_limit=1 enable_material=off enable_memoize=off",
    "debug_parallel_query=on parallel_setup_cost=0 parallel_tuple_cost=0 min_parallel_table_scan_size=0",
)
_COMPILED: Final = "jit=on jit_above_cost=0"
"""For one statement of forty; it takes its time."""

_EACH: Final = 40
"""Statements for one person and one plan before the next."""


@dataclass(frozen=True)
class Server:
    host: str
    port: int
    superuser: str
    password: str | None

    async def connect(self, database: str) -> Any:
        return await asyncpg.connect(
            host=self.host,
            port=self.port,
            user=self.superuser,
            password=self.password,
            database=database,
            statement_cache_size=0,
            command_timeout=60,
        )


@dataclass
class Report:
    statements: int = 0
    open: int = 0
    "Statements with a filtered table that has no fence."
    ran: int = 0
    raced: int = 0
    "Statements whose answer depended on which of several processes came first: none without workers."
    failed: Counter[str] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)

    def lines(self) -> str:
        return (
            f"{self.statements} statements, {self.open} with an unfenced filter, {self.ran} answered,"
            f" {dict(self.failed.most_common(6))}, {self.raced} races, {len(self.leaks)} differences"
        )


@dataclass
class Ground:
    """The three databases, with statistics or without, on one server."""

    server: Server
    policy: Policy = field(default_factory=lambda: load(leak_world.policy(), "leaks.yaml"))
    catalog: Catalog | None = None
    fences: bool = True
    "False: they are taken away, and the search must find something."

    async def build(self) -> None:
        administrator = await self.server.connect("postgres")
        try:
            for analysed in ("", "_analysed"):
                for world in (*LESS, "clean"):
                    await administrator.execute(f"DROP DATABASE IF EXISTS leaks_{world}{analysed}")
                for world, content in (("clean", VISIBLE), ("full", VISIBLE + HIDDEN)):
                    await administrator.execute(f"CREATE DATABASE leaks_{world}{analysed}")
                    await self._fill(f"leaks_{world}{analysed}", TABLES + content + ("ANALYZE;" if analysed else ""))
                for world in ("half", "none"):
                    copy = f"CREATE DATABASE leaks_{world}{analysed} TEMPLATE leaks_full{analysed}"
                    await administrator.execute(copy)
                    await self._fill(f"leaks_{world}{analysed}", LESS[world])
        finally:
            await administrator.close()

    async def _fill(self, database: str, script: str) -> None:
        connection = await self.server.connect(database)
        try:
            await connection.execute(script)
            if self.catalog is None:
                self.catalog = (await read(connection, None)).catalog
        finally:
            await connection.close()

    def decided(self, sql: str, person: str, *, fenced: bool = False) -> str | None:
        assert self.catalog is not None
        try:
            batch = classify(sql)
        except StatementError:
            return None
        if not isinstance(batch, Batch):
            return None
        catalog = replace(self.catalog, own_operators=None) if fenced else self.catalog
        decision = decide(batch.statements[0], self.policy.principal(person), catalog, self.policy)
        if not isinstance(decision, Allow):
            return None
        return decision.sql if self.fences else decision.sql.replace(FENCE, "")

    async def search(self, first: int, count: int, report: Report) -> None:
        start = first
        while start < first + count:
            chance = random.Random(start // _EACH)
            person, plan, analysed = chance.choice(PEOPLE), chance.choice(PLANS), chance.choice(("", "_analysed"))
            connections = [await self.server.connect(f"leaks_{world}{analysed}") for world in (*LESS, "clean")]
            try:
                for connection in connections:
                    await _set(connection, f"jit=off {plan}")
                for seed in range(start, min(start + _EACH - start % _EACH, first + count)):
                    where = f"seed {seed}, {person}, {plan or 'default'}{analysed}"
                    if seed % _EACH == _EACH - 1:
                        for connection in connections:
                            await _set(connection, _COMPILED)
                    await self.compare(connections, statement(random.Random(seed)), person, where, report)
            finally:
                for connection in connections:
                    await connection.close()
            start += _EACH - start % _EACH

    async def compare(
        self, connections: Sequence[Any], wanted: Statement, person: str, where: str, report: Report
    ) -> None:
        sql = self.decided(wanted.sql, person)
        if sql is None:
            report.failed["refused"] += 1
            report.statements += 1
            return
        *copies, clean = connections
        answers = [await _answer(connection, sql, wanted.parameters) for connection in copies]
        report.statements += 1
        report.open += _open(sql)
        last = answers[-1]
        if isinstance(last, str):
            report.failed[last[:5]] += 1
        else:
            report.ran += 1
        found = [f"{world}: {_short(answer)}" for world, answer in zip(LESS, answers, strict=True)]
        planned = [await _answer(one, f"EXPLAIN {sql}", ()) for one in (copies[0], clean) if not wanted.parameters]
        told = [answer for answer in planned if isinstance(answer, str)]
        if any(answer != last for answer in answers) and "parallel" in where and await _raced(copies, sql, wanted):
            report.raced += 1
        elif any(answer != last for answer in answers) or len(told) == 1:
            fenced = self.decided(wanted.sql, person, fenced=True) or ""
            for world, connection in zip(LESS, copies, strict=True):
                found.append(f"fenced, {world}: {_short(await _answer(connection, fenced, wanted.parameters))}")
            lines = "\n--   ".join([*found, *(f"planning: {text}" for text in told)])
            report.leaks.append(f"-- {where}\n{wanted.sql}\n-- runs as {sql}\n--   {lines}\n")


async def _set(connection: Any, plan: str) -> None:
    for setting in plan.split():
        name, value = setting.split("=")
        if name == "debug_parallel_query" and connection.get_server_version().major < 16:
            name = "force_parallel_mode"  # its name until then
        await connection.execute(f"SELECT set_config('{name}', '{value}', false)")


async def _raced(copies: Sequence[Any], sql: str, wanted: Statement) -> bool:
    """Whether all give the same by the same plan when one process runs it."""
    answers = []
    for connection in copies:
        await _set(connection, "max_parallel_workers=0")
        answers.append(await _answer(connection, sql, wanted.parameters))
        await _set(connection, "max_parallel_workers=8")
    return all(answer == answers[0] for answer in answers)


def _open(sql: str) -> bool:
    """Whether a filter has no fence: each is of a table by its whole name, and where it is fenced, FENCE behind it."""
    return sql.count(f"{FENCE})") < sql.count(" FROM public.")


def _short(answer: object) -> str:
    return str(answer)[:200]


async def _answer(connection: Any, sql: str, parameters: Sequence[tuple[str, str]]) -> str | list[str]:
    """Rows in any order, or an error's code and text."""
    try:
        if not parameters:
            return sorted(repr(row) for row in await connection.fetch(sql))
        kinds, values = (", ".join(part) for part in zip(*parameters, strict=True))
        await connection.execute(f"PREPARE p ({kinds}) AS {sql}")
        try:
            return sorted(repr(row) for row in await connection.fetch(f"EXECUTE p ({values})"))
        finally:
            await connection.execute("DEALLOCATE p")
    except asyncpg.PostgresError as error:
        return f"{error.sqlstate} {error}"


async def find(server: Server, first: int, count: int, *, fences: bool = True) -> Report:
    report, ground = Report(), Ground(server, fences=fences)
    await ground.build()
    await ground.search(first, count, report)
    return report


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[list[tuple[str, Server]]]:
    """PostgreSQL 18 of the wheel, and Debian's 15 where it is."""
    with contextlib.ExitStack() as stack:
        own = EmbeddedPostgres(folder, durable=False, settings={"autovacuum": "off"})
        running = stack.enter_context(own)
        found = [("PostgreSQL 18", Server(running.host, running.port, running.superuser, running.password))]
        if (program := BINARIES / "postgres").exists():
            port = stack.enter_context(debian_postgres.running(program, autovacuum="off"))
            found.append(("PostgreSQL 15", Server("127.0.0.1", port, "postgres", None)))
        yield found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.policy.leak_search")
    parser.add_argument("--statements", type=int, default=20_000, help="on each server")
    parser.add_argument("--seed", type=int, default=1_000_000)
    chosen = parser.parse_args(arguments)
    leaks = 0
    with tempfile.TemporaryDirectory(prefix="nlsql-leaks-") as folder, servers(Path(folder)) as found:
        for name, server in found:
            report = asyncio.run(find(server, chosen.seed, chosen.statements))
            leaks += len(report.leaks)
            for leak in report.leaks[:40]:
                print(leak)
            print(f"{name}: {report.lines()}", flush=True)
    return bool(leaks)


if __name__ == "__main__":
    raise SystemExit(main())
