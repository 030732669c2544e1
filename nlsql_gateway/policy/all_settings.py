"""``pg_show_all_settings()`` in FROM: what pg_settings shows in its place, values where SHOW may tell them.

pgAdmin calls the function, not the view, as it connects and for the properties of a table. Where the names alone are
read, as it connects, it stays as it is. Anywhere else, and with what only a function may have (WITH ORDINALITY, ROWS
FROM), it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nlsql_gateway.policy.builtin_functions import ALL_SETTINGS, SETTINGS
from nlsql_gateway.policy.case import Case
from nlsql_gateway.policy.open_catalogs import SENSITIVE
from nlsql_gateway.policy.sensitive import instead
from nlsql_gateway.sql.grammar import Node
from nlsql_gateway.sql.quoting import identifier
from nlsql_gateway.sql.survey import FunctionUse

_VIEW = ("pg_catalog", "pg_settings")


def replaceable(case: Case) -> dict[int, bool]:
    """Where such calls stand in the text, and whether each has an alias."""
    if not any(use.name == ALL_SETTINGS for use in case.survey.functions) or _VIEW not in case.catalog.relations:
        return {}
    if any(function.schema != "pg_catalog" for function in case.catalog.functions.get(ALL_SETTINGS, ())):
        return {}
    found = {}
    for select in case.survey.selects:
        for node in _functions(select["fromClause"]):
            items = node["functions"][0]["List"]["items"]
            call = items[0].get("FuncCall")
            plain = not any(node.get(key) for key in ("ordinality", "is_rowsfrom", "coldeflist"))
            if call is not None and plain and not call.get("args"):
                found[int(call.get("location", 0))] = "alias" in node
    return found


def replaces(case: Case, use: FunctionUse) -> bool:
    """Whether ``shown`` stands in the place of this call."""
    if use.name != ALL_SETTINGS or use.schema not in ("", "pg_catalog"):
        return False
    return use.location in replaceable(case) and not names_alone(case)


def names_alone(case: Case) -> bool:
    """Whether the function stands in FROM beside no other, and no column but ``name`` is mentioned."""
    survey = case.survey
    only = {("name",)} | {(one, "name") for one in ("s", ALL_SETTINGS)}
    if not survey.columns or not {column.fields for column in survey.columns} <= only:
        return False
    in_from = sum(
        ALL_SETTINGS in str(item.get("RangeFunction", "")) for select in survey.selects for item in select["fromClause"]
    )
    called = sum(use.name == ALL_SETTINGS for use in survey.functions)
    others = survey.attributes or survey.using or survey.natural or "colnames" in survey.keys
    return called == in_from == len(survey.functions) - sum(use.name in SETTINGS for use in survey.functions) and (
        not others
    )


def shown(case: Case, use: FunctionUse) -> str:
    """The sub-query that stands in the call's place."""
    relation, hidden = case.catalog.relations[_VIEW], SENSITIVE[_VIEW[1]]
    items = ", ".join(
        f"{instead(hidden, relation, column.name, case) or f'{_VIEW[1]}.{identifier(column.name)}'} "
        f"AS {identifier(column.name)}"
        for column in relation.columns
    )
    query = f"(SELECT {items} FROM pg_catalog.{ALL_SETTINGS}() AS {_VIEW[1]})"
    return query if replaceable(case)[use.location] else f"{query} AS {ALL_SETTINGS}"


def _functions(items: list[Node]) -> Iterator[Mapping[str, Any]]:
    for item in items:
        if "JoinExpr" in item:
            yield from _functions([item["JoinExpr"]["larg"], item["JoinExpr"]["rarg"]])
        elif "RangeFunction" in item:
            yield item["RangeFunction"]
