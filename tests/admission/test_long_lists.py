"""A statement with a long list is judged without most of it, and the judgement is that on all of it."""

from __future__ import annotations

import gc

import pytest

from nlsql_gateway.admission import Judgement
from nlsql_gateway.admission.reading import judge_batch
from nlsql_gateway.policy import Policy
from nlsql_gateway.sql import Batch, classify
from tests.admission.test_remembered import OPEN, client, gate
from tests.policy.company import catalog, policy

NUMBERS = ", ".join(str(number) for number in range(300))
STRINGS = ",".join(f"'it''s {number}'" for number in range(300))


@pytest.mark.parametrize("rules", [policy(), OPEN], ids=["company", "open"])
@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (f"SELECT name FROM customers WHERE id IN ({NUMBERS}) AND ssn = 'é'", "allow"),
        (f"  SELECT name FROM orders WHERE id NOT IN ({NUMBERS});", "allow"),
        (f"SELECT id FROM customers c WHERE c.name IN ({STRINGS}) OR id = ANY(ARRAY[{NUMBERS}]) ORDER BY 1", "allow"),
        (f"DECLARE c CURSOR WITH HOLD FOR SELECT id FROM customers WHERE id IN ({NUMBERS})", "allow"),
        (f"SELECT 1; SELECT id FROM customers WHERE id IN ({NUMBERS}); SELECT id IN ({NUMBERS}) FROM staff", "allow"),
        (f"SELECT id FROM customers WHERE set_config('work_mem', '1', true) IN ({STRINGS})", "deny"),
        (f"/* é */ SELECT id FROM staff WHERE name IN ({STRINGS}) AND id IN ({NUMBERS}) AND pay > 5", "deny"),
        (f"SELECT pay FROM staff WHERE name IN ({STRINGS})", "deny"),
        (f"DELETE FROM customers WHERE id IN ({NUMBERS})", "deny"),
        (f"SELECT id FROM customers WHERE id IN ({NUMBERS}) AND", "deny"),
    ],
)
def test_the_judgement_is_that_on_the_whole_text(rules: Policy, text: str, verdict: str) -> None:
    admission, eva = gate(rules), client("eva")
    found = admission._judge_now(text, eva, final=True)
    assert found is not None
    assert found.verdict == ("allow" if rules is OPEN else verdict)
    assert found == whole(rules, text)


@pytest.mark.parametrize(
    "text", [f"SELECT {'1 + ' * 90}{'(id), ' * 2000} 2 FROM customers", f"SELECT {'x' * 5000} FROM"]
)
def test_the_garbage_collector_works_on(text: str) -> None:
    assert gate(policy())._judge_now(text, client("eva"), final=True) is not None
    assert gc.isenabled()


def whole(rules: Policy, text: str) -> Judgement | None:
    """What the gate says of a text that it reads as it is."""
    admission, eva = gate(rules), client("eva")
    try:
        batch = classify(text)
    except Exception:  # noqa: BLE001 - whatever it is, it is the gate that words it
        return admission._judge_now(text, eva, final=True)
    assert isinstance(batch, Batch)
    return judge_batch(text, batch, eva.principal, rules, None if rules is OPEN else catalog())
