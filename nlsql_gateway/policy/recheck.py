"""Pass: what the rewriting made is read once more by the server's grammar and must be what was meant.

The relations of the new text must be those of the old one, each restricted one replaced by those of its sub-query; and
a restricted relation may stand nowhere but inside a sub-query of ours.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from nlsql_gateway.errors import GatewayError
from nlsql_gateway.policy.case import Case
from nlsql_gateway.policy.decision import Deny, Reason
from nlsql_gateway.policy.names import find
from nlsql_gateway.sql import Batch, classify
from nlsql_gateway.sql.survey import Survey, survey


def recheck(case: Case) -> Case | Deny:
    if case.sql == case.statement.text:
        return case
    found = _survey(case.sql)
    if found is None or _counted(case, found) != _expected(case):
        return case.deny(
            Reason.NOT_UNDERSTOOD,
            "the statement could not be rewritten to what you may read",
            sqlstate="0A000",
            hint="write it in a simpler way, with an alias for every table",
        )
    return case


def _expected(case: Case) -> Counter[tuple[str, str] | None]:
    expected: Counter[tuple[str, str] | None] = Counter()
    for read in case.reads:
        if read.restricted:
            assert read.access is not None
            inside = _survey(f"SELECT FROM {read.access.query(only=read.use.only)} AS t")
            assert inside is not None, "a policy's sub-query is SQL"
            expected.update((use.schema, use.name) for use in inside.tables)
        else:
            expected[read.key] += 1
    return expected


def _counted(case: Case, found: Survey) -> Counter[tuple[str, str] | None]:
    return Counter(find(use.schema, use.name, case.catalog, case.policy) for use in found.tables)


@lru_cache(maxsize=512)
def _survey(sql: str) -> Survey | None:
    """The survey of one statement; None when it is not exactly one."""
    try:
        batch = classify(sql)
    except GatewayError:
        return None
    if not isinstance(batch, Batch) or len(batch.statements) != 1:
        return None
    return survey(batch.statements[0].node)
