"""Turn: what leaves at the end of one turn of the event loop: first the records, in one write, then the statements.

All that came from all clients in one turn is decided on and written down together: one write to the audit log costs
nearly the same for thirty records as for one, and no statement waits longer than until the loop has looked at all
sockets once.

The outcome of a run is not waited for by anybody: it is kept with the records of the next turn that has to send
something, at the latest ``LATE`` seconds after it. That halves the writes of a busy gateway. A gateway that is killed
in between leaves runs without an outcome, as it does those that are running.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from nlsql_gateway.errors import AuditError

LATE: Final = 0.01
"""Seconds that an outcome may wait to be kept."""


class Party(Protocol):
    """A session that has something to be kept or sent. No method raises."""

    def depart(self) -> None:
        """All records are kept: send what waited for that."""

    def unrecorded(self, error: AuditError) -> None:
        """No record of this turn is kept: nothing that needs one may be sent."""

    def unclosed(self, error: AuditError) -> None:
        """The outcome of a run is not kept."""


class Turn:
    """One for all sessions of a gateway, on one event loop. ``flush`` keeps the records or raises AuditError."""

    __slots__ = ("_flush", "_later", "_loop", "_parties", "_timer")

    def __init__(self, flush: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        self._flush = flush
        self._loop = loop
        self._parties: list[Party] = []
        self._later: list[Party] = []
        "Those with an outcome, as often as they have one."
        self._timer: asyncio.TimerHandle | None = None
        "Set while an outcome waits; one that was kept meanwhile leaves it: making one costs more than to wake up."

    def join(self, party: Party) -> None:
        """``party`` will be called at the end of this turn; once for each call of this."""
        if not self._parties:
            self._loop.call_soon(self.end)
        self._parties.append(party)

    def join_later(self, party: Party) -> None:
        """``party`` has an outcome to be kept, and will be called only when that cannot be."""
        self._later.append(party)
        if self._timer is None:
            self._timer = self._loop.call_later(LATE, self._late)

    async def kept(self) -> None:
        """Wait until all records so far are kept. Raises AuditError: they are not."""
        waiter = _Waiter(self._loop.create_future())
        self.join(waiter)
        await waiter.done

    def _late(self) -> None:
        self._timer = None
        self.end()

    def end(self) -> None:
        """Now. At the loop's own end of the turn there is then nothing left to do."""
        parties, self._parties = self._parties, []
        later, self._later = self._later, []
        if not parties and not later:
            return
        try:
            self._flush()
        except AuditError as error:
            for party in parties:
                party.unrecorded(error)
            for party in later:
                party.unclosed(error)
        else:
            for party in parties:
                party.depart()


class _Waiter:
    """A party of one task that waits."""

    __slots__ = ("done",)

    def __init__(self, done: asyncio.Future[None]) -> None:
        self.done = done

    def depart(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def unrecorded(self, error: AuditError) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    def unclosed(self, error: AuditError) -> None:
        """It has no outcome to be kept."""
