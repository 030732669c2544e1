"""Turn: what leaves at the end of one turn of the event loop: first the records, in one write, then the statements.

All that came from all clients in one turn is decided on and written down together: one write to the audit log costs
nearly the same for thirty records as for one, and no statement waits longer than until the loop has looked at all
sockets once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from nlsql_gateway.errors import AuditError


class Party(Protocol):
    """A session that has something to be kept or sent in this turn. Neither method raises."""

    def depart(self) -> None:
        """All records are kept: send what waited for that."""

    def unrecorded(self, error: AuditError) -> None:
        """No record of this turn is kept: nothing that needs one may be sent."""


class Turn:
    """One for all sessions of a gateway, on one event loop. ``flush`` keeps the records or raises AuditError."""

    __slots__ = ("_flush", "_loop", "_parties")

    def __init__(self, flush: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        self._flush = flush
        self._loop = loop
        self._parties: list[Party] = []

    def join(self, party: Party) -> None:
        """``party`` will be called at the end of this turn; once for each call of this."""
        if not self._parties:
            self._loop.call_soon(self.end)
        self._parties.append(party)

    def end(self) -> None:
        """Now. At the loop's own end of the turn there is then nothing left to do."""
        parties, self._parties = self._parties, []
        if not parties:
            return
        try:
            self._flush()
        except AuditError as error:
            for party in parties:
                party.unrecorded(error)
        else:
            for party in parties:
                party.depart()
