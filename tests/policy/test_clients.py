"""Clients' own statements, fixtures/clients.yaml: a governed policy lets them through, those marked excepted."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from nlsql_gateway.policy import Deny, decide
from nlsql_gateway.sql import Batch, classify
from tests.policy.company import FIXTURES, catalog, policy

CLIENTS: list[dict[str, Any]] = yaml.safe_load((FIXTURES / "clients.yaml").read_text())


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: str(client["client"]))
def test_statements(client: dict[str, Any]) -> None:
    person = policy().principal("eva")
    refused = []
    for text in client["statements"]:
        batch = classify(text)
        assert isinstance(batch, Batch)
        for statement in batch.statements:
            decision = decide(statement, person, catalog(), policy())
            if isinstance(decision, Deny):
                refused.append((statement.text, decision))
    assert bool(refused) is client.get("refused", False), refused
