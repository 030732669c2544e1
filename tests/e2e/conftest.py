"""The whole house: retail in the real PostgreSQL, a scripted model in the real Triton, the gateway as a process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nlsql_gateway.embedded import retail
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.embedded.triton import EmbeddedTriton
from tests.e2e import harness
from tests.e2e.harness import RunningGateway

ROOT = Path(__file__).resolve().parents[2]
POLICIES = ROOT / "policies"
SERVICE_PASSWORD = "gateway-secret"


@dataclass
class ScriptedModel:
    """A model whose answers a test writes: (part of the prompt, answer), the first that fits."""

    url: str
    answers: Path
    seen: Path

    def script(self, *rules: dict[str, Any]) -> None:
        self.answers.write_text(json.dumps(rules))
        self.seen.write_text("")

    def prompts(self) -> list[str]:
        return [json.loads(line)["prompt"] for line in self.seen.read_text().splitlines()]

    def outcomes(self) -> list[str]:
        return [json.loads(line)["outcome"] for line in self.seen.read_text().splitlines()]

    @property
    def ask(self) -> dict[str, Any]:
        return {"backend": "triton", "url": self.url, "model": "scripted", "deadline": "5s", "cache": {"entries": 0}}


@pytest.fixture(scope="session")
def retail_server(postgres: EmbeddedPostgres) -> EmbeddedPostgres:
    """PostgreSQL with the database ``retail`` and the service role."""
    retail.load(postgres, today=datetime.now(UTC).date(), password=SERVICE_PASSWORD)
    return postgres


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedModel]:
    folder = tmp_path_factory.mktemp("scripted")
    answers, seen = folder / "answers.json", folder / "seen.jsonl"
    answers.write_text('[{"contains": "", "text": "SELECT 1"}]')
    seen.write_text("")
    with EmbeddedTriton(
        ROOT / "tests" / "model_repository",
        ["scripted"],
        environment={"SCRIPTED_ANSWERS": str(answers), "SCRIPTED_SEEN": str(seen)},
    ) as triton:
        yield ScriptedModel(triton.grpc_url, answers, seen)


@pytest.fixture(scope="session")
def gateway(
    retail_server: EmbeddedPostgres, model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """The demonstration's policy in front of retail; the model is the scripted one."""
    with harness.gateway(
        tmp_path_factory.mktemp("gateway"),
        retail_server,
        database=retail.DATABASE,
        policy=POLICIES / "retail.yaml",
        role=retail.ROLE,
        password=SERVICE_PASSWORD,
        ask=model.ask,
    ) as running:
        yield running


@pytest.fixture
def answering(model: ScriptedModel) -> ScriptedModel:
    """The scripted model, counting products whatever it is asked, until the test says otherwise."""
    model.script({"contains": "", "text": "SELECT count(*) AS products FROM products"})
    return model


def environment(**more: str) -> dict[str, str]:
    """What a command of the CLI needs to reach the upstream."""
    return {**os.environ, "UPSTREAM_PASSWORD": SERVICE_PASSWORD, **more}  # noqa: TID251 - handed on, not read
