"""tableoid of a relation that a sub-query stands for: which partition, child or catalog a row comes from (manual, 5.6).

It tells the name of a relation, which pg_class tells everybody, and of rows that may be read only. The other system
columns stay out: from ctid and xmin one could tell how many rows are hidden and when they were written.
"""

from __future__ import annotations

from typing import Final

from nlsql_gateway.policy.case import Case, Read

TABLEOID: Final = "tableoid"

_STORED: Final = frozenset({"table", "partitioned table", "materialized view", "foreign table"})


def tells_origin(case: Case, read: Read) -> bool:
    """Whether the sub-query for ``read`` is to have tableoid: it is named, and nothing could show it unasked."""
    if read.access is None or read.grouped or read.use.renames or read.access.relation.kind not in _STORED:
        return False
    if not any(
        use.fields[-1] == TABLEOID and use.fields[-2:-1] in ((), (read.use.called,)) for use in case.survey.columns
    ):
        return False
    survey = case.survey
    if survey.natural or "colnames" in survey.keys or TABLEOID in survey.using or _joins_have_names(case):
        return False
    return not any(use.fields[-1] == "*" or use.fields == (read.use.called,) for use in survey.columns)


def _joins_have_names(case: Case) -> bool:
    """``(a JOIN b …) AS j``, whose row has all columns of both."""
    stack = [item for select in case.survey.selects for item in select["fromClause"]]
    while stack:
        join = stack.pop().get("JoinExpr", {})
        if "alias" in join:
            return True
        stack += [join[side] for side in ("larg", "rarg") if side in join]
    return False
