"""From a question that the model answered to a verified one: the command beside the running gateway."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from nlsql_gateway.embedded import retail
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e import harness
from tests.e2e.conftest import POLICIES, SERVICE_PASSWORD, ScriptedModel, environment
from tests.e2e.harness import COMMAND, RunningGateway

WRITTEN = "# ours\nversion: 1\ndatabases:\n  retail:\n    metrics:\n      turnover: sum(order_items.revenue)  # net\n"


@pytest.fixture
def running(
    tmp_path: Path, retail_server: EmbeddedPostgres, model: ScriptedModel
) -> Iterator[tuple[RunningGateway, Path]]:
    file = tmp_path / "semantics.yaml"
    file.write_text(WRITTEN)
    file.chmod(0o640)
    with harness.gateway(
        tmp_path / "gateway", retail_server, database=retail.DATABASE, policy=POLICIES / "retail.yaml",
        role=retail.ROLE, password=SERVICE_PASSWORD, ask={**model.ask, "semantics": str(file)},
    ) as gateway:  # fmt: skip
        yield gateway, file


def verify(gateway: RunningGateway, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), "verify", *arguments, "--config", str(gateway.config)],
        input=typed, capture_output=True, text=True, timeout=60, env=environment(),
    )  # fmt: skip


def asked(gateway: RunningGateway, model: ScriptedModel, question: str, sql: str, user: str = "emil") -> str:
    """The id of the decision."""
    model.script({"contains": "", "text": sql})
    gateway.psql("-At", "-c", f"/* ask: {question} */;", user=user)
    return str([one for one in gateway.records() if one.get("question")][-1]["id"])


SQL = "SELECT count(*) AS orders FROM orders WHERE channel = 'online'"


def test_a_recorded_question_becomes_a_verified_one(running: tuple[RunningGateway, Path], model: ScriptedModel) -> None:
    gateway, file = running
    record = asked(gateway, model, "how many online orders", SQL)
    no = verify(gateway, record, typed="petra\nn\n")
    assert no.returncode == 1, no.stderr
    assert file.read_text() == WRITTEN
    done = verify(gateway, record, "--parameter", "channel=online", typed="petra\ny\n")
    assert done.returncode == 0, done.stdout + done.stderr
    for line in (
        "question   how many {channel} orders",
        "sql        SELECT count(*) AS orders FROM orders WHERE channel = :channel",
        "model      scripted scripted-1",
        "verdict    allow; row_filter public.orders (role sales)",
        "ran        00000, 1 rows",
        "today      allow",
        f"written to {file}",
    ):
        assert line in done.stdout
    assert " by emil" in done.stdout
    assert file.read_text().startswith(WRITTEN)
    assert file.stat().st_mode & 0o777 == 0o640
    (entry,) = yaml.safe_load(file.read_text())["databases"]["retail"]["questions"]
    assert (entry["verified_by"], entry["sql"]) == ("petra", SQL.replace("'online'", ":channel"))

    model.script({"contains": "", "error": "the model is not needed"})
    deadline = time.monotonic() + 20
    while "verified: by petra" not in (answer := gateway.psql("-At", "-c", "ask: how many 'store' orders")).stderr:
        assert time.monotonic() < deadline, answer.stderr
        time.sleep(0.2)
    direct = gateway.psql("-At", "-c", "SELECT count(*) FROM orders WHERE channel = 'store'")
    assert int(answer.stdout) == int(direct.stdout) > 0


def test_by_its_words_without_questions(running: tuple[RunningGateway, Path], model: ScriptedModel) -> None:
    gateway, file = running
    asked(gateway, model, "how many orders", "SELECT count(*) FROM orders")
    asked(gateway, model, "how many orders", "SELECT count(*) AS n FROM orders")
    done = verify(gateway, "--question", "How many  orders?", "--yes", "--by", "petra")
    assert done.returncode == 0, done.stdout + done.stderr
    (entry,) = yaml.safe_load(file.read_text())["databases"]["retail"]["questions"]
    assert (entry["question"], entry["sql"]) == ("how many orders", "SELECT count(*) AS n FROM orders")
    again = verify(gateway, "--question", "how many orders", "--yes", "--by", "petra")
    assert again.returncode == 2
    assert "the question is verified already, by petra" in again.stderr


def test_what_cannot_be_verified(running: tuple[RunningGateway, Path], model: ScriptedModel) -> None:
    gateway, file = running
    refused = asked(gateway, model, "what do people earn", "SELECT salary FROM employees")
    for arguments, message in (
        ((refused,), "the question was refused: NL001"),
        (("nothing",), "no question 'nothing' is recorded"),
        (("--question", "what do people earn"), "no question 'what do people earn' is recorded"),
        ((refused, "--question", "x"), "name a record by its ID, or give --question"),
        ((refused, "--yes"), "--yes needs --by"),
        ((refused, "--parameter", "x"), "write name=value"),
    ):
        done = verify(gateway, *arguments, typed="petra\ny\n")
        assert done.returncode == 2, done.stdout
        assert message in done.stderr
    asked(gateway, model, "how many orders", "SELECT count(*) FROM orders")
    followed = asked(gateway, model, "and online?", SQL)
    done = verify(gateway, followed, "--yes", "--by", "petra")
    assert "goes on from one before it" in done.stderr
    assert file.read_text() == WRITTEN
    done = verify(gateway, followed, "--yes", "--by", "petra", "--wording", "online orders in all")
    assert done.returncode == 0, done.stderr
    assert "online orders in all" in file.read_text()
