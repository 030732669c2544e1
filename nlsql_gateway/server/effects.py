"""Effects: what SQL itself does to the names of prepared statements and portals.

PREPARE, DEALLOCATE and DISCARD ALL share the namespace of Parse and Close; DECLARE and CLOSE that of Bind. What they
did is known when their CommandComplete has come. Until then their text is *unsettled*, and a message that depends on a
name waits (``Requests``), so that the record of what runs always has the text that runs. Not seen: what a function, or
DO, prepares by dynamic SQL; a policy that is not pass-through allows only functions that somebody has listed.

A stale name does no harm: the upstream does not know it any more, and nothing runs. So the ends of savepoints need not
be followed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from nlsql_gateway.admission import Admitted
from nlsql_gateway.ask import Dialogue
from nlsql_gateway.server.names import Names, Portal
from nlsql_gateway.sql import Kind, Statement
from nlsql_gateway.wire.replies import Fetched

NAMING: Final = frozenset({Kind.PREPARE, Kind.DEALLOCATE, Kind.DISCARD, Kind.DECLARE, Kind.CLOSE})
USING: Final = frozenset({Kind.EXECUTE, Kind.FETCH})

_HOLD: Final = 0x20
"""CURSOR_OPT_HOLD of PostgreSQL's parsenodes.h: the cursor outlives its transaction."""

_TAGS: Final = frozenset(
    {b"PREPARE", b"DEALLOCATE", b"DEALLOCATE ALL", b"DISCARD ALL", b"DECLARE CURSOR", b"CLOSE CURSOR"}
    | {b"CLOSE CURSOR ALL"}
)


class Effects:
    """Of one text on its way; it is unsettled from its making until ``over``."""

    __slots__ = ("_abandoned", "_admitted", "_at", "_names")

    def __init__(self, names: Names, admitted: Admitted, abandoned: Callable[[Portal], None]) -> None:
        """``abandoned`` is called with each portal that SQL closes."""
        self._names = names
        self._admitted = admitted
        self._abandoned = abandoned
        self._at = 0
        names.unsettled += 1

    def over(self) -> None:
        """Its last reply has come, or none will."""
        self._names.unsettled -= 1

    def completed(self, tag: bytes) -> None:
        """The next statement's CommandComplete."""
        statements = self._admitted.statements
        statement = statements[self._at] if self._at < len(statements) else None
        self._at += 1
        if tag not in _TAGS:
            return
        if statement is not None:
            statement = behind(self._names, statement)
        if tag == b"DISCARD ALL" or statement is None:  # what nobody could read may have changed any name
            self._drop_all()
            self._close_all()
        elif tag == b"PREPARE":
            assert statement.inner is not None
            self._names.statements.confirmed[statement.name] = self._as(statement.inner)
        elif tag == b"DEALLOCATE":
            self._names.statements.confirmed.pop(statement.name, None)
        elif tag == b"DEALLOCATE ALL":
            self._drop_all()
        elif tag == b"DECLARE CURSOR":
            assert statement.inner is not None
            portal = Portal(self._as(statement.inner), ())
            portal.is_held = bool(statement.node["DeclareCursorStmt"].get("options", 0) & _HOLD)
            self._names.portals.confirmed[statement.name] = portal
        elif tag == b"CLOSE CURSOR":
            closed = self._names.portals.confirmed.pop(statement.name, None)
            if closed is not None:
                self._abandoned(closed)
        else:
            self._close_all()

    def _drop_all(self) -> None:
        """But for the unnamed one (PostgreSQL's prepare.c, DropAllPreparedStatements)."""
        statements = self._names.statements.confirmed
        for name in list(statements):
            if name:
                del statements[name]

    def _close_all(self) -> None:
        portals = self._names.portals.confirmed
        for portal in list(portals.values()):
            self._abandoned(portal)
        portals.clear()

    def _as(self, inner: Statement) -> Admitted:
        """What stands behind the name: the query, under the decision on the whole text."""
        return self._admitted.of((inner,))


def effects(names: Names, admitted: Admitted, abandoned: Callable[[Portal], None]) -> Effects | None:
    """None when the text changes no names, as nearly all."""
    if admitted.only_reads:
        return None
    statements = admitted.statements
    if statements or not admitted.sql:
        for statement in statements:
            if statement.kind in NAMING or (statement.kind is Kind.EXECUTE and behind(names, statement).kind in NAMING):
                return Effects(names, admitted, abandoned)
        return None
    return Effects(names, admitted, abandoned)  # only PostgreSQL can read it, or nothing but comments


def behind(names: Names, statement: Statement) -> Statement:
    """What runs: EXECUTE runs what stands behind its name, which Parse may have made of any statement."""
    seen: set[str] = set()
    while statement.kind is Kind.EXECUTE and statement.name not in seen:
        seen.add(statement.name)
        prepared = names.statements.get(statement.name)
        if prepared is None or len(prepared.statements) != 1:
            break
        statement = prepared.statements[0]
    return statement


def forget(dialogue: Dialogue, names: Names, admitted: Admitted) -> None:
    """``admitted`` runs: what makes a session like new, or somebody else's, ends what its questions go on from.

    PostgreSQL manual, DISCARD and SET ROLE.
    """
    if dialogue.topic is None and not dialogue.answers:
        return  # nearly always
    if any(_forgets(behind(names, statement)) for statement in admitted.statements):
        dialogue.forget()


def _forgets(statement: Statement) -> bool:
    if statement.kind is Kind.DISCARD:
        return bool(statement.node["DiscardStmt"]["target"] == "DISCARD_ALL")
    return statement.kind in (Kind.SET, Kind.RESET) and statement.name in ("role", "session_authorization")


def uses(names: Names, admitted: Admitted) -> list[tuple[Statement, Admitted]]:
    """EXECUTE and FETCH of names that an earlier text has given, with what was admitted under them."""
    found: list[tuple[Statement, Admitted]] = []
    if admitted.only_reads:
        return found
    given: set[str] = set()
    for statement in admitted.statements:
        if statement.kind is Kind.PREPARE or statement.kind is Kind.DECLARE:
            given.add(statement.name)  # by this text, which was decided on now
        elif statement.kind in USING and statement.name not in given:
            seen: set[str] = set()
            while statement.kind in USING and statement.name not in seen:
                seen.add(statement.name)
                prepared = names.under(statement)
                if prepared is None:
                    break
                found.append((statement, prepared))
                if len(prepared.statements) != 1:
                    break
                statement = prepared.statements[0]  # Parse may have prepared an EXECUTE
    return found


def cursor(names: Names, admitted: Admitted) -> Fetched | None:
    """What was fetched so far of the cursor that a lone FETCH takes its rows from."""
    if len(admitted.statements) != 1:
        return None
    statement = behind(names, admitted.statements[0])
    portal = names.portals.get(statement.name) if statement.kind is Kind.FETCH else None
    return portal.fetched if portal is not None else None
