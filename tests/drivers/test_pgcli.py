"""pgcli: psycopg 3 with completion, which reads the whole catalog before the first prompt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.e2e.harness import PASSWORDS, RunningGateway

PGCLI = Path(sys.executable).with_name("pgcli")


def pgcli(gateway: RunningGateway, home: Path, typed: str, *options: str) -> str:
    done = subprocess.run(
        [PGCLI, "-h", "127.0.0.1", "-p", str(gateway.port), "-U", "ada", *options, gateway.database],
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
        env={
            "PATH": "/usr/bin:/bin",
            "PGPASSWORD": PASSWORDS["ada"],
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "PAGER": "cat",
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_queries_and_backslash_commands(governed: RunningGateway, tmp_path: Path) -> None:
    out = pgcli(
        governed,
        tmp_path,
        "SELECT email FROM customers ORDER BY customer_id LIMIT 2;\n\\dt\n\\d orders\n\\l\n\\du\n"
        "SELECT salary FROM employees;\nSELECT 'still' || ' here';\n",
    )
    for part in ("***@***", "order_items", "order_id", "permission denied for column salary", "still here"):
        assert part in out
    mine = [record for record in governed.records() if record.get("application_name") == "pgcli"]
    # The sweeps for its completion, in a connection of their own, and what was typed.
    for catalog in ("current_schemas", "pg_namespace", "pg_attribute", "confkey", "pg_proc", "pg_type", "pg_database"):
        assert any(catalog in record["text"] and record["verdict"] == "allow" for record in mine), catalog
    refused = [record["text"] for record in mine if record["verdict"] != "allow"]
    assert refused == ["SELECT salary FROM employees"]
