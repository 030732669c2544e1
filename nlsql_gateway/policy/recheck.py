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
from nlsql_gateway.sql.grammar import Node, encoded, parse
from nlsql_gateway.sql.limits import DEFAULT, check_bytes
from nlsql_gateway.sql.survey import survey, tables


def recheck(case: Case) -> Case | Deny:
    if case.sql == case.statement.text:
        return case
    node = _one(case.sql)
    if (
        node is None
        or Counter(find(*use, case.catalog, case.policy) for use in tables(node)) != _expected(case)
        or not _suppressed(case, node)
    ):
        return case.deny(
            Reason.NOT_UNDERSTOOD,
            "the statement could not be rewritten to what you may read",
            sqlstate="0A000",
            hint="write it in a simpler way, with an alias for every table",
        )
    return case


def _suppressed(case: Case, node: Node) -> bool:
    """Whether every block with aggregates of protected columns has its HAVING, and nothing else has such columns."""
    if ROW not in case.sql and not case.blocks and not any(read.grouped for read in case.reads):
        return True
    wanted = [_without_places(_having(" AND ".join(text for _, text in block.checks))) for block in case.blocks]
    exposed = 0
    for select in survey(node).selects:
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
    node = _one(f"SELECT FROM t HAVING {check}")
    assert node is not None, "a check is SQL"
    return node["SelectStmt"]["havingClause"]


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
            inside = _known(f"SELECT FROM {read.access.query(only=read.use.only, grouped=read.grouped)} AS t")
            assert inside is not None, "a policy's sub-query is SQL"
            expected.update(inside)
        else:
            expected[read.key] += 1
    return expected


def _one(sql: str) -> Node | None:
    """The tree of one statement; None when it is not exactly one, or too long."""
    try:
        source = encoded(sql)
        check_bytes(source, DEFAULT)
        statements = parse(source)
    except GatewayError:
        return None
    return statements[0].node if len(statements) == 1 else None


@lru_cache(maxsize=512)
def _known(sql: str) -> list[tuple[str, str]] | None:
    node = _one(sql)
    return None if node is None else tables(node)
