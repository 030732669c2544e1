"""Helps ``columns``: whole rows of a table whose alias renames columns.

A row of a table keeps the table's names, a row of the sub-query that stands for it has the alias's: row_to_json(t)
would differ. Where no name of the row's can be seen, that does not matter.
"""

from __future__ import annotations

from typing import Any, Final

from nlsql_gateway.policy.case import Case
from nlsql_gateway.policy.leakproof import written
from nlsql_gateway.sql.survey import strings

_TEXTS: Final = ("text", "character varying")


def without_names(case: Case, called: str) -> bool:
    """Whether each bare ``called`` stands where the names in a row do not matter: count(t), t IS NULL, t::text."""
    named = sum(use.fields == (called,) for use in case.survey.columns)
    stack: list[Any] = [case.statement.node]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            for key, value in item.items():
                arguments = []
                if key == "FuncCall" and strings(value["funcname"]) in (("count",), ("pg_catalog", "count")):
                    arguments = value.get("args", [])
                elif key == "NullTest" or (key == "TypeCast" and written(value["typeName"]) in _TEXTS):
                    arguments = [value["arg"]]
                named -= sum(strings(one.get("ColumnRef", {}).get("fields", [])) == (called,) for one in arguments)
                stack.append(value)
    return named == 0
