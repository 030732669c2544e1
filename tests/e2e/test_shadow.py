"""Shadow mode: each line of docs/policy.md's table, through a real gateway, with what the audit log says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e import harness
from tests.e2e.harness import RunningGateway

POLICY = """
version: 1
name: shadow
users:
  ada: {roles: [tried]}
  emil: {roles: [tried, kept]}
roles:
  tried:
    mode: shadow
    read:
      - {tables: public.people, hide: [salary]}
    rows:
      - {tables: public.people, using: "id < 3"}
    limits: {rows: 5, cost: 1000, timeout: 4s}
  kept: {read: public.nothing}
functions: {deny: [public.refused]}
"""

TABLES = b"""
CREATE TABLE people AS SELECT id, 'p' || id AS name, id * 1000 AS salary FROM generate_series(1, 10) id;
CREATE TABLE secrets AS SELECT 's' || id AS secret FROM generate_series(1, 3) id;
CREATE FUNCTION calm(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1';
CREATE FUNCTION wild(int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT $1';
CREATE FUNCTION refused(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1';
"""

RUNS = [
    ("SELECT count(*) FROM secrets", 3, "no_rule"),
    ("SELECT sum(salary) FROM people", 55_000, "column_denied"),
    ("SELECT calm(5)", 5, "function"),
    ("SELECT count(*) FROM people", 10, "changed"),
    ("SELECT count(*) FROM generate_series(1, 100000)", 100_000, "limit"),
    ("SELECT 1", 1, ""),
]

REFUSED = [
    "SELECT wild(5)",
    "SELECT refused(5)",
    "DELETE FROM people",
    "WITH gone AS (DELETE FROM people RETURNING id) SELECT id FROM gone",
    "SET default_transaction_read_only TO off",
    "SELECT set_config('default_transaction_read_only', 'off', false)",
    "SET statement_timeout TO 0",
    "BEGIN READ WRITE",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT rolpassword FROM pg_authid",
    "SELECT * FROM people FOR UPDATE",
    "COPY people FROM STDIN",
]


@pytest.fixture(scope="module")
def gateway(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    postgres.execute("CREATE DATABASE shadow")
    postgres.load([TABLES], "shadow")
    folder = tmp_path_factory.mktemp("shadow")
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    with harness.gateway(
        folder, postgres, database="shadow", policy=policy, role=postgres.superuser, password=postgres.password
    ) as running:
        yield running
    postgres.execute("DROP DATABASE shadow WITH (FORCE)")


@pytest.fixture
def ada(gateway: RunningGateway) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(gateway.conninfo("ada"), autocommit=True) as connected:
        yield connected


@pytest.mark.parametrize(("text", "value", "shadow"), RUNS)
def test_what_runs_and_what_is_recorded(
    gateway: RunningGateway, ada: psycopg.Connection[tuple[Any, ...]], text: str, value: int, shadow: str
) -> None:
    assert ada.execute(text).fetchone() == (value,)
    record = [record for record in gateway.records() if record.get("text") == text][-1]
    assert (record["verdict"], record["reason"], record["shadow"], record["sql"]) == ("allow", "", shadow, text)
    named = {"changed": "row_filter public.people", "limit": "limit cost"}.get(shadow, "")
    assert any(rule.startswith(named) for rule in record["rules"]) or not named


@pytest.mark.parametrize("text", REFUSED)
def test_what_stays_refused(gateway: RunningGateway, ada: psycopg.Connection[tuple[Any, ...]], text: str) -> None:
    with pytest.raises(psycopg.Error):
        ada.execute(text)
    record = [record for record in gateway.records() if record.get("text") == text][-1]
    assert (record["verdict"], record["shadow"], record["sql"]) == ("deny", "", None)


def test_rows_over_the_limit_go_out_and_are_noted(
    gateway: RunningGateway, ada: psycopg.Connection[tuple[Any, ...]]
) -> None:
    for prepare in (False, True):
        assert len(ada.execute("SELECT id, salary FROM people", prepare=prepare).fetchall()) == 10
    assert ada.execute("SHOW statement_timeout").fetchone() == ("4s",)
    noted = [record for record in gateway.records() if record.get("limit") == "rows"]
    assert {(record["rows"], record["sqlstate"]) for record in noted} == {(10, "00000")}
    assert len(noted) == 2


@pytest.mark.parametrize(("text", "value", "shadow"), RUNS[:2])
def test_with_another_role_the_policy_holds(gateway: RunningGateway, text: str, value: int, shadow: str) -> None:
    with psycopg.connect(gateway.conninfo("emil"), autocommit=True) as emil:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            emil.execute(text)
        assert emil.execute("SELECT count(*) FROM people").fetchone() == (2,)


def test_the_start_warns(gateway: RunningGateway) -> None:
    (warning,) = [event for event in gateway.log() if "shadow mode" in event["event"]]
    assert warning["level"] == "warning"
    assert "tried" in warning["event"]


def test_check_says_it(gateway: RunningGateway) -> None:
    done = subprocess.run(
        [harness.COMMAND, "check", "-c", gateway.config, "-d", gateway.database],
        capture_output=True,
        text=True,
        env={**os.environ, "UPSTREAM_PASSWORD": "not needed for this"},  # noqa: TID251
        timeout=60,
    )
    assert "WARNING: shadow mode" in done.stdout + done.stderr
