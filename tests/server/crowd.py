"""Many idle clients through the gateway and a PgBouncer in transaction mode; some run a statement now and then.

``python -m tests.server.crowd [CLIENTS]`` runs it with 2,000 and prints what docs/pooling.md says; the test runs fewer.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import struct
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.wire import upstream as wire
from nlsql_gateway.wire.messages import parse_fault
from tests.e2e.harness import gateway
from tests.server.bouncer import pgbouncer

ROLE = "crowd_gateway"
PASSWORD = "crowd secret"
DATABASE = "crowd"
SERVERS = 20
ROWS = 1000
_BURST = 50
"""Clients that connect at a time."""

SCHEMA = f"""
CREATE TABLE items (id int PRIMARY KEY, name text);
INSERT INTO items SELECT n, 'item ' || n FROM generate_series(1, {ROWS}) n;
GRANT SELECT ON items TO {ROLE};
"""
POLICY = """
version: 1
name: crowd
search_path: [public]
default: [reader]
roles: {reader: {read: ["public.*"]}}
"""


class Client:
    """As small as can be, so that two thousand of them weigh nothing here."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int) -> Self:
        client = cls(*await asyncio.open_connection("127.0.0.1", port, limit=8192))
        client._writer.write(wire.startup({"user": "ada", "database": DATABASE}))
        await client._until_ready()
        return client

    async def name_of(self, item: int) -> str:
        self._writer.write(wire.query(f"SELECT name FROM items WHERE id = {item}"))
        (row,) = await self._until_ready()
        return row[6:].decode()

    async def close(self) -> None:
        self._writer.write(wire.terminate())
        self._writer.close()
        await self._writer.wait_closed()

    async def _until_ready(self) -> list[bytes]:
        rows: list[bytes] = []
        while True:
            head = await self._reader.readexactly(5)
            body = await self._reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
            if head[:1] == b"E":
                raise AssertionError(parse_fault(body).fields)
            if head[:1] == b"D":
                rows.append(body)
            if head[:1] == b"Z":
                return rows


@dataclass(frozen=True, slots=True)
class Figures:
    clients: int
    server_connections: int
    connect_seconds: float
    statements: int
    "In ``seconds``, by the active ones."
    seconds: float
    p50_ms: float
    p99_ms: float
    kb_per_client: float
    "Of the gateway's resident memory."
    gateway_mb: float


async def crowd(port: int, pid: int, count: int, active: int, seconds: float, server: EmbeddedPostgres) -> Figures:
    """``count`` clients connect and stay; ``active`` of them at a time run statements; then each of all runs one.

    Raises AssertionError at the first answer that is wrong.
    """
    warm = [await Client.connect(port) for _ in range(5)]
    for client in warm:
        assert await client.name_of(1) == "item 1"
    before = _resident_kb(pid)
    started = time.monotonic()
    clients: list[Client] = []
    while len(clients) < count:
        clients += await asyncio.gather(*(Client.connect(port) for _ in range(min(_BURST, count - len(clients)))))
    connected = time.monotonic() - started
    idle = _resident_kb(pid)
    durations: list[float] = []
    end = time.monotonic() + seconds
    chance = random.Random(1)
    queue = list(clients)
    chance.shuffle(queue)

    async def now_and_then() -> None:
        while time.monotonic() < end:
            client, item = queue.pop(), chance.randint(1, ROWS)
            begun = time.monotonic()
            assert await client.name_of(item) == f"item {item}"
            durations.append(time.monotonic() - begun)
            queue.insert(0, client)
            await asyncio.sleep(chance.random() / 10)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(active):
            tasks.create_task(now_and_then())
    for start in range(0, count, _BURST):
        part = clients[start : start + _BURST]
        names = await asyncio.gather(*(client.name_of(index % ROWS + 1) for index, client in enumerate(part)))
        assert names == [f"item {index % ROWS + 1}" for index in range(len(part))]
    used = int(server.execute(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{ROLE}'"))
    await asyncio.gather(*(client.close() for client in [*clients, *warm]))
    cuts = statistics.quantiles(durations, n=100)
    return Figures(
        count,
        used,
        round(connected, 1),
        len(durations),
        seconds,
        round(statistics.median(durations) * 1000, 1),
        round(cuts[98] * 1000, 1),
        round((idle - before) / count, 1),
        round(idle / 1024, 1),
    )


def _resident_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def run(folder: Path, server: EmbeddedPostgres, count: int, active: int, seconds: float) -> Figures:
    """Set all of it up before ``server``, run it and take it down."""
    server.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
    server.execute(f"CREATE DATABASE {DATABASE}")
    try:
        server.execute(SCHEMA, DATABASE)
        server.execute(f"ALTER ROLE {ROLE} SET default_transaction_read_only = on")
        policy = folder / "policy.yaml"
        policy.write_text(POLICY)
        sizes = {"default_pool_size": str(SERVERS), "max_client_conn": str(count + 50)}
        with (
            pgbouncer(server.host, server.port, mode="transaction", users={ROLE: PASSWORD}, **sizes) as port,
            gateway(
                folder / "gateway",
                server,
                database=DATABASE,
                policy=policy,
                role=ROLE,
                password=PASSWORD,
                upstream={"host": "127.0.0.1", "port": port, "pooler": "transaction"},
                listen={"max_clients": count + 50},
                auth={"method": "trust"},
            ) as running,
        ):
            return asyncio.run(crowd(running.port, running.process.pid, count, active, seconds, server))
    finally:
        server.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
        server.execute(f"DROP ROLE {ROLE}")


def main(count: int = 2000) -> None:
    with tempfile.TemporaryDirectory() as name, EmbeddedPostgres(Path(name) / "server", durable=False) as server:
        print(run(Path(name), server, count, 100, 10.0))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
