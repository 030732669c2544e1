"""The semantics of a running gateway: what enters the prompt, for whom, and a file that changes."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from nlsql_gateway.embedded import retail
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e import harness
from tests.e2e.conftest import POLICIES, SERVICE_PASSWORD, ScriptedModel, environment
from tests.e2e.harness import COMMAND, RunningGateway


def text(*lines: str) -> str:
    return "\n".join(("version: 1", "databases:", "  retail:", *(f"    {line}" for line in lines), ""))


FIRST = text("metrics: {turnover: sum(order_items.revenue), payroll: sum(employees.salary)}")


@pytest.fixture(params=[1, 2], ids=["one process", "two workers"])
def running(
    tmp_path: Path, retail_server: EmbeddedPostgres, answering: ScriptedModel, request: pytest.FixtureRequest
) -> Iterator[tuple[RunningGateway, Path]]:
    file = tmp_path / "semantics.yaml"
    file.write_text(FIRST)
    with harness.gateway(
        tmp_path / "gateway", retail_server, database=retail.DATABASE, policy=POLICIES / "retail.yaml",
        role=retail.ROLE, password=SERVICE_PASSWORD, ask={**answering.ask, "semantics": str(file)},
        listen={"workers": request.param},
    ) as gateway:  # fmt: skip
        yield gateway, file


def told(gateway: RunningGateway, model: ScriptedModel, question: str, user: str = "ada") -> str:
    """The prompt of one question."""
    model.script({"contains": "", "text": "SELECT count(*) AS products FROM products"})
    done = gateway.psql("-At", "-c", f"ask: {question}", user=user)
    assert done.returncode == 0, done.stderr
    (prompt,) = model.prompts()
    return prompt


def changed(gateway: RunningGateway, file: Path, new: str) -> None:
    """Every process has taken the new file."""
    file.write_text(new)
    version, deadline = sha256(new.encode()).hexdigest(), time.monotonic() + 20
    while [one.get("version") for one in gateway.log()].count(version) < max(1, len(gateway.workers())):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def logged(gateway: RunningGateway, event: str) -> list[str]:
    return [str(one.get("problem", "")) for one in gateway.log() if one["event"] == event]


def test_the_prompt_has_what_concerns_the_question_and_may_be_seen(
    running: tuple[RunningGateway, Path], answering: ScriptedModel
) -> None:
    gateway, _ = running
    assert "sum(order_items.revenue) AS turnover" in told(gateway, answering, "turnover by store")
    assert "AS turnover" not in told(gateway, answering, "how many stores are there")
    assert "sum(employees.salary) AS payroll" in told(gateway, answering, "the payroll", user="petra")
    assert "salary" not in told(gateway, answering, "the payroll")


def test_a_file_that_changes_is_read_again_and_a_broken_one_is_not_taken(
    running: tuple[RunningGateway, Path], answering: ScriptedModel
) -> None:
    gateway, file = running
    changed(gateway, file, text("metrics: {turnover: sum(payments.amount)}"))
    assert "sum(payments.amount) AS turnover" in told(gateway, answering, "turnover")
    file.write_text(text("metrics: {turnover: 'sum('}"))
    gateway.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while not (problems := logged(gateway, "semantics not reloaded: the one before stays in force")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert f"{file}:4: databases.retail.metrics.turnover: not an SQL expression" in problems[0]
    assert "sum(payments.amount) AS turnover" in told(gateway, answering, "turnover")
    changed(gateway, file, text("metrics: {turnover: sum(returns.refund)}"))
    assert "sum(returns.refund) AS turnover" in told(gateway, answering, "turnover")


def test_a_gateway_does_not_start_with_a_broken_file(
    tmp_path: Path, retail_server: EmbeddedPostgres, model: ScriptedModel
) -> None:
    file = tmp_path / "semantics.yaml"
    file.write_text(text("metrix: {}"))
    with pytest.raises(AssertionError, match="metrix: not a known key; did you mean metrics"), harness.gateway(
        tmp_path / "gateway", retail_server, database=retail.DATABASE, policy=POLICIES / "retail.yaml",
        role=retail.ROLE, password=SERVICE_PASSWORD, ask={**model.ask, "semantics": str(file)},
    ):  # fmt: skip
        pass


QUESTIONS = text(
    "questions:",
    "  - question: products of {category} above {price}",
    "    sql: >-",
    "      SELECT count(*) AS expensive FROM products JOIN categories USING (category_id)",
    "      WHERE categories.name = :category AND list_price > :price",
    "    parameters: {price: number}",
    "    verified_by: petra",
    "    verified_on: 2026-01-05",
    "  - question: how many customers",
    "    sql: SELECT count(*) AS customers FROM customers",
    "    verified_by: petra",
    "    verified_on: 2026-01-05",
)


def test_a_verified_question_is_answered_at_once_under_each_persons_rights(
    running: tuple[RunningGateway, Path], answering: ScriptedModel
) -> None:
    gateway, file = running
    changed(gateway, file, QUESTIONS)
    answering.script({"contains": "", "error": "the model is not needed"})
    counts = {}
    for user in ("ada", "emil"):
        done = gateway.psql("-At", "-c", "-- ask: How many customers?", user=user)
        assert "verified: by petra on 2026-01-05; answers: how many customers" in done.stderr
        counts[user] = int(done.stdout)
    assert counts["ada"] > counts["emil"] > 0
    (name,) = gateway.psql("-At", "-c", "SELECT name FROM categories ORDER BY 1 LIMIT 1").stdout.splitlines()
    direct = gateway.psql(
        "-At", "-c", "SELECT count(*) FROM products JOIN categories USING (category_id) "
        f"WHERE categories.name = '{name}' AND list_price > 20.5",
    )  # fmt: skip
    asked = gateway.psql("-At", "-c", f"/* ask: show me the products of '{name}' above 20.5 */;")
    assert int(asked.stdout) == int(direct.stdout) > 0
    assert answering.prompts() == []
    record = [one for one in gateway.records() if one.get("question")][-1]
    assert (record["model"], record["model_version"]) == ("verified", "by petra on 2026-01-05")


def test_check_says_what_fits_nothing(tmp_path: Path, retail_server: EmbeddedPostgres, model: ScriptedModel) -> None:
    file = tmp_path / "semantics.yaml"
    file.write_text(QUESTIONS)
    with harness.gateway(
        tmp_path / "gateway", retail_server, database=retail.DATABASE, policy=POLICIES / "retail.yaml",
        role=retail.ROLE, password=SERVICE_PASSWORD, ask={**model.ask, "semantics": str(file)},
    ) as gateway:  # fmt: skip

        def check() -> str:
            command = [str(COMMAND), "check", "-d", retail.DATABASE, "-c", str(gateway.config)]
            return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment()).stdout

        assert "2 verified questions for retail" in check()
        file.write_text(QUESTIONS.replace("list_price", "price") + "    synonyms: {shop: shops}\n")
        assert (
            "to look at, in retail: synonym shop: no shops; "
            "question products of {category} above {price}: not all of it is there" in check()
        )
