"""Children end when they are told to, and when we are gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nlsql_gateway.embedded import child
from tests.embedded.processes import ended, runs


def test_ends_gently() -> None:
    process = child.spawn(["sleep", "60"], death_signal=signal.SIGKILL)
    assert child.end(process, signal.SIGTERM, patience=5) == -signal.SIGTERM
    assert child.end(process, signal.SIGTERM, patience=5) == -signal.SIGTERM


def test_one_that_has_ended_by_itself_gives_its_status() -> None:
    process = child.spawn(["sh", "-c", "exit 3"], death_signal=signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert child.end(process, signal.SIGTERM, patience=5) == 3


def test_kills_the_whole_group_of_one_that_does_not_listen(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    script = f"trap '' TERM; sleep 60 & echo $! > {told}.part; mv {told}.part {told}; wait; wait"
    process = child.spawn(["sh", "-c", script], death_signal=signal.SIGKILL)
    while not told.exists():
        time.sleep(0.01)
    assert child.end(process, signal.SIGTERM, patience=0.2) == -signal.SIGKILL
    assert ended(int(told.read_text()))


def test_a_missing_program_is_an_error() -> None:
    with pytest.raises(OSError, match="no-such-program"):
        child.spawn(["/no-such-program"], death_signal=signal.SIGKILL)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_dies_with_us(how: signal.Signals) -> None:
    program = (
        "import signal, time\n"
        "from nlsql_gateway.embedded import child\n"
        "print(child.spawn(['sleep', '60'], death_signal=signal.SIGTERM).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert runs(pid)
        parent.send_signal(how)
    assert ended(pid)
