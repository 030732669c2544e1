"""A small run of the real thing, and that a run which is stopped leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import columns
from benchmarks.__main__ import Plan, Progress, run

ROOT = Path(__file__).parents[2]
NAMES = tuple(name for name in columns.NAMES if name in ("direct", "gateway", "workers") or columns.program_path(name))


def test_measures_every_figure_of_every_column() -> None:
    plan = Plan(rounds=1, seconds=1, names=NAMES, modes=("prepared",), clients=(2,), scale=1, idle_clients=50)
    plan = replace(plan, tpch_scale=0.01, tpch_rounds=1)
    found = run(plan, Progress())
    assert set(found["pgbench"]["prepared"]["2"]) == set(NAMES)
    assert all(rate > 0 for rate in found["pgbench"]["prepared"]["2"].values())
    assert found["added_latency_us"]["p50"] > 0
    assert set(found["connections_per_second"]) == set(NAMES) - {"pgpool"}
    for kind in ("text", "binary"):
        assert set(found["stream_rows"][kind]) == set(NAMES)
    assert set(found["stream_gb"]) == set(NAMES)
    assert set(found["peak_kb"]) == set(NAMES) - {"direct", "pgpool"}
    assert found["growth_kb"]["gateway"] < 32 * 1024
    assert found["idle_kb_per_client"] > 0
    assert all(value > 0 for value in found["decide_us"].values())
    assert {"alone_p99", "meanwhile_p50", "meanwhile_p99"} <= set(found["neighbours_us"])
    assert {"hit", "tpch_p50", "tpcds_p50"} <= set(found["decide_us"])
    assert len(found["row_filters"]["by_query"]) == 22


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stops_what_it_started(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--output", str(tmp_path / "latest.json")]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # noqa: TID251 - a child's, not a setting of ours
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        seen = ""
        while "round 1" not in seen:
            line = process.stderr.readline()
            assert line, seen
            seen += line
        assert _processes_in(tmp_path)
        process.send_signal(number)
        assert process.wait(timeout=60) == 130
    deadline = time.monotonic() + 10
    while _processes_in(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _processes_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def _processes_in(folder: Path) -> list[str]:
    """Command lines that name ``folder``, or run in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in command and "-m benchmarks" not in command:
            found.append(command)
    return found
