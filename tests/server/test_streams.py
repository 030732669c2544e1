"""Large results and slow peers: memory stays flat, and nobody waits for nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres, psql_path
from nlsql_gateway.wire.messages import message
from tests.server.raw import Raw, query

ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 1024**2


@dataclass
class Process:
    port: int
    pid: int

    def conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=ada dbname=postgres"

    def memory(self) -> int:
        """Bytes that are resident now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def peak(self) -> int:
        """The most bytes that were ever resident."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024

    def seconds(self) -> float:
        """Of processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def process(postgres: EmbeddedPostgres) -> Iterator[Process]:
    command = [sys.executable, "-m", "tests.server.serving", postgres.host, str(postgres.port), "postgres"]
    running = subprocess.Popen([*command, postgres.password], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert running.stdout is not None
    port, pid = running.stdout.readline().split()
    served = Process(int(port), int(pid))
    with psycopg.connect(served.conninfo()) as connection:  # what is loaded at the first statement counts for nothing
        connection.execute("SELECT 1")
    yield served
    running.terminate()
    running.wait(10)
    running.stdout.close()


def test_memory_stays_flat_over_a_gigabyte(process: Process) -> None:
    before = process.memory()
    rows = "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"
    with subprocess.Popen(
        [psql_path(), "-X", "-c", f"COPY ({rows}) TO STDOUT", process.conninfo()], stdout=subprocess.PIPE
    ) as psql:
        assert psql.stdout is not None
        received = 0
        while chunk := psql.stdout.read(MEGABYTE):
            received += len(chunk)
    assert received == 1_001_000_000
    assert process.peak() - before < 32 * MEGABYTE


def test_a_slow_reader_slows_the_upstream_and_fills_no_memory(process: Process, postgres: EmbeddedPostgres) -> None:
    before = process.memory()
    with Raw("127.0.0.1", process.port) as client:
        client.login(application_name="slow reader")
        client.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 300000)"))
        client.reply()
        time.sleep(1)
        used = process.seconds()
        wait = "SELECT wait_event FROM pg_stat_activity WHERE application_name = 'slow reader'"
        assert postgres.execute(wait) == "ClientWrite"
        time.sleep(0.5)
        assert process.seconds() - used < 0.3, "it waits without turning"
        assert process.memory() - before < 16 * MEGABYTE
        rows = [body for kind, body in client.until("Z") if kind == "D"]
    assert len(rows) == 300_000
    assert process.peak() - before < 32 * MEGABYTE


def test_a_slow_upstream_slows_the_client(process: Process) -> None:
    """A session that is busy takes no more than it can hold; then all of it arrives."""
    before = process.memory()
    with Raw("127.0.0.1", process.port) as client:
        client.login()
        client.send(query("SELECT pg_sleep(2)"))
        client.socket.setblocking(False)
        data = query("SELECT '" + "x" * MEGABYTE + "'")
        sent, left = 0, b""
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline and sent < 200 * MEGABYTE:
            left = left or data
            try:
                count = client.socket.send(left)
            except BlockingIOError:
                time.sleep(0.01)
                continue
            sent += count
            left = left[count:]
        assert sent < 64 * MEGABYTE, "the client is made to wait"
        assert process.memory() - before < 64 * MEGABYTE
        client.socket.settimeout(30)
        client.send(left)
        answers = -(-sent // len(data))
        assert b"x" * MEGABYTE not in client.until("Z")[0][1]
        for _ in range(answers):
            assert client.until("Z")[0][0] == "T"


def test_a_long_copy_in(process: Process) -> None:
    before = process.memory()
    with Raw("127.0.0.1", process.port) as client:
        client.login()
        client.send(query("CREATE TEMP TABLE t (x text)"))
        client.until("Z")
        client.send(query("COPY t FROM STDIN"))
        client.until("G")
        chunk = message(b"d", (b"x" * 999 + b"\n") * 64)
        for _ in range(1500):
            client.send(chunk)
        client.send(message(b"c"))
        assert client.until("Z")[0] == ("C", b"COPY 96000\0")
    assert process.peak() - before < 64 * MEGABYTE


def test_a_client_that_never_reads_and_goes_leaves_nothing_behind(process: Process, postgres: EmbeddedPostgres) -> None:
    with Raw("127.0.0.1", process.port) as client:
        client.login(application_name="gone")
        client.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 10000000)"))
        client.reply()
    deadline = time.monotonic() + 15
    while postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gone'") != "0":
        assert time.monotonic() < deadline
        time.sleep(0.1)
