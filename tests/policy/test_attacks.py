"""Every line of fixtures/attacks.yaml: what a hostile or careless person sends, and what must happen to it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from nlsql_gateway.policy import Decision, Deny, Reason, decide
from nlsql_gateway.sql import Batch, classify
from tests.policy.company import FIXTURES, catalog, policy

ATTACKS: list[dict[str, Any]] = yaml.safe_load((FIXTURES / "attacks.yaml").read_text())


def decisions(sql: str, user: str) -> list[tuple[str, Decision]]:
    batch = classify(sql)
    assert isinstance(batch, Batch), "read as a question"
    person = policy().principal(user)
    return [(statement.text, decide(statement, person, catalog(), policy())) for statement in batch.statements]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack['case']}: {attack['sql']}")
def test_verdict(attack: dict[str, Any]) -> None:
    found = decisions(attack["sql"], attack.get("as", "eva"))
    denied = [decision for _, decision in found if isinstance(decision, Deny)]
    if "deny" in attack:
        assert denied, "allowed"
        assert denied[0].reason is Reason(attack["deny"])
        state = attack.get("sqlstate")
        if state or denied[0].reason is Reason.WRITE:
            assert denied[0].sqlstate == (state or "25006")
        return
    assert not denied, denied
    changed = any(not isinstance(decision, Deny) and decision.sql != text for text, decision in found)
    assert changed is attack.get("rewritten", False)
