"""Reading what pgbench 18 prints and logs."""

from __future__ import annotations

import pytest

from benchmarks import pgbench
from benchmarks.columns import BenchmarkError

OUTPUT = """\
pgbench (18.1)
transaction type: <builtin: select only>
scaling factor: 10
query mode: prepared
number of clients: 8
number of threads: 2
maximum number of tries: 1
duration: 1 s
number of transactions actually processed: 31234
number of failed transactions: 0 (0.000%)
latency average = 0.256 ms
initial connection time = 5.123 ms
tps = 31301.543210 (without initial connection time)
"""


def test_reads_the_rate() -> None:
    assert pgbench.read_tps(OUTPUT) == 31301.54321


@pytest.mark.parametrize(
    "output", ["", OUTPUT.replace("transactions: 0 (0.000%)", "transactions: 3 (0.010%)"), OUTPUT.split("tps")[0]]
)
def test_takes_no_rate_from_a_run_that_failed(output: str) -> None:
    with pytest.raises(BenchmarkError):
        pgbench.read_tps(output)


def test_reads_each_transactions_time() -> None:
    assert pgbench.read_log("0 1 151 0 1795386001 112233\n0 2 98 0 1795386001 112390\n") == [151, 98]
