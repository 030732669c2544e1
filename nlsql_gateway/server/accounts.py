"""Accounts: what the audit log is told of each run, from its first message upstream to its last reply."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from nlsql_gateway.admission import Admitted, Client, Outcome
from nlsql_gateway.policy import hinted
from nlsql_gateway.policy.limits import NONE
from nlsql_gateway.server.effects import cursor
from nlsql_gateway.server.gate import Gate
from nlsql_gateway.server.names import Names
from nlsql_gateway.server.refusals import LIMITED
from nlsql_gateway.wire.replies import Account


class Accounts:
    """Opens and closes the accounts of one connection. An account is closed once; closing it again does nothing."""

    def __init__(self, gate: Gate, client: Client, recorded: Callable[[], None]) -> None:
        """``recorded`` is called when an outcome waits to be kept."""
        self._gate = gate
        self._client = client
        self._recorded = recorded
        self.limited: Callable[[], None] = _nothing
        "Called before something is sent whose rows must be counted."

    def open(self, record_id: str) -> Account:
        return Account(record_id, monotonic())

    def run(self, record_id: str, admitted: Admitted, names: Names) -> Account:
        """Opens one for what returns rows, with the limits on them."""
        account = Account(record_id, monotonic())
        limits = admitted.limits
        if limits is not NONE and limits.counts:
            account.most_rows, account.most_bytes = limits.rows, limits.bytes
            account.is_noted = limits.noted
            account.over = hinted(limits.because, LIMITED)
            account.cursor = cursor(names, admitted)
            self.limited()
        return account

    def close(self, account: Account, sqlstate: str = "00000") -> None:
        """A failure that was noted before wins over ``sqlstate``."""
        if account.is_closed:
            return
        account.is_closed = True
        state = sqlstate if account.sqlstate == "00000" else account.sqlstate
        outcome = Outcome(state, account.rows, account.bytes, monotonic() - account.started, account.limit)
        self._gate.close(account.record_id, self._client, outcome)
        self._recorded()


def _nothing() -> None:
    pass
