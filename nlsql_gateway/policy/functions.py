"""Pass: every function must be on the allowlist, whichever of its overloads the server would choose.

A column can call a function too: ``c.peek`` is ``peek(c)`` where the row has no such column (manual, 4.2.4). Columns
are checked in columns.py; here, names behind a dot that are some function nobody allowed are refused.
"""

from __future__ import annotations

from nlsql_gateway.policy.all_settings import names_alone, replaces
from nlsql_gateway.policy.builtin_functions import ALL_SETTINGS, CASTS, HARMLESS_VOLATILE, SETTINGS, refused
from nlsql_gateway.policy.case import Case
from nlsql_gateway.policy.decision import Deny, Reason
from nlsql_gateway.policy.model import Policy
from nlsql_gateway.policy.names import path
from nlsql_gateway.policy.open_catalogs import SYSTEM_SCHEMAS
from nlsql_gateway.policy.sizes import guarded
from nlsql_gateway.policy.withheld import withheld
from nlsql_gateway.sql import Function
from nlsql_gateway.sql.survey import FunctionUse


def allow_functions(case: Case) -> Case | Deny:
    for use in case.survey.functions:
        candidates = _candidates(case, use)
        if (not candidates and _is_cast(case, use)) or (candidates and (guarded(case, use) or withheld(case, use))):
            continue
        if not candidates:
            return case.deny(
                Reason.UNKNOWN_NAME,
                f"function {use.written} does not exist",
                sqlstate="42883",
                location=use.location,
            )
        if replaces(case, use):
            continue
        telling = use.name == ALL_SETTINGS and not names_alone(case)
        if telling or not all(_allowed(function, case.policy) for function in candidates):
            return case.deny(
                Reason.FUNCTION,
                f"the function {use.written} is not allowed",
                hint="the policy can name it under functions: allow",
                location=use.location,
            )
    return case


def _is_cast(case: Case, use: FunctionUse) -> bool:
    """``uuid(x)``. What casts may tell is asked of the constant too, in relations.py, but regclass is a function.

    ``mood(x)`` with a type of the database's own is ``x::mood`` where no function is called so (manual, 10.3, rule 3),
    and casts to such types are allowed. Not the form with OVER and the like: the server refuses that.
    """
    if len(use.arguments) != 1:
        return False
    if use.name in CASTS and use.schema in ("", "pg_catalog"):
        return True
    schemas = (use.schema,) if use.schema else path(case.catalog, case.policy)
    return any((schema, use.name) in case.catalog.own_types for schema in schemas)


def callable_by_attribute(name: str, case: Case) -> bool:
    """Whether ``value.name`` could call a function that is not allowed, whatever the value is: ``('…'::text).ts_stat``.

    Functions of settings are never called so: their argument would go past the pass that reads it.
    """
    return name in SETTINGS or any(
        not _allowed(function, case.policy) for function in case.catalog.functions.get(name, ())
    )


def _candidates(case: Case, use: FunctionUse) -> list[Function]:
    schemas = (use.schema,) if use.schema else path(case.catalog, case.policy)
    return [function for function in case.catalog.functions.get(use.name, ()) if function.schema in schemas]


def _allowed(function: Function, policy: Policy) -> bool:
    builtin = function.schema == "pg_catalog"
    key = function.name if builtin else f"{function.schema}.{function.name}"
    if key in policy.denied_functions:
        return False
    if key in policy.allowed_functions:
        return True
    if policy.open_functions and function.schema not in SYSTEM_SCHEMAS:
        return function.volatility != "volatile" and function.kind != "procedure"
    if function.schema not in SYSTEM_SCHEMAS or (builtin and refused(function.name)):
        return False
    if builtin and (function.name in SETTINGS or function.name in HARMLESS_VOLATILE):
        return True
    return function.volatility != "volatile" and function.kind != "procedure"
