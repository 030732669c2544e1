"""Which rule refuses, and where it stands: for explain and the audit log, never for the client."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nlsql_gateway.errors import ConfigError
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


REASONS = """version: 1
name: reasons
users: {eva: {roles: [desk, away]}}
because:
  write: Changes go through the tool.
  statement_kind: Only queries here.
  function: Functions are opened by the data office.
  setting: Settings are the operator's.
  construct: No samples, please.
  limit: The database is small.
roles:
  desk:
    read: public.staff
    aggregate_only:
    - {columns: public.staff.pay, because: Pay is with Human Resources.}
    limits: {rows: 5}
  away:
    from: 10.0.0.0/8
    because: Only from the office.
    read: public.customers
"""


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("DELETE FROM staff", "Changes go through the tool."),
        ("LISTEN x", "Only queries here."),
        ("SELECT pg_read_file('x')", "Functions are opened by the data office.\nthe policy can name it"),
        ("SET work_mem = '1GB'", "Settings are the operator's."),
        ("SELECT * FROM staff TABLESAMPLE system (1)", "No samples, please."),
        ("SELECT pay FROM staff", "Pay is with Human Resources.\nuse avg(pay)"),
        ("SELECT * FROM customers", "Only from the office."),
        (f"SELECT * FROM {', '.join(['staff'] * 501)}", "The database is small."),
        ("SELECT * FROM orders", NO_RULE),
    ],
)
def test_the_policy_s_words_come_first(sql: str, hint: str) -> None:
    policy = load(REASONS, "reasons.yaml")
    batch = classify(sql)
    assert isinstance(batch, Batch)
    person = policy.present("eva", "192.0.2.1", datetime(2026, 1, 12, tzinfo=UTC))
    decision = decide(batch.statements[0], person, catalog(), policy)
    assert isinstance(decision, Deny), decision
    assert decision.hint.startswith(hint)
    assert policy.limits_of(person).because == "The database is small."


def test_words_for_a_reason_that_is_none_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"reasons.yaml:5.*because"):
        load(REASONS.replace("write:", "no_rule:"), "reasons.yaml")
