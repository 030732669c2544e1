"""Helps ``leaks``: what may fail without a column of the filtered table, and yet only when a row of it is there.

A sub-query that depends on nothing is computed when the first row asks for it, and a volatile expression for each row:
their error would tell that a row came so far, before the row filter hid it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from nlsql_gateway.policy.leakproof import ORDERS
from nlsql_gateway.sql.survey import strings

_SAFE: Final = frozenset({"count", "sum", "avg", "min", "max"})
"""Aggregates that do not fail on what a column can hold, but for overflow."""

_COMPARED: Final = frozenset({*ORDERS, "BETWEEN", "NOT BETWEEN"})

_OTHERS: Final = frozenset(
    {"SQLValueFunction", "A_Indirection", "A_ArrayExpr", "RowExpr", "CoalesceExpr", "MinMaxExpr", "XmlExpr", "ParamRef"}
)


def _nodes(tree: Any) -> Iterator[tuple[str, Any]]:
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            yield from item.items()
            stack.extend(item.values())


def could_fail(query: Any) -> bool:
    """Whether a sub-query has anything but columns, constants, comparisons and plain aggregates."""
    return any(_fails(key, value) for key, value in _nodes(query))


def _fails(key: str, value: Any) -> bool:
    if key == "FuncCall":
        return strings(value["funcname"])[-1] not in _SAFE
    if key == "A_Expr":
        return not _COMPARED.issuperset(strings(value.get("name", []))[-1:])
    if key == "TypeCast":
        return "A_Const" not in value.get("arg", {})
    if key == "SubLink":
        return value["subLinkType"] not in ("EXISTS_SUBLINK", "ANY_SUBLINK")
    return key in _OTHERS


def lazy(condition: Any) -> bool:
    """Whether a condition has no column at all, or a sub-query that could fail or give several rows."""
    nodes = list(_nodes(condition))
    links = [value for key, value in nodes if key == "SubLink"]
    if any(could_fail(link["subselect"]) or _is_many(link) for link in links):
        return True
    return not links and all(key != "ColumnRef" for key, _ in nodes)


def _is_many(link: Any) -> bool:
    """A sub-query in the place of a value that is not plainly one row: aggregates without groups."""
    query = link["subselect"].get("SelectStmt", {})
    targets = [target["ResTarget"].get("val", {}) for target in query.get("targetList", [])]
    plain = "groupClause" not in query and all("FuncCall" in value for value in targets)
    return link["subLinkType"] not in ("EXISTS_SUBLINK", "ANY_SUBLINK") and not (targets and plain)
