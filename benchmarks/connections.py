"""Logging in: pgbench connects anew for every transaction, with SCRAM-SHA-256, which every column proves itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import columns, pgbench
from benchmarks.columns import Column
from nlsql_gateway.embedded.postgres import EmbeddedPostgres

CLIENTS = 8
MAX_CLIENTS = 50


def per_second(
    folder: Path, server: EmbeddedPostgres, names: Sequence[str], seconds: int, threads: int
) -> dict[str, float]:
    """Connections a second, one statement on each. Pgpool-II is left out: it would need the passwords in clear."""
    with ExitStack() as running:
        found = [Column("direct", server.port, None)]
        if "pgbouncer" in names:
            pooled = running.enter_context(columns.pgbouncer(folder, server, MAX_CLIENTS, login=True))
            found += [pooled] if pooled is not None else []
        if "gateway" in names:
            found.append(running.enter_context(columns.gateway(folder, server, MAX_CLIENTS, login=True)))
        if "workers" in names:
            workers = columns.gateway(folder, server, MAX_CLIENTS, workers=columns.WORKERS, login=True)
            found.append(running.enter_context(workers))
        return {column.name: pgbench.connections(column, CLIENTS, seconds, threads) for column in found}
