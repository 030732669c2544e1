"""What it costs to read a statement and decide on it: no network, no audit, one processor."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

from benchmarks.columns import DATABASE, HOST, USER
from nlsql_gateway.admission import Judgement
from nlsql_gateway.admission.remembered import Remembered
from nlsql_gateway.config import Upstream
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.policy import Allow, Policy, Principal, decide
from nlsql_gateway.server.postgres import Databases
from nlsql_gateway.serving import collect_seldom
from nlsql_gateway.sql import Batch, Catalog, classify
from tests.tpc import reading

STATEMENTS = tuple(Path(__file__).with_suffix(".sql").read_text().rstrip().removesuffix(";").split(";\n"))
"A dozen: what pgbench, a person, a dashboard and a driver send."

_REPEATS = 30


def catalog(port: int, database: str = DATABASE) -> Catalog:
    """The benchmark's database, read as the gateway reads it."""

    async def read() -> Catalog:
        databases = Databases(Upstream(host=HOST, port=port, user=USER, sslmode="disable"), None)
        try:
            return await databases.get(database).refresh()
        finally:
            await databases.aclose()

    return asyncio.run(read())


def decide_us(catalog: Catalog, policy: Policy) -> dict[str, float]:
    """Microseconds to read and decide on each of ``STATEMENTS``, nothing remembered: p50 and the slowest of the dozen.

    ``plain`` is somebody with grants alone, ``filtered`` somebody whose statements are rewritten.
    """
    collect_seldom()  # as in the gateway
    found: dict[str, float] = {}
    for kind, user in (("plain", "reader"), ("filtered", "clerk")):
        principal = policy.principal(user)
        times = [_median_us(text, principal, catalog, policy) for text in STATEMENTS]
        found[f"{kind}_p50"] = statistics.median(times)
        found[f"{kind}_max"] = max(times)
        found[f"{kind}_hit"] = _hit_us(principal, catalog, policy)
    found["hit"] = found["filtered_hit"]
    return found


def tpc_us(server: EmbeddedPostgres) -> dict[str, float]:
    """The same for TPC-H's 22 and TPC-DS's 99 queries and somebody with row filters."""
    found: dict[str, float] = {}
    for name in reading.NAMES:
        if not server.execute(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
            server.execute(f"CREATE DATABASE {name}")
            server.load([reading.schema(name).encode()], name)
        tables, policy = catalog(server.port, name), reading.policy(name)
        clerk = policy.principal("clerk")
        times = [_median_us(text, clerk, tables, policy) for text in reading.queries(name).values()]
        found[f"{name}_p50"] = statistics.median(times)
        found[f"{name}_max"] = max(times)
    return found


def _median_us(text: str, principal: Principal, catalog: Catalog, policy: Policy) -> float:
    times = []
    verb = text.split()[0]
    for number in range(_REPEATS):
        fresh = f"{verb} /* {number} */{text.removeprefix(verb)}"  # nothing of it may be remembered
        start = time.perf_counter_ns()
        batch = classify(fresh)
        assert isinstance(batch, Batch)
        for statement in batch.statements:
            decide(statement, principal, catalog, policy)
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1000


def _hit_us(principal: Principal, catalog: Catalog, policy: Policy) -> float:
    """The first of ``STATEMENTS`` with another number each time."""
    before, after = STATEMENTS[0].split("4711")
    remembered = Remembered()
    context = (policy.version, catalog.version, principal.name)

    def judge(text: str) -> Judgement | None:
        batch = classify(text)
        assert isinstance(batch, Batch)
        decision = decide(batch.statements[0], principal, catalog, policy)
        return Judgement("allow", sql=decision.sql) if isinstance(decision, Allow) else None

    for number in range(3):
        text = f"{before}{number + 1}{after}"
        judgement = judge(text)
        assert judgement is not None
        remembered.put(context, text, judgement, judge, blind=False)
    texts = [f"{before}{number}{after}" for number in range(1000, 21000)]
    start = time.perf_counter_ns()
    for text in texts:
        assert remembered.get(context, text) is not None
    return (time.perf_counter_ns() - start) / 1000 / len(texts)
