"""Row filters: TPC-H as the policy rewrites it, against the same rules as PostgreSQL's own row security.

One database, two roles: to ``native`` the policies of tests/tpc/tpch/native.sql apply and it sends the queries as they
are; ``rewritten`` passes by row security, like a service role where there is none, and sends what the gateway would.
"""

from __future__ import annotations

import asyncio
import subprocess
import sysconfig
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from benchmarks.columns import BenchmarkError
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.policy import Allow, decide
from nlsql_gateway.server.catalog_reading import read
from nlsql_gateway.sql import Batch, Catalog, classify
from tests.tpc import reading

DATABASE = "tpch"
NATIVE, REWRITTEN = ROLES = ("native", "rewritten")
PERSON = "clerk"
SCALE = 0.1
TABLES = ("region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem")
"In the order that their foreign keys want."


@dataclass(slots=True)
class Query:
    number: str
    texts: dict[str, str]
    "By role."
    seconds: dict[str, list[float]] = field(default_factory=lambda: {role: [] for role in ROLES})
    rows: dict[str, list[tuple[object, ...]]] = field(default_factory=dict)

    def best(self, role: str) -> float:
        return min(self.seconds[role])


def load(server: EmbeddedPostgres, folder: Path, scale: float = SCALE) -> None:
    """The database with TPC-H's tables, the policies and both roles. Raises BenchmarkError."""
    folder.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        [
            Path(sysconfig.get_path("scripts")) / "tpchgen-cli",
            *("tbl", "--scale-factor", str(scale), "--output-dir", str(folder), "--quiet"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise BenchmarkError(f"tpchgen-cli: {made.stderr.strip()}")
    server.execute(f"CREATE DATABASE {DATABASE}")
    server.load([reading.schema("tpch").encode()], DATABASE)
    for table in TABLES:
        with (folder / f"{table}.tbl").open("rb") as lines:
            server.load(_copied(table, lines), DATABASE)
    for role, option in ((NATIVE, "NOBYPASSRLS"), (REWRITTEN, "BYPASSRLS")):
        server.execute(
            f"CREATE ROLE {role} LOGIN {option} PASSWORD '{role}';"
            f" GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
            DATABASE,
        )
    server.load([(reading.HERE / "tpch" / "native.sql").read_bytes()], DATABASE)
    server.execute("VACUUM ANALYZE", DATABASE)


def measure(server: EmbeddedPostgres, rounds: int, only: Sequence[str] = ()) -> list[Query]:
    """Each query as both roles in turn, ``rounds`` times. Raises BenchmarkError where the rows differ."""
    return asyncio.run(_measure(server, rounds, only))


def ratio(queries: Sequence[Query]) -> float:
    """Total time, rewritten to native: of each query the best round, as the least disturbed."""
    return sum(query.best(REWRITTEN) for query in queries) / sum(query.best(NATIVE) for query in queries)


def as_json(queries: Sequence[Query]) -> dict[str, object]:
    return {
        "native_ms": round(sum(query.best(NATIVE) for query in queries) * 1000),
        "rewritten_ms": round(sum(query.best(REWRITTEN) for query in queries) * 1000),
        "ratio": round(ratio(queries), 3),
        "by_query": {query.number: round(query.best(REWRITTEN) / query.best(NATIVE), 2) for query in queries},
    }


async def _measure(server: EmbeddedPostgres, rounds: int, only: Sequence[str]) -> list[Query]:
    connections = {role: await _connect(server, role) for role in ROLES}
    try:
        catalog = (await read(connections[REWRITTEN], None)).catalog
        queries = [query for query in _queries(catalog) if not only or query.number in only]
        for number in range(rounds):
            for query in queries:
                for role in ROLES if number % 2 else reversed(ROLES):
                    start = time.perf_counter()
                    rows = await connections[role].fetch(query.texts[role])
                    query.seconds[role].append(time.perf_counter() - start)
                    query.rows[role] = sorted((tuple(row) for row in rows), key=repr)
                if query.rows[NATIVE] != query.rows[REWRITTEN]:
                    raise BenchmarkError(f"TPC-H query {query.number}: other rows than with row security")
    finally:
        for connection in connections.values():
            await connection.close()
    return queries


def _queries(catalog: Catalog) -> list[Query]:
    policy = reading.policy("tpch")
    found = []
    for number, sql in reading.queries("tpch").items():
        batch = classify(sql)
        assert isinstance(batch, Batch)
        decision = decide(batch.statements[0], policy.principal(PERSON), catalog, policy)
        if not isinstance(decision, Allow):
            raise BenchmarkError(f"TPC-H query {number} is refused: {decision.message}")
        found.append(Query(number, {NATIVE: sql, REWRITTEN: decision.sql}))
    return found


async def _connect(server: EmbeddedPostgres, role: str) -> asyncpg.Connection:
    return await asyncpg.connect(
        host=server.host,
        port=server.port,
        user=role,
        password=role,
        database=DATABASE,
        statement_cache_size=0,
        command_timeout=120,
    )


def _copied(table: str, lines: Iterable[bytes]) -> Iterator[bytes]:
    """A script for psql: dbgen's lines end with one more delimiter than COPY expects."""
    yield f"COPY {table} FROM STDIN WITH (DELIMITER '|');\n".encode()
    for line in lines:
        yield line.rstrip(b"\n").removesuffix(b"|") + b"\n"
    yield b"\\.\n"
