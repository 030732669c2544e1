"""``has_table_privilege()`` and its like, asked of a catalog's rows: NULL of tables that the person may not read.

PostgreSQL would answer for the gateway's role, and a tool that asks which tables there are to read (Metabase, as it
synchronises) would list some that are refused. The functions are strict. A table that the statement itself names must
be readable anyway.
"""

from __future__ import annotations

import json
from typing import Final

from nlsql_gateway.policy.case import Case
from nlsql_gateway.policy.listed import MOST, unreadable
from nlsql_gateway.policy.literals import string
from nlsql_gateway.sql.survey import FunctionUse, constant

_BEHIND: Final = {"has_table_privilege": 2, "has_any_column_privilege": 2, "has_column_privilege": 3}
"""How many arguments there are from the table on; the person asked about may stand in front of it."""


def of_table(case: Case, use: FunctionUse) -> int | None:
    """Which argument is the table, where its answer could be wrong."""
    if use.name not in _BEHIND or use.schema not in ("", "pg_catalog"):
        return None
    at = len(use.arguments) - _BEHIND[use.name]
    if at not in (0, 1) or constant(use.arguments[at]) is not None:
        return None
    if any(function.schema != "pg_catalog" for function in case.catalog.functions.get(use.name, ())):
        return None
    return at


def guard(case: Case) -> tuple[str, str] | None:
    """What stands in front of the argument and behind it; None: all tables are readable, or too many are not."""
    names = [json.dumps(key, ensure_ascii=False, separators=(",", ":")) for key in unreadable(case)]
    if not 0 < len(names) <= MOST:
        return None
    behind = (
        ")::pg_catalog.regclass OFFSET 0) AS x(o) WHERE (pg_catalog.array_to_json((pg_catalog."
        "pg_identify_object_as_address('pg_catalog.pg_class'::pg_catalog.regclass, o, 0)).object_names)::text"
        f" OPERATOR(pg_catalog.=) ANY (ARRAY[{', '.join(string(name) for name in names)}]::text[])) IS NOT TRUE)"
    )
    return "(SELECT o FROM (SELECT (", behind
