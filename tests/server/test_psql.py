"""The real psql through the proxy: what a person does at its prompt."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

from nlsql_gateway.embedded.postgres import psql_path
from tests.server.conftest import Served


def psql(served: Served, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [psql_path(), "-X", served.conninfo(), *arguments], input=stdin, capture_output=True, text=True, timeout=60
    )


def test_describing_tables_and_errors(served: Served) -> None:
    said = psql(
        served, stdin="CREATE TEMP TABLE t (x int PRIMARY KEY, y text);\n\\d t\n\\dt\n\\l\nSELECT 1/0;\n\\echo ok\n"
    )
    assert '"t_pkey" PRIMARY KEY' in said.stdout
    assert "division by zero" in said.stderr
    assert said.stdout.endswith("ok\n")


def test_a_refusal_and_a_notice_are_shown_as_they_are(served: Served) -> None:
    said = psql(served, stdin="SELECT 'forbidden';\nask: something;\n")
    assert said.stderr.splitlines() == [
        "ERROR:  not for you",
        "DETAIL:  a detail",
        "HINT:  a hint",
        "NOTICE:  SQL: SELECT 42",
        "DETAIL:  model: none",
    ]
    assert "42" in said.stdout


def test_copy_both_ways(served: Served, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1,a\n2,b\n")
    said = psql(
        served,
        stdin=f"CREATE TEMP TABLE t (x int, y text);\n\\copy t FROM '{tmp_path}/rows.csv' CSV\n"
        f"\\copy t TO '{tmp_path}/back.csv' CSV\n\\copy t FROM stdin CSV\n3,c\n\\.\nTABLE t;\n",
    )
    assert said.stderr == ""
    assert (tmp_path / "back.csv").read_text() == "1,a\n2,b\n"
    assert "3 | c" in said.stdout


def test_several_statements_one_transaction_and_a_pipeline(served: Served) -> None:
    said = psql(served, "-tA", "-c", "SELECT 1; SELECT 2", "-c", "BEGIN", "-c", "SELECT 3", "-c", "COMMIT")
    assert said.stdout.split() == ["1", "2", "BEGIN", "3", "COMMIT"]
    pipeline = (
        "\\startpipeline\nSELECT $1 \\bind 4 \\sendpipeline\nSELECT 'forbidden' \\bind \\sendpipeline\n\\endpipeline\n"
    )
    said = psql(served, "-tA", stdin=pipeline + "SELECT 5;\n")
    assert said.stdout.split() == ["4", "5"]
    assert "not for you" in said.stderr


def test_a_cursor_by_fetch_count(served: Served) -> None:
    said = psql(served, "-tA", "-v", "FETCH_COUNT=100", "-c", "SELECT generate_series(1, 1000)")
    assert len(said.stdout.split()) == 1000


def test_control_c(served: Served) -> None:
    with subprocess.Popen(
        [psql_path(), "-X", served.conninfo(), "-c", "SELECT pg_sleep(60)"], stderr=subprocess.PIPE, text=True
    ) as running:
        time.sleep(0.7)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=10)
    assert "canceling statement due to user request" in said
