"""target_session_attrs: is a server that let us in of the kind that was asked for?

PostgreSQL manual, "libpq", "target_session_attrs". PostgreSQL 14 and later report both settings by ParameterStatus; of
an older server, and of a pooler, whose report may be of another day, we ask.
"""

from __future__ import annotations

from nlsql_gateway.errors import ProtocolError
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.server.upstream_login import Answers, read_message
from nlsql_gateway.wire import upstream as wire
from nlsql_gateway.wire.messages import INT32, parse_fault


class Unsuitable(Exception):
    """Its text says what the server is instead."""


async def check_session(pipe: Pipe, answers: Answers, wanted: str, *, pinned: bool) -> None:
    """Raises Unsuitable, ProtocolError, OSError. ``pinned``: this session is read only because we made it so.

    Then read-write and read-only can only mean a primary and a standby: a session does not tell what it would be
    without its pin.
    """
    if wanted == "any":
        return
    standby = answers.parameters.get("in_hot_standby")
    if standby is None:
        standby = "on" if await ask(pipe, "SELECT pg_catalog.pg_is_in_recovery()") == "t" else "off"
    read_only = standby
    if not pinned and standby == "off":
        read_only = answers.parameters.get("default_transaction_read_only", "")
        read_only = read_only or await ask(pipe, "SHOW transaction_read_only")
    match wanted:
        case "primary" if standby != "off":
            raise Unsuitable("it is a standby")
        case "standby" if standby != "on":
            raise Unsuitable("it is a primary")
        case "read-write" if read_only != "off":
            raise Unsuitable("it is read only")
        case "read-only" if read_only != "on":
            raise Unsuitable("it is not read only")


async def ask(pipe: Pipe, query: str) -> str:
    """The one value that ``query`` gives, as text; '' for none. Raises ProtocolError, OSError."""
    return (await ask_rows(pipe, query) or [[""]])[0][0]


async def ask_rows(pipe: Pipe, query: str) -> list[list[str]]:
    """All rows of a small result, before the connection is anybody's; null is ''. Raises ProtocolError, OSError."""
    pipe.write(wire.query(query))
    rows: list[list[str]] = []
    while True:
        kind, body, _ = await read_message(pipe)
        if kind == b"E":
            raise ProtocolError(f"a question of the gateway's own failed: {parse_fault(body).text}")
        if kind == b"D":
            rows.append(_values(body))
        if kind == b"Z":
            return rows


def _values(body: bytes) -> list[str]:
    """Of a DataRow (manual, "Message Formats"). Raises ProtocolError."""
    count = int.from_bytes(body[:2], "big")
    values: list[str] = []
    at = 2
    for _ in range(count):
        if at + 4 > len(body):
            raise ProtocolError("a row of impossible length")
        (length,) = INT32.unpack_from(body, at)
        at += 4
        if length < -1 or at + length > len(body):
            raise ProtocolError("a row of impossible length")
        values.append(body[at : at + max(length, 0)].decode("utf-8", "replace"))
        at += max(length, 0)
    return values
