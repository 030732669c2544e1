"""fixtures/correlated.yaml: a statement, and what is sent where no operator of one's own could be meant by ``=``."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from nlsql_gateway.policy import Allow, decide
from nlsql_gateway.sql import Batch, classify
from tests.policy.company import FIXTURES, catalog, policy
from tests.policy.test_rewrite import filled

CASES: list[dict[str, str]] = yaml.safe_load((FIXTURES / "correlated.yaml").read_text())


def decided(sql: str, own_operators: frozenset[str] | None) -> str:
    batch = classify(sql)
    assert isinstance(batch, Batch)
    known = replace(catalog(), own_operators=own_operators)
    decision = decide(batch.statements[0], policy().principal("eva"), known, policy())
    assert isinstance(decision, Allow), decision
    return decision.sql


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["sql"]))
def test_text(case: dict[str, str]) -> None:
    assert decided(case["sql"], frozenset()) == filled(case["gives"])


@pytest.mark.parametrize("own", [None, frozenset({"="})])
def test_an_operator_of_ones_own_could_be_meant(own: frozenset[str] | None) -> None:
    for case in CASES:
        assert "OPERATOR" not in decided(case["sql"], own)
