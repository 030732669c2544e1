"""The limit on the planner's cost: what is too dear is refused before it runs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e.behind import ROLE, STANDING, standing
from tests.e2e.harness import COMMAND, RunningGateway

POLICY = """
version: 1
name: cost
default: reader
roles:
  reader: {read: public.*, limits: {cost: 500}}
"""

CHEAP = "SELECT x FROM numbers WHERE x = 7"
DEAR = "SELECT count(*) FROM numbers a, numbers b"


@pytest.fixture(scope="module", params=STANDING)
def gateway(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    postgres.execute("CREATE DATABASE cost")
    made = (
        b"CREATE TABLE numbers AS SELECT x FROM generate_series(1, 100000) x; ALTER TABLE numbers ADD PRIMARY KEY (x);"
    )
    postgres.load([made, b"ANALYZE numbers;"], "cost")
    folder = tmp_path_factory.mktemp("cost")
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    with standing(request.param, folder, postgres, database="cost", policy=policy) as running:
        yield running
    postgres.execute("DROP DATABASE cost WITH (FORCE)")


@pytest.fixture
def connection(gateway: RunningGateway) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(gateway.conninfo(), autocommit=True) as connected:
        yield connected


def test_cheap_runs_and_is_remembered_and_dear_does_not(
    gateway: RunningGateway, connection: psycopg.Connection[tuple[Any, ...]]
) -> None:
    for _ in range(3):
        assert connection.execute(CHEAP).fetchone() == (7,)
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="cost is too high"):
            connection.execute(DEAR)
    refused = [record for record in gateway.records() if record.get("reason") == "limit"]
    assert refused
    assert all(record["sql"] is None for record in refused)
    assert all(rule == "limit cost (at most 500)" for record in refused for rule in record["rules"])


def test_the_estimate_is_not_told(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """It would tell of rows behind a filter, whose plans EXPLAIN does not show either."""
    with pytest.raises(psycopg.errors.ProgramLimitExceeded) as caught:
        connection.execute(DEAR)
    assert caught.value.diag.message_primary == "the statement's cost is too high: at most 500"


def test_the_literals_count(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    for most in (5, 6, 7):  # from the second on a template would say yes
        connection.execute(f"SELECT sum(x) FROM numbers WHERE x < {most}")
    with pytest.raises(psycopg.errors.ProgramLimitExceeded):
        connection.execute("SELECT sum(x) FROM numbers WHERE x < 90000")


@pytest.mark.parametrize(
    "text",
    [
        f"{CHEAP}; {DEAR}",
        f"DECLARE c CURSOR FOR {DEAR}",
        f"PREPARE p AS {DEAR}",
        f"COPY ({DEAR}) TO STDOUT",
        "COPY numbers TO STDOUT",
        "TABLE numbers",
        f"PREPARE p (int) AS {DEAR} WHERE a.x > $1",
    ],
)
def test_wherever_it_stands(
    gateway: RunningGateway, connection: psycopg.Connection[tuple[Any, ...]], text: str
) -> None:
    pooled = "pooler" in gateway.config.read_text()
    kind = psycopg.errors.FeatureNotSupported if pooled and "PREPARE" in text else psycopg.errors.ProgramLimitExceeded
    with pytest.raises(kind, match=r"cost is too high|PREPARE by SQL needs a session"):
        connection.execute(text)


def test_parameters_are_unknown(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    assert connection.execute("SELECT x FROM numbers WHERE x = %s::int", (5,)).fetchone() == (5,)
    with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="too high"):
        connection.execute("SELECT sum(x) FROM numbers WHERE x > %s::int", (99_999,))
    with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="cannot be estimated"):
        connection.execute(f"{DEAR} WHERE a.x = a.x + (%s + %s)", (5, 5))


def test_what_cannot_be_planned_is_worded_by_the_server(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    with pytest.raises(psycopg.errors.UndefinedFunction, match="operator does not exist"):
        connection.execute("SELECT x || x FROM numbers")
    with pytest.raises(psycopg.errors.GroupingError):
        connection.execute("SELECT x, sum(x) FROM numbers")


def test_an_error_that_depends_on_the_session_does_not_open_the_way(
    connection: psycopg.Connection[tuple[Any, ...]],
) -> None:
    connection.execute("SET datestyle TO 'ISO, DMY'")
    with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="cannot be estimated"):
        connection.execute(f"{DEAR} WHERE '31/12/2020'::date > '2000-01-01'")


def test_explain_names_the_limit(gateway: RunningGateway) -> None:
    done = subprocess.run(
        [COMMAND, "explain", DEAR, "--as", "ada", "-d", "cost", "-c", gateway.config, "--format", "json"],
        capture_output=True,
        text=True,
        env={**os.environ, "UPSTREAM_PASSWORD": ROLE},  # noqa: TID251
        timeout=60,
    )
    told = json.loads(done.stdout)
    assert (told["verdict"], told["reason"], told["sqlstate"]) == ("deny", "limit", "54000")
    assert [(one["rule"], one["target"]) for one in told["applied"]] == [("limit", "cost")]
