"""Conversation: where a connection stands. ``Requests`` and ``Responses`` run by turns and both need to know."""

from __future__ import annotations

from dataclasses import dataclass, field

from nlsql_gateway.admission import Admitted, Refused
from nlsql_gateway.ask import Dialogue
from nlsql_gateway.server.names import Names
from nlsql_gateway.wire.replies import Expected, Replies
from nlsql_gateway.wire.states import Phase


@dataclass(slots=True)
class Conversation:
    phase: Phase = Phase.READY
    status: bytes = b"I"
    "The transaction status of the last ReadyForQuery."
    replies: Replies = field(default_factory=Replies)
    names: Names = field(default_factory=Names)

    dialogue: Dialogue = field(default_factory=Dialogue)
    unpinned: set[str] = field(default_factory=set)
    "Settings that the reading of text depends on and that have another value; only where every text passes."

    def asked(self, verdict: Admitted | Refused) -> None:
        """A question was answered, or something else that was waited for."""
        if isinstance(verdict, Admitted) and verdict.topic is not None:
            self.dialogue.go_on_from(verdict.topic)

    @property
    def is_idle(self) -> bool:
        """Nothing runs and no transaction is open."""
        return self.status == b"I" and not len(self.replies)

    def due_notice(self) -> bytes:
        """The notices of the step whose reply comes next; once."""
        head: Expected | None = self.replies.head
        if head is None or not head.notice:
            return b""
        notice, head.notice = head.notice, b""
        return notice
