"""Pass: behind a pooler in transaction mode nothing may need a session, and nothing may outlive its transaction.

The next transaction runs on another server connection. What a client sets for the session is either kept for it by the
pooler (``KEPT``), or becomes SET LOCAL with a mark, by which ``server/pooled_pipe.py`` knows to say it again in each
transaction. RESET takes that back; the pins, which stand in each transaction too, must not be reset. DISCARD ALL, which
tools send to be sure, does as much as RESET ALL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from nlsql_gateway.policy.case import Case
from nlsql_gateway.policy.decision import Deny, Reason
from nlsql_gateway.policy.literals import string
from nlsql_gateway.sql import Kind, Statement
from nlsql_gateway.sql.grammar import COMMENTS, scan
from nlsql_gateway.sql.quoting import identifier
from nlsql_gateway.sql.survey import FunctionUse, constant

KEPT: Final = frozenset({"client_encoding", "datestyle", "timezone", "standard_conforming_strings", "application_name"})
"""PgBouncer keeps these for each client."""

LOOK: Final = frozenset(
    """backslash_quote bytea_output client_min_messages escape_string_warning extra_float_digits intervalstyle jit
    lc_monetary lc_numeric lc_time plan_cache_mode quote_all_identifiers search_path xmlbinary xmloption
    default_transaction_read_only default_transaction_isolation default_transaction_deferrable row_security
    default_text_search_config""".split()  # noqa: SIM905 - a table to be read
)
"""What set_config may set for the session, and then sets for the transaction: tools do it as they connect, and it is
harmless to do without."""

FROM_NOW_ON: Final = "SET LOCAL /* from now on */ "
"""Before ``name = value``: to be said again in each transaction of this client."""

NO_MORE: Final = "SET LOCAL /* no more */ "
"""Before what puts the setting back: to the role's, or to the pin."""

ALL_RESET: Final = "RESET /* all */ escape_string_warning"
"""In the place of RESET ALL."""

DISCARDED: Final = {f"DISCARD /* {tag} */ PLANS": tag for tag in ("DISCARD ALL", "DEALLOCATE ALL", "DEALLOCATE")}
"""In the place of statements with these command tags, which the client is told all the same."""

_NOTHING_SET: Final = "SET LOCAL default_transaction_read_only = on"

_WITH_HOLD: Final = 0x0020
"""CURSOR_OPT_HOLD (parsenodes.h)."""


def fit_pool(case: Case) -> Case | Deny:
    if not case.policy.pooled:
        return case
    for use in case.survey.functions:
        if use.name == "set_config" and use.schema in ("", "pg_catalog"):
            refused = _set_config(case, use)
            if isinstance(refused, Deny):
                return refused
            case = refused
    statement = case.statement
    body = next(iter(statement.node.values()))
    match statement.kind:
        case Kind.SET:
            return _set(case, body)
        case Kind.RESET:
            return replace(case, sql=_reset(case))
        case Kind.DISCARD | Kind.DEALLOCATE:
            return replace(case, sql=_discard(statement))
        case Kind.PREPARE | Kind.EXECUTE:
            return _refused(case, f"{statement.kind.value.upper()} by SQL", "the driver's own prepared statements work")
        case Kind.DECLARE if int(body.get("options", 0)) & _WITH_HOLD:
            return _refused(case, "DECLARE … WITH HOLD", "leave WITH HOLD out and fetch inside a transaction")
        case Kind.COMMIT | Kind.ROLLBACK if body.get("chain"):
            return _refused(case, "AND CHAIN", "begin the next transaction with BEGIN")
        case _:
            return case


def goes_on_after_the_end(statements: Sequence[Statement]) -> bool:
    """Whether one text goes on behind a COMMIT or ROLLBACK: that would run without the pins."""
    return any(statement.kind in (Kind.COMMIT, Kind.ROLLBACK) for statement in statements[:-1])


def _set(case: Case, body: dict[str, object]) -> Case | Deny:
    name = case.statement.name.lower()
    kind = str(body.get("kind", "VAR_SET_VALUE"))
    if kind == "VAR_SET_MULTI":
        return case if name == "transaction" else replace(case, sql=_NOTHING_SET)
    if kind == "VAR_SET_DEFAULT" and name not in KEPT:
        return replace(case, sql=("SET LOCAL " if body.get("is_local") else NO_MORE) + _default(name, case))
    if body.get("is_local") or name in KEPT or name.startswith("transaction_"):
        return case
    if name in ("role", "session_authorization"):
        return replace(case, sql=_NOTHING_SET)  # none and default are all that may be set, and they are in force
    return replace(case, sql=_local(case.sql))


def _reset(case: Case) -> str:
    name = case.statement.name.lower()
    if not name:
        return ALL_RESET
    if name in KEPT:
        return case.sql
    return NO_MORE + _default(name, case)


def _discard(statement: Statement) -> str:
    if statement.kind is Kind.DEALLOCATE:
        tag = "DEALLOCATE" if statement.name else "DEALLOCATE ALL"
    elif statement.node["DiscardStmt"].get("target", "DISCARD_ALL") == "DISCARD_ALL":
        tag = "DISCARD ALL"
    else:
        return "DISCARD PLANS"  # no client has sequences or temporary tables
    return f"DISCARD /* {tag} */ PLANS"


def _default(name: str, case: Case) -> str:
    """A pin is the default of what it pins, wherever the statement runs."""
    pin = case.policy.pins.get(name)
    if pin is None:
        return f"{identifier(name)} TO DEFAULT"
    return f"{identifier(name)} = {pin if name == 'search_path' else string(pin)}"


def _local(text: str) -> str:
    """``SET [SESSION] name …`` as SET LOCAL, to be said again."""
    words = [token for token in scan(text) if token.code not in COMMENTS]
    source = text.encode()
    second = 2 if source[words[1].start : words[1].end].lower() == b"session" else 1
    return FROM_NOW_ON + source[words[second].start :].decode()


def _set_config(case: Case, use: FunctionUse) -> Case | Deny:
    """The third argument of set_config says whether it holds for the transaction alone."""
    name = (constant(use.arguments[0]) or "").lower()
    if name in KEPT:
        return case
    value = use.arguments[2]
    at = int(next(iter(value.values())).get("location", -1)) - case.statement.origin
    source = case.statement.text.encode()
    if at >= 0 and source[at : at + 4].lower() == b"true":
        return case
    if at >= 0 and name in LOOK and case.sql == case.statement.text and source[at : at + 5].lower() == b"false":
        return replace(case, sql=(source[:at] + b"true " + source[at + 5 :]).decode())
    return _refused(case, f"set_config of {name} for the session", "give true as its third argument")


def _refused(case: Case, what: str, hint: str) -> Deny:
    return case.deny(
        Reason.SESSION, f"{what} needs a session, and a pooler gives transactions only", sqlstate="0A000", hint=hint
    )
