"""Secrets, statements' values and rows: in no log line at any level, in no process's arguments, in no answer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from nlsql_gateway import cli
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e import harness
from tests.e2e.harness import PASSWORDS, RunningGateway
from tests.test_docs import commands

DATABASE = "secrets"
UPSTREAM = "Canaryupstream"
SCHEMA = """
CREATE TABLE account (id int PRIMARY KEY, owner text);
INSERT INTO account VALUES (1, 'Canaryrow');
"""
VALUES = ("Canaryliteral", "Canaryparameter", "Canaryrow", "Canarycomment", "Canaryquestion")


@pytest.fixture(scope="module")
def talkative(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Two workers that log all that they ever log."""
    postgres.execute(f"CREATE DATABASE {DATABASE}")
    postgres.execute(SCHEMA, DATABASE)
    postgres.execute(f"CREATE ROLE keeper LOGIN PASSWORD '{UPSTREAM}'; GRANT SELECT ON account TO keeper", DATABASE)
    policy = Path(__file__).parents[2] / "policies" / "read-only.yaml"
    with harness.gateway(
        tmp_path_factory.mktemp("secrets"), postgres, database=DATABASE, policy=policy, role="keeper",
        password=UPSTREAM, log={"level": "debug"}, listen={"workers": 2},
    ) as running:  # fmt: skip
        yield running
    postgres.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    postgres.execute("DROP ROLE keeper")


@pytest.fixture(scope="module")
def used(talkative: RunningGateway) -> RunningGateway:
    """Everything that could be logged has happened: answers, errors of all kinds, wrong passwords, lines cut."""
    for password in ("Canaryguess", PASSWORDS["ada"]):
        with (
            contextlib.suppress(psycopg.OperationalError),
            psycopg.connect(talkative.conninfo(password=password), autocommit=True) as connection,
        ):
            for text in (
                "SELECT owner, 'Canaryliteral' FROM account -- Canarycomment",
                "SELECT 'Canaryliteral'::int",
                "SELECT owner::int FROM account",
                "SELECT 'Canaryliteral",
                "DELETE FROM account WHERE owner = 'Canaryliteral'",
                "SELECT pg_read_file('Canaryliteral')",
                "-- ask: Canaryquestion",
                "SELECT " + "(" * 500 + "'Canaryliteral'" + ")" * 500,
            ):
                with contextlib.suppress(psycopg.Error):
                    connection.execute(text)
            with contextlib.suppress(psycopg.Error):
                connection.execute("SELECT %s::int", ("Canaryparameter",), prepare=True)
    return talkative


def test_the_detector_sees(used: RunningGateway) -> None:
    """What was planted came through the gateway: the audit log, which alone may have it, has it."""
    recorded = used.audit.parent
    texts = "".join(path.read_text() for path in recorded.glob("audit*.jsonl"))
    assert "Canaryliteral" in texts
    assert "Canaryquestion" in texts
    events = {event["event"] for event in used.log()}
    assert {"connected", "connection refused"} <= events


def test_no_log_line_has_a_secret_a_value_or_a_row(used: RunningGateway) -> None:
    logged = (used.folder / "gateway.log").read_text()
    verifiers = [line.split('"')[3] for line in (used.folder / "users.txt").read_text().splitlines() if "SCRAM" in line]
    assert verifiers
    for secret in (UPSTREAM, "Canaryguess", *PASSWORDS.values(), *verifiers, *VALUES):
        assert secret not in logged


def test_no_process_has_one_in_its_arguments(used: RunningGateway) -> None:
    processes = [psutil.Process(used.process.pid), *psutil.Process(used.process.pid).children(recursive=True)]
    assert len(processes) >= 3
    for process in processes:
        arguments = " ".join(process.cmdline())
        assert not [secret for secret in (UPSTREAM, *PASSWORDS.values(), "SCRAM-SHA-256$") if secret in arguments]


def test_the_audit_log_has_no_password(used: RunningGateway) -> None:
    for path in used.audit.parent.glob("audit*.jsonl"):
        text = path.read_text()
        assert not [secret for secret in (UPSTREAM, "Canaryguess", *PASSWORDS.values()) if secret in text]


def test_a_password_on_the_command_line_is_no_option() -> None:
    """Of any command: what stands in a process's arguments can be read by everybody on the machine."""
    for path, command in commands(cli.main):
        names = {name for parameter in command.params for name in parameter.opts}
        assert not names & {"--password", "-p", "--secret", "--api-key", "--token"}, path
