"""The same question twice through the real gateway: the model is asked once."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nlsql_gateway.admission.asking import LOOK_S
from nlsql_gateway.ask import rollout
from nlsql_gateway.embedded import retail
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e import harness
from tests.e2e.conftest import POLICIES, SERVICE_PASSWORD, ScriptedModel
from tests.e2e.harness import RunningGateway
from tests.model_repository.serving import REPOSITORY, scripted


@pytest.fixture(scope="module")
def remembering(
    retail_server: EmbeddedPostgres, model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway with the cache as it is by default."""
    with harness.gateway(
        tmp_path_factory.mktemp("remembering"),
        retail_server,
        database=retail.DATABASE,
        policy=POLICIES / "retail.yaml",
        role=retail.ROLE,
        password=SERVICE_PASSWORD,
        ask={key: value for key, value in model.ask.items() if key != "cache"},
    ) as running:
        yield running


def test_a_question_asked_again_is_answered_without_the_model(
    remembering: RunningGateway, answering: ScriptedModel
) -> None:
    first = remembering.psql("-At", "-c", "-- ask: how many products are there")
    again = remembering.psql("-At", "-c", "ASK How many products are there?")
    assert int(first.stdout) == int(again.stdout) > 0
    assert "attempts: 1" in first.stderr
    assert "model: scripted scripted-1; cached: yes" in again.stderr
    assert len(answering.prompts()) == 1
    one, two = [record for record in remembering.records() if record.get("question")][-2:]
    assert (one["cached"], one["attempts"]) == (False, 1)
    assert (two["cached"], two["attempts"]) == (True, 0)
    assert (two["model"], two["sql"]) == (one["model"], one["sql"])


def test_a_person_with_other_rights_asks_for_themselves(remembering: RunningGateway, model: ScriptedModel) -> None:
    model.script({"contains": "", "text": "SELECT count(*) FROM customers"})
    counts = [
        int(remembering.psql("-At", "-c", "ask: how many customers", user=user).stdout) for user in ("ada", "emil")
    ]
    assert counts[0] > counts[1] > 0
    assert len(model.prompts()) == 2


def test_what_was_refused_is_asked_again(remembering: RunningGateway, model: ScriptedModel) -> None:
    for _ in range(2):
        model.script({"contains": "", "text": "UNANSWERABLE"})
        assert "NL001" in remembering.psql("-v", "VERBOSITY=verbose", "-c", "ask: the weather").stderr
        assert len(model.prompts()) == 1


def test_a_new_version_of_the_model_is_asked_anew(retail_server: EmbeddedPostgres, tmp_path: Path) -> None:
    models = tmp_path / "models" / "scripted"
    shutil.copytree(REPOSITORY / "scripted", models)
    with (
        scripted(tmp_path, repository=models.parent) as server,
        harness.gateway(
            tmp_path / "gateway",
            retail_server,
            database=retail.DATABASE,
            policy=POLICIES / "retail.yaml",
            role=retail.ROLE,
            password=SERVICE_PASSWORD,
            ask={"backend": "triton", "url": server.url, "model": "scripted"},
        ) as gateway,
    ):
        server.script({"contains": "", "text": "SELECT count(*) FROM products"})
        told = [gateway.psql("-c", "ask: how many products").stderr for _ in range(2)]
        assert "model: scripted scripted-1; cached: yes" in told[1], told
        shutil.copytree(models / "1", models / "2")
        rollout.load(server.url, "scripted")
        time.sleep(LOOK_S)
        assert "model: scripted scripted-2; attempts: 1" in gateway.psql("-c", "ask: how many products").stderr
        assert "model: scripted scripted-2; cached: yes" in gateway.psql("-c", "ask: how many products").stderr
