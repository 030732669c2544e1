"""Accounts: what the audit log is told of each run, from its first message upstream to its last reply."""

from __future__ import annotations

import time
from collections.abc import Callable

from nlsql_gateway.admission import Client, Outcome
from nlsql_gateway.server.gate import Gate
from nlsql_gateway.wire.replies import Account


class Accounts:
    """Opens and closes the accounts of one connection. An account is closed once; closing it again does nothing."""

    def __init__(self, gate: Gate, client: Client, recorded: Callable[[], None]) -> None:
        """``recorded`` is called when an outcome waits to be kept."""
        self._gate = gate
        self._client = client
        self._recorded = recorded

    def open(self, record_id: str) -> Account:
        return Account(record_id, time.monotonic())

    def close(self, account: Account, sqlstate: str = "00000") -> None:
        """A failure that was noted before wins over ``sqlstate``."""
        if account.is_closed:
            return
        account.is_closed = True
        state = sqlstate if account.sqlstate == "00000" else account.sqlstate
        outcome = Outcome(state, account.rows, account.bytes, time.monotonic() - account.started)
        self._gate.close(account.record_id, self._client, outcome)
        self._recorded()
