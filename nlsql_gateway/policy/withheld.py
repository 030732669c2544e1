"""What tools ask of every row of a catalog, and nobody is told: the function runs on NULL, and its answer is NULL.

psql's ``\\l+`` and ``\\db``, pgAdmin and DataGrip list databases and tablespaces so, with sizes and places in one more
column; refused, the whole list would stay empty. The functions are strict (manual, 38.5), so what NULL stands for never
matters. A constant is what somebody typed who wants to know: that is refused, where the policy does not allow it.
"""

from __future__ import annotations

from typing import Final

from nlsql_gateway.policy.case import Case
from nlsql_gateway.sql.survey import FunctionUse, constant

WITHHELD: Final = {
    "pg_database_size": "",  # of an OID or a name
    "pg_tablespace_size": "",
    "pg_tablespace_location": "::oid",
    "pg_get_functiondef": "::oid",
    "pg_get_function_sqlbody": "::oid",
    "pg_blocking_pids": "::int4",
}
"""Functions of pg_catalog, and the type of their argument where there is one only: a parameter takes it from there."""


def withheld(case: Case, use: FunctionUse) -> bool:
    """Whether ``use`` may run on NULL; where the policy names the function, it is as the policy says."""
    policy = case.policy
    if use.name not in WITHHELD or use.schema not in ("", "pg_catalog") or len(use.arguments) != 1:
        return False
    if use.name in policy.allowed_functions or use.name in policy.denied_functions:
        return False
    if any(function.schema != "pg_catalog" for function in case.catalog.functions.get(use.name, ())):
        return False  # it may be another function that is called
    return constant(use.arguments[0]) is None and "A_Const" not in use.arguments[0]


def guard(use: FunctionUse) -> tuple[str, str]:
    """What stands in front of the argument and behind it: no row, so NULL, of the argument's type."""
    return "(SELECT o FROM (SELECT (", f"){WITHHELD[use.name]}) AS x(o) WHERE false)"
