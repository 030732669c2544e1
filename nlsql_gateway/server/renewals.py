"""Renewals: what was admitted under an older policy or catalog is admitted again before it runs.

It must come out the same, since the upstream has prepared what came out before; else it is refused. This holds for
Bind, for Execute, and for the statements and cursors that EXECUTE and FETCH name.
"""

from __future__ import annotations

from collections.abc import Callable

from nlsql_gateway.admission import Admitted, Client, Refused
from nlsql_gateway.server.gate import Gate
from nlsql_gateway.server.names import Names
from nlsql_gateway.server.refusals import CHANGED
from nlsql_gateway.sql import Statement

Verdict = Admitted | Refused
Used = list[tuple[Statement, Admitted]]
"""Of ``effects.uses``."""


class Renewals:
    """Each method calls back, perhaps later; ``admit`` is called with a text and what takes its verdict."""

    __slots__ = ("_admit", "_client", "_gate", "_names")

    def __init__(
        self, gate: Gate, client: Client, names: Names, admit: Callable[[str, Client, Callable[[Verdict], None]], None]
    ) -> None:
        self._gate = gate
        self._client = client
        self._names = names
        self._admit = admit

    def one(self, before: Admitted, then: Callable[[Verdict], None]) -> None:
        """``then`` gets what is in force, for the same statements."""
        if self._gate.current(before, self._client):
            then(before)
            return

        def compare(verdict: Verdict) -> None:
            if isinstance(verdict, Refused):
                then(verdict)
            elif verdict.sql == before.sql:
                then(verdict.of(before.statements))
            else:
                then(Refused(verdict.record_id, "0A000", CHANGED, hint="prepare the statement again"))

        self._admit(before.source, self._client, compare)

    def all(self, used: Used, then: Callable[[Refused | None], None]) -> None:
        """``then`` gets None when everything that is used may still be; it is renewed under its names."""
        if not used:
            then(None)
            return
        statement, before = used.pop()

        def renew(verdict: Verdict) -> None:
            if isinstance(verdict, Refused):
                then(verdict)
                return
            if verdict is not before:
                self._names.renew(statement, before, verdict)
            self.all(used, then)

        self.one(before, renew)
