"""A gateway of several processes that is told to stop, or killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres, psql_path
from tests.e2e.test_workers import WORKERS, alive, run, running, start, until


@pytest.mark.parametrize("to", ["supervisor", "all"])
def test_sigterm_lets_what_runs_finish(retail_server: EmbeddedPostgres, tmp_path: Path, to: str) -> None:
    """To all processes at once, as a service manager may do it: nobody takes that for a second signal."""
    with start(tmp_path, retail_server, workers=2) as running_gateway:
        pids = running_gateway.workers()
        clients = [
            subprocess.Popen(
                [psql_path(), "-XAt", running_gateway.conninfo(), "-c", "SELECT 'done' FROM pg_sleep(2)"],
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        until(lambda: sum(record["kind"] == "decision" for record in running_gateway.records()) == 4)
        for pid in [running_gateway.process.pid, *(pids if to == "all" else [])]:
            os.kill(pid, signal.SIGTERM)
        assert [client.communicate(timeout=20)[0] for client in clients] == ["done\n"] * 4
        assert running_gateway.process.wait(20) == 0
        assert not any(map(alive, pids))
        assert running_gateway.process.stdout is not None
        assert running_gateway.process.stdout.read() == "", "one ready line, and no more"
    assert run("audit", "verify", tmp_path / "audit.jsonl").returncode == 0


def test_the_grace_is_kept_and_a_second_signal_ends_it(retail_server: EmbeddedPostgres, tmp_path: Path) -> None:
    for grace, signals in (("1s", 1), ("60s", 2)):
        with start(tmp_path / grace, retail_server, shutdown_grace=grace, workers=2) as running_gateway:
            client = subprocess.Popen(
                [psql_path(), "-XAt", running_gateway.conninfo(), "-c", "SELECT pg_sleep(50), 'grace'"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            until(lambda: running(retail_server, "grace"))
            for _ in range(signals):
                running_gateway.process.send_signal(signal.SIGTERM)
                time.sleep(0.3)
            assert running_gateway.process.wait(20) == 0
            assert "terminating connection: the gateway is shutting down" in client.communicate(timeout=10)[1]
            until(lambda: not running(retail_server, "grace"))


def test_no_worker_outlives_a_supervisor_that_is_killed(retail_server: EmbeddedPostgres, tmp_path: Path) -> None:
    with start(tmp_path, retail_server) as running_gateway:
        pids = running_gateway.workers()
        assert len(pids) == WORKERS
        client = subprocess.Popen(
            [psql_path(), "-XAt", running_gateway.conninfo(), "-c", "SELECT pg_sleep(50), 'orphan'"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        until(lambda: running(retail_server, "orphan"))
        running_gateway.process.kill()
        running_gateway.process.wait()
        until(lambda: not any(map(alive, pids)))
        client.communicate(timeout=10)
        until(lambda: not running(retail_server, "orphan"))
    assert run("audit", "verify", tmp_path / "audit.jsonl").returncode == 0
