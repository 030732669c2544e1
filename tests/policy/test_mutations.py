"""Random changes of known statements: decide() never raises, and what it allows reads no table past its sub-query."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nlsql_gateway.errors import GatewayError
from nlsql_gateway.policy import Deny, decide
from nlsql_gateway.sql import Batch, Kind, classify
from nlsql_gateway.sql.survey import survey
from tests.policy.company import FIXTURES, catalog, policy

_RESTRICTED = frozenset({"customers", "customers_child", "events", "events_eu", "events_us", "staff"})
_ROWS_ALONE = frozenset({"events", "events_eu", "events_us"})
_FORBIDDEN = frozenset({"hr_salaries", "v_customers", "mv_customers", "seq1", "assignments"})

STATEMENTS = [
    case["sql"]
    for name in ("attacks", "rewrites", "rows")
    for case in yaml.safe_load((FIXTURES / f"{name}.yaml").read_text())
]
WORDS = st.sampled_from(sorted({word for sql in STATEMENTS for word in sql.replace("(", " ( ").split()}))


@st.composite
def mutated(draw: st.DrawFn) -> str:
    words = draw(st.sampled_from(STATEMENTS)).replace("(", " ( ").replace(")", " ) ").split(" ")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(words) - 1))
        match draw(st.integers(0, 3)):
            case 0:
                words.insert(at, draw(WORDS))
            case 1:
                words[at] = draw(WORDS)
            case 2 if len(words) > 1:
                del words[at]
            case _:
                words[at:at] = draw(st.sampled_from(STATEMENTS)).split(" ")
    return " ".join(words)


@settings(max_examples=1500, deadline=None)
@given(mutated())
def test_mutation(text: str) -> None:
    try:
        batch = classify(text)
    except GatewayError:
        return
    if not isinstance(batch, Batch):
        return
    for statement in batch.statements:
        decision = decide(statement, policy().principal("eva"), catalog(), policy())
        if isinstance(decision, Deny):
            assert decision.message
            assert decision.position is None or 1 <= decision.position <= len(statement.text)
            continue
        check(decision.sql, statement.kind)


def check(sql: str, kind: Kind) -> None:
    """An allowed text: no forbidden table, and every restricted one directly inside a SELECT with nothing else."""
    batch = classify(sql)
    assert isinstance(batch, Batch)
    (statement,) = batch.statements
    assert statement.kind is kind
    tables = [use for use in survey(statement.node).tables if use.schema in ("", "public")]
    assert not {use.name for use in tables} & _FORBIDDEN
    assert fenced(statement.node) == sum(use.name in _RESTRICTED for use in tables)


def fenced(item: Any) -> int:
    """How many restricted tables stand alone in the FROM of a sub-query that is ours: it names the columns.

    Where rules hide rows alone, it may have a star, and has a condition.
    """
    if isinstance(item, list):
        return sum(fenced(child) for child in item)
    if not isinstance(item, dict):
        return 0
    found = sum(fenced(value) for value in item.values())
    select = item.get("subquery", {}).get("SelectStmt", {})
    tables = [table["RangeVar"] for table in select.get("fromClause", []) if "RangeVar" in table]
    if len(tables) == 1 and len(select["fromClause"]) == 1 and tables[0]["relname"] in _RESTRICTED:
        stars = [target for target in select["targetList"] if "A_Star" in str(target["ResTarget"]["val"])]
        ours = not stars or (tables[0]["relname"] in _ROWS_ALONE and "whereClause" in select)
        found += ours and tables[0].get("schemaname") == "public"
    return found
