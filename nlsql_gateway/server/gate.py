"""Gate: what a session needs of ``Admission``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from nlsql_gateway.admission import Admitted, Client, Outcome, Refused
from nlsql_gateway.ask import Dialogue


class Gate(Protocol):
    """What is recorded is kept by ``flush``: until that has returned, nothing that needs a record may go upstream."""

    def admit_now(self, text: str, client: Client) -> Admitted | Refused | None:
        """Synchronous; None: call ``admit``."""

    async def admit(self, text: str, client: Client, dialogue: Dialogue | None = None) -> Admitted | Refused:
        """Cancel the task to cancel the question. ``dialogue`` is the session's."""

    def current(self, admitted: Admitted, client: Client) -> bool:
        """Whether what admitted it is still in force; else its text is admitted again."""

    def asks_later(self, text: str, client: Client) -> bool:
        """Whether ``text`` has a question that is a parameter: then it is admitted at Bind, with the question in it."""

    def passes(self) -> bool:
        """Whether every text is let through as it is, now: then nothing depends on how it was read."""

    def executing(self, admitted: Admitted, client: Client, parameters: Sequence[str | None]) -> str:
        """Called before an Execute goes upstream; the id of its record."""

    def close(self, record_id: str, client: Client, outcome: Outcome) -> None:
        """Called when the last reply has come."""

    def wait_with(self, kept: Callable[[], Awaitable[None]]) -> None:
        """How the gate itself waits until its records are kept: as sessions do, by the one caller of ``flush``."""

    def flush(self) -> None:
        """Keep every record since the last call. Raises AuditError: none of them is kept."""
