"""Large results: a million rows in text and in binary, and a gigabyte."""

from __future__ import annotations

import asyncio
import subprocess
import time

import asyncpg

from benchmarks.columns import DATABASE, HOST, READER, BenchmarkError, Column
from nlsql_gateway.embedded.postgres import psql_path

ROWS_PER_SCALE = 100_000
"pgbench's accounts for each unit of scale."

_ROWS = "SELECT aid, bid, abalance, filler FROM pgbench_accounts"
_WIDE = f"SELECT {', '.join(['filler'] * 12)} FROM pgbench_accounts"  # 12 x char(84): a kilobyte a row


def text_s(column: Column) -> float:
    """Seconds until psql has written every account (in text, by one Query) to /dev/null."""
    return _psql(column, _ROWS)


def binary_s(column: Column, rows: int) -> float:
    """Seconds until asyncpg, which asks for binary, has every account. Raises BenchmarkError when rows are missing."""

    async def fetch() -> float:
        connection = await asyncpg.connect(host=HOST, port=column.port, user=READER, database=DATABASE, ssl=False)
        try:
            start = time.perf_counter()
            found = len(await connection.fetch(_ROWS))
            elapsed = time.perf_counter() - start
        finally:
            await connection.close()
        if found != rows:
            raise BenchmarkError(f"{column.name} gave {found} of {rows} rows")
        return elapsed

    return asyncio.run(fetch())


def wide_s(column: Column) -> float:
    """Seconds until psql has thrown away a kilobyte for each account: a gigabyte at scale 10."""
    return _psql(column, _WIDE, "--set=FETCH_COUNT=10000")  # since 17 in chunks of the one result, without a cursor


def _psql(column: Column, query: str, *options: str) -> float:
    command = [str(psql_path()), "-XqAt", "--output=/dev/null", *options, f"--command={query}", column.conninfo(READER)]
    start = time.perf_counter()
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    elapsed = time.perf_counter() - start
    if result.returncode != 0:
        raise BenchmarkError(f"psql through {column.name}: {result.stderr.strip()[-2000:]}")
    return elapsed
