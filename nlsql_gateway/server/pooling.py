"""Behind a pooler: what goes into its startup message, and how the pins are brought into force without it.

PgBouncer takes few startup parameters and refuses the others, so the pins are settings of the role (ALTER ROLE … SET),
which makes them the reset values of every server connection; docs/pooling.md. In session mode each new client's server
connection is looked at before the first statement; in transaction mode every transaction brings its pins itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from nlsql_gateway.errors import ProtocolError, UpstreamError
from nlsql_gateway.policy.literals import string
from nlsql_gateway.policy.pooled import KEPT
from nlsql_gateway.policy.setting_rules import same
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.server.standby import ask_rows
from nlsql_gateway.sql.quoting import identifier

TRACKED: Final = KEPT
"""What PgBouncer takes at startup and keeps for each client, on whatever server connection (its manual, "Usage")."""


def split(settings: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Of a startup message's settings those that a pooler takes, ``user`` and ``database`` too, and the others."""
    taken = {name: value for name, value in settings.items() if name in TRACKED or name in ("user", "database")}
    return taken, {name: value for name, value in settings.items() if name not in taken}


def prefix(settings: Mapping[str, str]) -> str:
    """What opens a transaction with ``settings`` in force, on a connection of whatever state."""
    words = ["BEGIN READ ONLY", "SET LOCAL SESSION AUTHORIZATION DEFAULT", "SET LOCAL ROLE NONE"]
    words += [f"SET LOCAL {_assignment(name, value)}" for name, value in settings.items()]
    return "; ".join(words)


def role_statements(role: str, settings: Mapping[str, str]) -> list[str]:
    """What an administrator runs once."""
    return [f"ALTER ROLE {identifier(role)} SET {_assignment(name, value)};" for name, value in settings.items()]


def _assignment(name: str, value: str) -> str:
    if name == "search_path":  # names, quoted where they must be: policy/loading.py
        return f"{name} = {value}"
    return f"{_name(name)} = {string(value)}"


def _name(setting: str) -> str:
    return ".".join(identifier(part) for part in setting.split("."))


async def put(pipe: Pipe, name: str, value: str) -> None:
    """Set it for this session. Raises ProtocolError, OSError."""
    await ask_rows(pipe, f"SET {_assignment(name, value)}")


async def not_in_force(pipe: Pipe, pins: Mapping[str, str]) -> list[str]:
    """The pins that this connection has not, now or after RESET. Raises ProtocolError, OSError.

    The server itself compares: it writes a value as it would write the pin. All of it is rolled back.
    """
    if not pins:
        return []
    names = list(pins)
    rows = await ask_rows(pipe, "; ".join(["BEGIN", *comparison(pins), "ROLLBACK"]))
    if len(rows) != 3 * len(names):
        raise ProtocolError("a question of the gateway's own was not answered")
    return missing(names, [row[0] for row in rows])


def comparison(pins: Mapping[str, str]) -> list[str]:
    """Statements for one transaction, which must be rolled back; each SELECT gives one row with one value.

    The values now, those after RESET, and the pins as the server writes them.
    """
    current = [f"SELECT pg_catalog.current_setting({string(name)}, true)" for name in pins]
    reset = [f"RESET {_name(name)}" for name in pins]
    pinned = [f"SET LOCAL {_assignment(name, value)}" for name, value in pins.items()]
    return [*current, *reset, *current, *pinned, *current]


def missing(names: Sequence[str], values: Sequence[str]) -> list[str]:
    """Of the values that ``comparison`` gave."""
    count = len(names)
    return [
        name
        for index, name in enumerate(names)
        if not all(same(values[part * count + index], values[2 * count + index]) for part in (0, 1))
    ]


def unpinned(names: Sequence[str]) -> UpstreamError:
    return UpstreamError(
        "the database does not keep the settings that the policy pins",
        detail=f"behind the pooler these are not the role's own: {', '.join(names)}; see nlsql-gateway check",
    )
