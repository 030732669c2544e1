"""Pass: what the rewriting made is read once more by the server's grammar and must be what was meant.

The relations of the new text must be those of the old one, each restricted one replaced by those of its sub-query; and
a restricted relation may stand nowhere but inside a sub-query of ours.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Any

from nlsql_gateway.errors import GatewayError
from nlsql_gateway.policy.case import Case
from nlsql_gateway.policy.decision import Deny, Reason
from nlsql_gateway.policy.model import ROW
from nlsql_gateway.policy.names import find
from nlsql_gateway.sql import Batch, classify
from nlsql_gateway.sql.grammar import Node
from nlsql_gateway.sql.survey import Survey, survey


def recheck(case: Case) -> Case | Deny:
    if case.sql == case.statement.text:
        return case
    found = _survey(case.sql)
    if found is None or _counted(case, found) != _expected(case) or not _suppressed(case, found):
        return case.deny(
            Reason.NOT_UNDERSTOOD,
            "the statement could not be rewritten to what you may read",
            sqlstate="0A000",
            hint="write it in a simpler way, with an alias for every table",
        )
    return case


def _suppressed(case: Case, found: Survey) -> bool:
    """Whether every block with aggregates of protected columns has its HAVING, and nothing else has such columns."""
    wanted = [_without_places(_having(" AND ".join(text for _, text in block.checks))) for block in case.blocks]
    exposed = 0
    for select in found.selects:
        ours = _exposing(select["fromClause"])
        exposed += ours
        if ours:
            having = select.get("havingClause", {})
            cases = having.get("CaseExpr", {}).get("args", [])
            check = _without_places(cases[0]["CaseWhen"]["expr"] if cases else having)
            if check not in wanted:
                return False
            wanted.remove(check)
    return not wanted and exposed == sum(read.grouped for read in case.reads)


def _having(check: str) -> Any:
    found = _survey(f"SELECT FROM t HAVING {check}")
    assert found is not None, "a check is SQL"
    return found.selects[0]["havingClause"]


def _exposing(items: list[Node]) -> int:
    """How many of our sub-queries in a FROM clause have columns for aggregates only."""
    count = 0
    for item in items:
        if "JoinExpr" in item:
            count += _exposing([item["JoinExpr"]["larg"], item["JoinExpr"]["rarg"]])
        elif "RangeSubselect" in item:
            targets = item["RangeSubselect"]["subquery"]["SelectStmt"].get("targetList", [])
            count += any(target["ResTarget"].get("name") == ROW for target in targets)
    return count


def _without_places(item: Any) -> Any:
    if isinstance(item, dict):
        return {key: _without_places(value) for key, value in item.items() if key != "location"}
    return [_without_places(value) for value in item] if isinstance(item, list) else item


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
