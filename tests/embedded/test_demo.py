"""The demonstration: what it refuses before it starts, that it leaves nothing behind, and the whole of it once.

The tests that need the model run the real parts from end to end.
"""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import astuple, fields
from pathlib import Path

import httpx
import psutil
import pytest

from nlsql_gateway.embedded.demo import Ports, run
from nlsql_gateway.embedded.postgres import HOST
from nlsql_gateway.errors import ConfigError
from tests.embedded.processes import ended

PROGRAM = """
import sys
from pathlib import Path
from nlsql_gateway.embedded.demo import Ports, Sources, run
mode, folder, tour, *ports = sys.argv[1:]
sources = Sources(tour=Path(tour)) if tour else None
sys.exit(run(once=mode == "once", folder=Path(folder), ports=Ports(*map(int, ports)), sources=sources))
"""

SHORT_TOUR = """
questions:
  - question: How many customers are there?
    sql: SELECT count(*) FROM customers
"""


def free_ports() -> Ports:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in fields(Ports)]
        for probe in probes:
            probe.bind((HOST, 0))
        return Ports(*(probe.getsockname()[1] for probe in probes))


class Demo:
    """A demonstration in a process of its own, seen from outside."""

    def __init__(self, mode: str, folder: Path, *, tour: str = "") -> None:
        self.ports = free_ports()
        ports = map(str, astuple(self.ports))
        if tour:
            (folder.parent / "tour.yaml").write_text(tour)
        tour_file = str(folder.parent / "tour.yaml") if tour else ""
        command = [sys.executable, "-c", PROGRAM, mode, str(folder), tour_file, *ports]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said = ""
        self.seen: set[int] = set()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait_for(self, pattern: str, *, timeout: float) -> None:
        """Until a line of its output matches; meanwhile take note of every process below it."""
        deadline = time.monotonic() + timeout
        while not re.search(pattern, self.said, re.MULTILINE):
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            self.look()
            time.sleep(0.02)
        self.look()

    def look(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self.seen.update(one.pid for one in psutil.Process(self.process.pid).children(recursive=True))

    def end(self, timeout: float = 60) -> int:
        """Its exit status; then nothing that it started may be left, and its ports are free again."""
        try:
            status = self.process.wait(timeout)
        finally:
            self.process.kill()
            self._reader.join()
        left = [pid for pid in self.seen if not ended(pid)]
        assert not left, [psutil.Process(pid).cmdline() for pid in left if psutil.pid_exists(pid)]
        for port in astuple(self.ports):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, port))
        return status

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self.said += line


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all: the later demonstrations find the database of the earlier ones."""
    return tmp_path_factory.mktemp("demo") / ".demo"


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    ports = free_ports()
    with socket.socket() as other:
        other.bind((HOST, ports.gateway))
        other.listen()
        with pytest.raises(ConfigError) as caught:
            run(once=True, folder=tmp_path / ".demo", ports=ports)
    name = psutil.Process().name()
    assert caught.value.message == (
        f"port {ports.gateway} is taken (by {name}, process {psutil.Process().pid}): is another demo running?"
    )
    assert not (tmp_path / ".demo").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize(
    "moment",
    [
        "demonstration",  # initdb
        "PostgreSQL",  # loading the database
    ],
)
def test_stopped_early_it_leaves_nothing(tmp_path: Path, moment: str, how: signal.Signals) -> None:
    demo = Demo("stay", tmp_path / ".demo", tour=SHORT_TOUR)
    demo.wait_for(moment, timeout=30)
    time.sleep(0.1)
    demo.look()
    demo.process.send_signal(how)
    status = demo.end()
    assert status == (-how if how == signal.SIGKILL else 128 + how)
    assert how == signal.SIGKILL or f"stopped by {how.name}" in demo.said


@pytest.mark.model
@pytest.mark.parametrize(
    ("moment", "how"),
    [
        ("Model", signal.SIGTERM),  # Triton loads the model
        ("Triton", signal.SIGKILL),  # the gateway starts
        ("anna asks", signal.SIGINT),  # the model writes
        ("anna asks", signal.SIGKILL),
    ],
)
def test_stopped_later_it_leaves_nothing(folder: Path, moment: str, how: signal.Signals) -> None:
    demo = Demo("stay", folder, tour=SHORT_TOUR)
    demo.wait_for(moment, timeout=240)
    time.sleep(0.5)
    demo.look()
    demo.process.send_signal(how)
    assert demo.end() == (-how if how == signal.SIGKILL else 128 + how)


@pytest.mark.model
def test_the_whole_tour_holds_and_the_line_to_copy_works(folder: Path) -> None:
    demo = Demo("stay", folder)
    try:
        demo.wait_for("Ctrl-C stops everything", timeout=900)
        line = re.search(r"^PGPASSWORD=.* -U nora retail$", demo.said, re.MULTILINE)
        assert line is not None
        asked = f"{line[0]} -A -t -c 'SELECT DISTINCT city FROM customers WHERE region_id <> 1 OR city = $$Chicago$$'"
        answer = subprocess.run(asked, shell=True, capture_output=True, text=True, timeout=30)
        assert answer.stdout == "Chicago\n", answer.stderr
        console = re.search(r"^  (http://\S+)$", demo.said, re.MULTILINE)
        assert console is not None
        assert "Sign in" in httpx.get(f"{console[1]}/sign-in").text
    finally:
        demo.process.terminate()
        status = demo.end()
    assert "every step held" in demo.said, demo.said
    assert status == 0
