"""Reading /proc of a real child."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks import memory

_GROWS = "b = bytearray(64 << 20); del b; print('grown', flush=True); input()"


def test_reads_a_line_of_status() -> None:
    assert memory.read_kb("Name:\tx\nVmHWM:\t   8904 kB\nVmRSS:\t   8000 kB\n", "VmHWM") == 8904


def test_sees_a_peak_that_is_over_and_forgets_it_when_told() -> None:
    with subprocess.Popen([sys.executable, "-c", _GROWS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert memory.peak_kb(child.pid) > memory.resident_kb(child.pid) + 60_000
        memory.reset_peak(child.pid)
        assert memory.peak_kb(child.pid) < memory.resident_kb(child.pid) + 1_000
        child.communicate(b"\n")


def test_counts_children() -> None:
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_GROWS!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert memory.resident_kb(child.pid) > memory.resident_kb(os.getpid()) / 100
        assert memory.peak_kb(child.pid) > 60_000
        child.communicate(b"\n")
