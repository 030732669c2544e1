"""Pass: EXPLAIN shows row estimates, with ANALYZE how many rows a filter removed: not where something is hidden."""

from __future__ import annotations

from nlsql_gateway.policy.case import Case
from nlsql_gateway.policy.decision import Deny, Reason
from nlsql_gateway.sql import Kind

_HINT = "run the statement itself, or ask for a role that may read all of the table"


def refuse_telling_plans(case: Case) -> Case | Deny:
    if case.statement.kind is not Kind.EXPLAIN:
        return case
    options = case.statement.node["ExplainStmt"].get("options", [])
    analyze = any(option.get("DefElem", {}).get("defname") == "analyze" for option in options)
    for read in case.reads:
        relation = case.catalog.relations.get(read.key)
        if not read.system and relation is not None and relation.kind in ("view", "foreign table"):
            return case.deny(  # its plan tells about the tables behind it
                Reason.CONSTRUCT,
                f"EXPLAIN is not allowed on {read.use.written}: a plan tells about the tables behind it",
                hint=_HINT,
                location=read.use.location,
            )
    for read in case.restricted:
        if read.system:
            continue
        assert read.access is not None
        telling = any(applied.rule in ("row_filter", "mask", "aggregate_only") for applied in read.access.applied)
        if telling or analyze:
            return case.deny(
                Reason.CONSTRUCT,
                f"EXPLAIN is not allowed on {read.use.written}: a plan tells about what you may not read",
                hint=_HINT,
                location=read.use.location,
            )
    return case
