"""Helps ``columns``: whole rows of tables, as ``t`` and ``(t).column``.

A row of a table keeps the table's names, a row of the sub-query that stands for it has the alias's: row_to_json(t)
would differ where the alias renames columns. Where no name of the row's can be seen, that does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from nlsql_gateway.policy.case import Case
from nlsql_gateway.policy.leakproof import written
from nlsql_gateway.sql.grammar import Node
from nlsql_gateway.sql.survey import strings

_TEXTS: Final = ("text", "character varying")


def without_names(case: Case, called: str) -> bool:
    """Whether each bare ``called`` stands where the names in a row do not matter: count(t), t IS NULL, t::text; and
    (t).column, which goes by the alias's names in either (PostgreSQL, ParseComplexProjection in parse_func.c).
    """
    named = sum(use.fields == (called,) for use in case.survey.columns)
    for node in _nodes(case):
        for key, value in node.items():
            arguments: list[Node] = []
            if key == "FuncCall" and strings(value["funcname"]) in (("count",), ("pg_catalog", "count")):
                arguments = value.get("args", [])
            elif (
                key == "NullTest"
                or (key == "TypeCast" and written(value["typeName"]) in _TEXTS)
                or (key == "A_Indirection" and "String" in value["indirection"][0])
            ):
                arguments = [value["arg"]]
            named -= sum(_name(one) == called for one in arguments)
    return named == 0


def only_readable(case: Case, column: str) -> bool:
    """Whether ``(t).column`` always is of a table that shows this column, though another one hides its own.

    No hidden column could be read by such a name, whatever it means: the sub-query does not have it.
    """
    for node in _nodes(case):
        if "indirection" not in node or column not in strings(node["indirection"]):
            continue
        called = _name(node.get("arg", {}))
        uses = [use for use in case.survey.relations if use.called == called]
        shown = [
            read for read in case.reads if read.use in uses and read.access is not None and column in read.access.names
        ]
        if not called or len(uses) != 1 or not shown or strings(node["indirection"][:1]) != (column,):
            return False
    return True


def _name(node: Node) -> str:
    """The name that a ColumnRef is, alone; '' for anything else."""
    fields = strings(node.get("ColumnRef", {}).get("fields", []))
    return fields[0] if len(fields) == 1 else ""


def _nodes(case: Case) -> Iterator[Node]:
    stack: list[Any] = [case.statement.node]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            yield item
            stack.extend(item.values())
