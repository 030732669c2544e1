"""Which rule refuses, and where it stands: for explain and the audit log, never for the client."""

from __future__ import annotations

import pytest

from nlsql_gateway.policy import Deny, decide, load
from nlsql_gateway.policy.decision import Applied
from nlsql_gateway.policy.words import NO_RULE
from nlsql_gateway.sql import Batch, classify
from tests.policy.company import catalog

POLICY = """version: 1
name: words
users: {eva: {roles: [desk, more]}}
deny:
- {tables: public.events_us, because: not from here}
roles:
  desk:
    read:
    - public.events*
    - {tables: public.staff, columns: [id, name], because: ask the office}
    deny:
    - {tables: public.staff, columns: phone}
  more:
    read:
    - {tables: public.staff, hide: [pay, phone]}
    - {tables: public.customers, hide: name}
"""


@pytest.mark.parametrize(
    ("sql", "applied", "hint"),
    [
        ("SELECT * FROM events_us", ("deny public.events_us", (5,)), "not from here"),
        ("SELECT * FROM events", ("deny public.events", (5,)), "not from here"),
        ("SELECT phone FROM staff", ("deny public.staff.phone", (12,)), "ask the office"),
        (
            "SELECT name FROM customers",
            ("columns public.customers.name", (16,)),
            "no rule of the policy lets you read it",
        ),
        ("SELECT * FROM orders", None, NO_RULE),
    ],
)
def test_the_rule_that_refuses(sql: str, applied: tuple[str, tuple[int, ...]] | None, hint: str) -> None:
    policy = load(POLICY, "words.yaml")
    batch = classify(sql)
    assert isinstance(batch, Batch)
    decision = decide(batch.statements[0], policy.principal("eva"), catalog(), policy)
    assert isinstance(decision, Deny), decision
    told: list[Applied] = list(decision.applied)
    assert [(f"{one.rule} {one.target}", one.lines) for one in told] == ([] if applied is None else [applied])
    assert decision.hint == hint
    assert "line" not in decision.message + decision.hint
