"""pgbench's built-in ``-S`` (one row by primary key): transactions a second, and the time of each one."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from benchmarks.columns import LOGIN, PASSWORD, USER, BenchmarkError, Column
from nlsql_gateway.embedded.postgres import pgbench_path

Mode = Literal["simple", "extended", "prepared"]
MODES: tuple[Mode, ...] = ("simple", "extended", "prepared")
CLIENTS = (1, 8, 64)

_TPS = re.compile(r"^tps = ([0-9.]+) \(without initial connection time\)$", re.MULTILINE)
_TPS_CONNECTING = re.compile(r"^tps = ([0-9.]+) \(including reconnection times\)$", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: (\d+) ", re.MULTILINE)


def throughput(column: Column, mode: Mode, clients: int, seconds: int, threads: int) -> float:
    """Transactions a second, connecting not counted. Raises BenchmarkError when one failed."""
    return read_tps(_run(column, mode, clients, seconds, threads))


def connections(column: Column, clients: int, seconds: int, threads: int) -> float:
    """Connections a second, one for each transaction, as the user who logs in with a password."""
    output = _run(column, "simple", clients, seconds, threads, "--connect", user=LOGIN)
    rate = _TPS_CONNECTING.search(output)
    if rate is None:
        raise BenchmarkError(f"pgbench gave no clean result:\n{output}")
    return float(rate[1])


def latencies_us(column: Column, mode: Mode, seconds: int) -> list[int]:
    """The time of each transaction of one client, in microseconds and in the order they ran."""
    with tempfile.TemporaryDirectory() as folder:
        _run(column, mode, 1, seconds, 1, "--log", f"--log-prefix={folder}/log")
        return [time for file in Path(folder).iterdir() for time in read_log(file.read_text())]


def read_tps(output: str) -> float:
    """What pgbench reports. Raises BenchmarkError when it reports no rate or a failed transaction."""
    rate, failed = _TPS.search(output), _FAILED.search(output)
    if rate is None or failed is None or failed[1] != "0":
        raise BenchmarkError(f"pgbench gave no clean result:\n{output}")
    return float(rate[1])


def read_log(text: str) -> list[int]:
    """pgbench's per-transaction log: client, number, *microseconds*, script, seconds, microseconds (its manual)."""
    return [int(line.split(" ", 3)[2]) for line in text.splitlines()]


def _run(column: Column, mode: Mode, clients: int, seconds: int, threads: int, *more: str, user: str = USER) -> str:
    command: Sequence[str] = [
        str(pgbench_path()),
        *("--select-only", "--no-vacuum", f"--protocol={mode}", f"--time={seconds}"),
        *(
            f"--client={clients}",
            f"--jobs={min(clients, threads)}",
            *more,
            f"{column.conninfo(user)} password='{PASSWORD}'",
        ),
    ]
    # Its own limit is the time; this one is for a server that hangs.
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 120)
    if result.returncode != 0:
        raise BenchmarkError(f"pgbench through {column.name}: {result.stderr.strip()[-2000:]}")
    return result.stdout
