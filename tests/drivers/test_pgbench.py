"""pgbench, every protocol it speaks, and its pipelines; reading under a policy, writing where one passes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nlsql_gateway.embedded.postgres import psql_path
from tests.e2e.harness import PASSWORDS, RunningGateway

PGBENCH = psql_path().with_name("pgbench")

READ = """\
\\set id random(1, 200)
SELECT name, product_id FROM products WHERE product_id = :id;
SELECT email FROM customers WHERE customer_id = :id;
"""
PIPELINE = """\
\\set id random(1, 200)
\\startpipeline
BEGIN;
SELECT name, product_id FROM products WHERE product_id = :id;
SELECT email FROM customers WHERE customer_id = :id;
COMMIT;
\\endpipeline
"""


def pgbench(gateway: RunningGateway, *options: str | Path) -> str:
    done = subprocess.run(
        [PGBENCH, "-h", "127.0.0.1", "-p", str(gateway.port), "-U", "ada", *options, gateway.database],
        capture_output=True,
        text=True,
        timeout=180,
        env={"PATH": "/usr/bin:/bin", "PGPASSWORD": PASSWORDS["ada"], "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "number of failed transactions: 0 " in done.stdout or "-i" in options, done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("protocol", "script"),
    [("simple", READ), ("extended", READ), ("prepared", READ), ("extended", PIPELINE), ("prepared", PIPELINE)],
    ids=["simple", "extended", "prepared", "extended-pipeline", "prepared-pipeline"],
)
def test_reading_under_a_policy(governed: RunningGateway, tmp_path: Path, protocol: str, script: str) -> None:
    file = tmp_path / "script.sql"
    file.write_text(script)
    out = pgbench(governed, "-n", "-M", protocol, "-f", file, "-c", "4", "-t", "50")
    assert "number of transactions actually processed: 200/200" in out


def test_its_own_transaction_where_the_policy_passes(passing: RunningGateway, tmp_path: Path) -> None:
    pgbench(passing, "-i", "-q", "-s", "1")
    for protocol in ("simple", "extended", "prepared"):
        out = pgbench(passing, "-M", protocol, "-c", "4", "-t", "25")
        assert "number of transactions actually processed: 100/100" in out
    file = tmp_path / "script.sql"
    file.write_text(
        "\\startpipeline\nUPDATE pgbench_branches SET bbalance = bbalance + 1;\nSELECT 1;\n\\syncpipeline\n"
        "SELECT count(*) FROM pgbench_branches;\n\\endpipeline\n"
    )
    pgbench(passing, "-n", "-M", "extended", "-f", file, "-c", "2", "-t", "20")
    # It empties its history before each run.
    assert passing.psql("-Atc", "SELECT count(*) FROM pgbench_history").stdout.strip() == "100"
    assert passing.psql("-Atc", "SELECT sum(bbalance) <> 0 FROM pgbench_branches").stdout.strip() == "t"


def test_writing_under_a_policy_fails_with_its_reason(governed: RunningGateway) -> None:
    done = subprocess.run(
        [PGBENCH, "-i", "-h", "127.0.0.1", "-p", str(governed.port), "-U", "ada", governed.database],
        capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin", "PGPASSWORD": PASSWORDS["ada"]},
    )  # fmt: skip
    assert done.returncode != 0
    assert "everything here is read only" in done.stderr
