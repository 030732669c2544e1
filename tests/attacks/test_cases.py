"""Every case by every protocol through the gateway's port: what comes back, and that nothing leaks and nothing changes.

The cases are those of tests/policy and our own in ``cases/``. ``deny``:
the gateway refuses it itself, so PostgreSQL never sees it. ``allow``: it runs. ``harmless``: it may fail or run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.attacks.house import Answer, House, Wire, traces
from tests.policy.company import FIXTURES

OWN = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
CASES: list[dict[str, Any]] = [
    case for path in (FIXTURES / "attacks.yaml", *OWN) for case in yaml.safe_load(path.read_text())
]
CLEARED = ("boss", "clara", "tim")
"""They may see some of the secrets."""


@pytest.fixture(scope="module")
def clients(house: House) -> Iterator[dict[str, Wire]]:
    found: dict[str, Wire] = {}
    yield found
    for wire in found.values():
        wire.socket.close()


def named(case: dict[str, Any]) -> str:
    return f"{case['case']}: {case['sql'][:120]}"


@pytest.mark.parametrize("protocol", ["simple", "extended"])
@pytest.mark.parametrize("case", CASES, ids=named)
def test_case(house: House, clients: dict[str, Wire], case: dict[str, Any], protocol: str) -> None:
    user = case.get("as", "eva")
    if user not in clients:
        clients[user] = house.client(user)
    wire, sql = clients[user], case["sql"]
    wire.simple("ROLLBACK")  # whatever the case before has opened
    before = house.fingerprint()
    for text in case.get("first", []):
        assert not wire.simple(text).states
    answer: Answer = getattr(wire, protocol)(sql)
    assert user in CLEARED or not traces(answer.raw, sql)
    assert house.fingerprint() == before
    if "deny" in case:
        assert answer.states, "allowed"
        assert answer.ours, "PostgreSQL saw it"
        if "sqlstate" in case:
            assert answer.states == [case["sqlstate"]]
    elif case.get("allow") is True and not case.get("fails"):
        assert not answer.ours, answer.replies
        if "rows" in case:
            assert answer.rows == case["rows"], answer.replies
    elif case.get("rewritten"):
        assert not answer.ours, answer.replies


def test_every_own_case_says_what_must_happen() -> None:
    for path in OWN:
        for case in yaml.safe_load(path.read_text()):
            assert len(case.keys() & {"deny", "allow", "harmless"}) == 1, case
            assert case.keys() <= {
                "case",
                "sql",
                "as",
                "first",
                "deny",
                "allow",
                "harmless",
                "sqlstate",
                "rows",
                "why",
                "source",
            }
