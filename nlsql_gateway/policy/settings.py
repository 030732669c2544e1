"""Pass: SET, RESET, SHOW, the modes of a transaction, set_config() and current_setting(), all by one table.

Pinned settings have the values that the gateway sent in the StartupMessage, which makes them the reset values: RESET,
RESET ALL and DISCARD ALL put them back, so these are allowed. The transaction_* settings are the exception: they have
no reset value of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nlsql_gateway.policy.case import READ_ONLY, Case
from nlsql_gateway.policy.decision import Deny, Reason
from nlsql_gateway.policy.model import Policy
from nlsql_gateway.policy.names import path
from nlsql_gateway.policy.setting_rules import READABLE, milliseconds, same
from nlsql_gateway.sql import Kind
from nlsql_gateway.sql.grammar import Node
from nlsql_gateway.sql.survey import FunctionUse, constant, plain_constant

_BARE_LIST = re.compile(r" *[a-z_][a-z0-9_]* *(?:, *[a-z_][a-z0-9_]* *)*")


def allow_settings(case: Case) -> Case | Deny:
    refused: Deny | None = None
    match case.statement.kind:
        case Kind.SET:
            refused = _set(case, case.statement.node["VariableSetStmt"])
        case Kind.RESET:
            refused = _reset(case, case.statement.name.lower())
        case Kind.SHOW:
            refused = _show(case, case.statement.name.lower())
        case Kind.BEGIN:
            refused = _modes(case, case.statement.node["TransactionStmt"].get("options", []), "transaction_")
    for use in case.survey.functions:
        if refused is None and use.name == "set_config" and use.schema in ("", "pg_catalog"):
            refused = _set_config(case, use)
        elif refused is None and use.name == "current_setting" and use.schema in ("", "pg_catalog"):
            refused = _current_setting(case, use)
    return refused or case


def permitted(name: str, value: str | None, policy: Policy) -> bool:
    """Whether a client may give setting ``name`` (in lower case) this value; None: not known from the text.

    A pinned setting may only get the value that it has; a pinned timeout may be made shorter.
    """
    rule = policy.settings.get(name)
    pin = policy.pins.get(name)
    if pin is None:
        return rule is not None and rule.permits(value)
    if value is None:
        return False
    if rule is not None and rule.kind == "timeout":
        wanted, most = milliseconds(value), milliseconds(pin)
        return bool(wanted) and (not most or (wanted is not None and wanted <= most))
    return same(value, pin)


def readable(name: str, policy: Policy) -> bool:
    """Whether SHOW and current_setting() may tell it. The pins of the gateway's own are not told: one is a secret."""
    own = name.startswith("nlsql_gateway.")
    return not own and (name in READABLE or name in policy.settings or name in policy.pins)


def readable_names(policy: Policy) -> list[str]:
    """All settings that may be told, sorted."""
    return sorted(name for name in READABLE | policy.settings.keys() | policy.pins.keys() if readable(name, policy))


def _set(case: Case, body: Node) -> Deny | None:
    name = body.get("name", "")
    kind = body.get("kind", "VAR_SET_VALUE")
    arguments = body.get("args", [])
    if kind == "VAR_SET_MULTI":
        if name not in ("TRANSACTION", "SESSION CHARACTERISTICS"):
            return case.deny(Reason.SETTING, f"SET {name} is not allowed")
        return _modes(case, arguments, "transaction_" if name == "TRANSACTION" else "default_transaction_")
    name = name.lower()
    if kind == "VAR_SET_DEFAULT":
        return _reset(case, name)
    values = [_value(argument) for argument in arguments]
    if name == "search_path":  # tools set what is in force already; each argument is one name, as it stands
        return None if _is_path(values, case) else _refused(case, name)
    value = ", ".join(item for item in values if item is not None) if None not in values else None
    return None if permitted(name, value, case.policy) else _refused(case, name)


def _is_path(names: Sequence[str | None], case: Case) -> bool:
    """Whether a search path is the one in force, name by name; pg_catalog, which is searched first, may be left out."""
    in_force = list(path(case.catalog, case.policy))
    implied = in_force[1:] if in_force[:1] == ["pg_catalog"] else in_force
    return list(names) in (in_force, implied)


def _bare_names(text: str | None) -> list[str | None]:
    """The names in a list of bare lower-case ones; quotes and capitals make it none that can be in force."""
    if text is None or _BARE_LIST.fullmatch(text) is None:
        return [None]
    return [name.strip() for name in text.split(",")]


def _reset(case: Case, name: str) -> Deny | None:
    return _refused(case, name) if name.startswith("transaction_") else None


def _show(case: Case, name: str) -> Deny | None:
    if readable(name, case.policy):
        return None
    what = name or "all settings"
    return case.deny(Reason.SETTING, f"{what} cannot be shown", hint="settings that clients may change can be shown")


def _modes(case: Case, options: list[Node], prefix: str) -> Deny | None:
    """The transaction modes of BEGIN, SET TRANSACTION and SET SESSION CHARACTERISTICS."""
    for option in options:
        element = option.get("DefElem", {})
        name = str(element.get("defname", ""))
        setting = name.replace("transaction_", prefix, 1)
        if not permitted(setting, _value(element.get("arg", {})), case.policy):
            return _refused(case, setting)
    return None


def _set_config(case: Case, use: FunctionUse) -> Deny | None:
    if len(use.arguments) != 3 or any("NamedArgExpr" in argument for argument in use.arguments):
        return case.deny(
            Reason.SETTING, "set_config must be called with three arguments by position", location=use.location
        )
    name = plain_constant(use.arguments[0])
    if name is None:
        return case.deny(
            Reason.SETTING, "set_config needs the setting's name as a string constant", location=use.location
        )
    value = plain_constant(use.arguments[1])
    if name.lower() == "search_path":
        allowed = _is_path(_bare_names(value), case)
    else:
        allowed = permitted(name.lower(), value, case.policy)
    if allowed:
        return None
    return _refused(case, name.lower(), use.location)


def _current_setting(case: Case, use: FunctionUse) -> Deny | None:
    if not use.arguments or any("NamedArgExpr" in argument for argument in use.arguments):
        return case.deny(Reason.SETTING, "current_setting must be called by position", location=use.location)
    name = plain_constant(use.arguments[0])
    if name is None or readable(name.lower(), case.policy):
        return None  # a name that only the server will know is guarded by rewrite
    return case.deny(Reason.SETTING, f"{name} cannot be shown", location=use.location)


def _refused(case: Case, name: str, location: int | None = None) -> Deny:
    write = name.endswith("transaction_read_only")
    pinned = name in case.policy.pins
    return case.deny(
        Reason.SETTING,
        f"{name} cannot be changed" if pinned or write else f"{name} cannot be set to this value, or not at all",
        sqlstate=READ_ONLY if write else "42501",
        hint="everything here is read only" if write else "the policy's table of settings says what can be set",
        location=location,
    )


def _value(node: Node) -> str | None:
    """The value of an argument of SET as text; None when it is no constant."""
    if "TypeCast" in node:  # SET TIME ZONE INTERVAL '…'
        return constant(node)
    body: dict[str, Any] = node.get("A_Const", {})
    if "sval" in body:
        return str(body["sval"].get("sval", ""))
    if "ival" in body:
        return str(body["ival"].get("ival", 0))
    if "fval" in body:
        return str(body["fval"].get("fval", ""))
    if "boolval" in body:
        return "on" if body["boolval"].get("boolval") else "off"
    if "String" in node:
        return str(node["String"].get("sval", ""))
    if "Integer" in node:
        return str(node["Integer"].get("ival", 0))
    return None
