"""Responses: the upstream's replies, each matched with what it answers, so that the client stays in step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

from nlsql_gateway.errors import LimitError, ProtocolError
from nlsql_gateway.server.accounts import Accounts
from nlsql_gateway.server.conversation import Conversation
from nlsql_gateway.server.meter import UNLIMITED, Meter
from nlsql_gateway.server.positions import in_the_clients
from nlsql_gateway.server.refusals import LIMITED
from nlsql_gateway.server.relay import Relay
from nlsql_gateway.wire.framing import HEADER
from nlsql_gateway.wire.messages import Fault, fault, parse_fault
from nlsql_gateway.wire.replies import Account, Expected, Fetched, Step
from nlsql_gateway.wire.states import Event, Phase, after
from nlsql_gateway.wire.upstream import parse_parameter_status

PINNED: Final = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
"""What the parsers rely on. Should the upstream report another value, the connection ends, unless every text passes."""

_SAME: Final = "UNICODE"
"""UTF8's older name: PostgreSQL reports it back to who set it so (LibreOffice), and no other one."""


def check_parameter(name: str, value: str) -> None:
    """Raises ProtocolError when a pinned setting has another value."""
    if _differs(name, value):
        raise ProtocolError(f"the database reports {name} = {value}, and the gateway needs {PINNED[name]}")


def unpinned(parameters: Mapping[str, str]) -> set[str]:
    """The names of pinned settings that have another value."""
    return {name for name, value in parameters.items() if _differs(name, value)}


def _differs(name: str, value: str) -> bool:
    return PINNED.get(name, value) != value and not (name == "client_encoding" and value == _SAME)


_NOTHING: Final = Fetched()


class Responses:
    """``feed`` what the upstream sent. Raises ProtocolError, LimitError, AuditError: then the connection must end."""

    def __init__(
        self,
        conversation: Conversation,
        accounts: Accounts,
        write: Callable[[bytes], None],
        ready: Callable[[], None],
        passes: Callable[[], bool],
        stop: Callable[[], None],
    ) -> None:
        """``write`` sends to the client; ``ready`` is called after each ReadyForQuery; ``passes``: see ``Gate``.

        ``stop`` has the upstream cancel what it runs.
        """
        self._conversation = conversation
        self._accounts = accounts
        self._ready = ready
        self._passes = passes
        self._relay = Relay(write, self._inspect)
        self.feed = self._relay.feed
        self.inject = self._relay.inject
        self._write = write
        self._stop = stop
        self._excess: bytes | None = None
        "The error for a client that reached a limit, until it was sent; then empty up to ReadyForQuery."
        accounts.limited = self._count_rows
        self.said_farewell = False
        "The upstream has told the client itself why it ends the connection."

    def _inspect(self, kind: int, message: bytes) -> bytes | None:
        """Keep step with one reply; what to send in its place, None to let it pass."""
        if kind == ord("E"):
            instead = self._failed(parse_fault(message[HEADER:]))
            self._notify()
            return instead
        if kind == ord("S"):
            self._reported(*parse_parameter_status(message[HEADER:]))
        elif kind == ord("G"):
            if self._conversation.replies.copy_in():
                self._conversation.phase = after(self._conversation.phase, Event.COPY_BEGINS)
        elif kind == ord("W"):
            raise ProtocolError("the upstream began a replication stream, which is not supported")
        else:
            if self._answered(kind, message):
                return b""
            if self._excess is not None:
                return self._over(kind)
        return None

    def _reported(self, name: str, value: str) -> None:
        if not self._passes():
            check_parameter(name, value)
        elif name in PINNED:
            self._conversation.unpinned.discard(name)
            self._conversation.unpinned |= unpinned({name: value})

    def _answered(self, kind: int, message: bytes) -> bool:
        """Whether the reply is kept from the client."""
        replies = self._conversation.replies
        if kind == ord("C"):
            head = replies.head
            if head is not None and head.effects is not None:
                head.effects.completed(message[HEADER:-1])
        entry = replies.answered(kind)
        if entry is not None:
            self._notify()
            if entry.change is not None:
                entry.change.answered(True)
            if entry.effects is not None:
                entry.effects.over()
            if entry.account is not None:
                self._count(entry.account)
                if kind != ord("s"):  # PortalSuspended: the next Execute goes on with it
                    self._accounts.close(entry.account)
        if kind == ord("Z"):
            status = self._conversation.status = message[HEADER:]
            if (
                status == b"I" and self._conversation.names.portals.confirmed
            ):  # all that the upstream has confirmed was of the transaction that is over
                for account in self._conversation.names.suspended():
                    self._accounts.close(account)
            self._ready()
        return entry is not None and entry.silent

    def _failed(self, error: Fault) -> bytes | None:
        conversation = self._conversation
        self.said_farewell = self.said_farewell or error.is_fatal
        head = conversation.replies.head
        if head is None:
            return None  # FATAL, such as 57P01: the connection ends
        dropped = conversation.replies.fail()
        if dropped and not len(conversation.replies):
            conversation.phase = after(conversation.phase, Event.SKIP_BEGINS)  # its Sync is still to come
        elif conversation.phase is Phase.COPY_IN:
            conversation.phase = after(conversation.phase, Event.COPY_FAILS)
        if head.account is not None:
            self._count(head.account)
            if not head.account.limit or head.account.is_noted:
                head.account.sqlstate = error.sqlstate
        for entry in dropped:
            if entry.change is not None:
                entry.change.answered(False)
            if entry.effects is not None:
                entry.effects.over()
            if entry.account is not None:
                self._accounts.close(entry.account, error.sqlstate)
        if self._excess is not None and not error.is_fatal:
            excess, self._excess = self._excess, b"" if head.step is Step.QUERY else None
            return excess
        return _instead(head, error)

    def end(self) -> None:
        """The connection is over: close what was running; nobody knows how it ended. Raises AuditError."""
        for entry in self._conversation.replies.drain():
            if entry.account is not None:
                self._count(entry.account)
                self._accounts.close(entry.account, "08006")
        for account in self._conversation.names.suspended(held=True):
            self._accounts.close(account)

    def _count(self, account: Account) -> None:
        rows, octets = self._relay.take()
        account.rows += rows
        account.bytes += octets
        if account.cursor is not None:
            account.cursor.rows += rows
            account.cursor.bytes += octets

    # Limits

    def _count_rows(self) -> None:
        """From now on; a connection without limits has no Meter."""
        if self.feed == self._relay.feed:
            standing = self._relay.hand_over(lambda data: meter.write(data))
            meter = Meter(self._relay.feed, self._write, self._allowance, self._exceeded, standing)
            self.feed = meter.feed

    def _allowance(self) -> tuple[int, int]:
        head = self._conversation.replies.head
        account = head.account if head is not None else None
        if head is None or account is None:
            return UNLIMITED, UNLIMITED
        # A portal goes on with its account, a cursor with its count; a Query's next statement begins anew.
        before = account.cursor or (account if head.step is Step.EXECUTE else _NOTHING)
        return (
            UNLIMITED if account.most_rows is None else account.most_rows - before.rows,
            UNLIMITED if account.most_bytes is None else account.most_bytes - before.bytes,
        )

    def _exceeded(self, limit: Literal["rows", "bytes"]) -> bool:
        """Raises LimitError, which ends the session, where a cancel could hit something else."""
        replies = self._conversation.replies
        assert replies.head is not None
        account = replies.head.account
        assert account is not None
        account.limit = limit
        if account.is_noted:
            return False
        account.sqlstate = LimitError.default_sqlstate
        most = account.most_rows if limit == "rows" else account.most_bytes
        what = f"the statement returns more than {most} {'rows' if limit == 'rows' else 'bytes of rows'}"
        if not replies.is_alone:
            raise LimitError(what, hint=account.over)
        self._excess = fault("ERROR", LimitError.default_sqlstate, what, hint=account.over).encode()
        self._stop()
        return True

    def _over(self, kind: int) -> bytes | None:
        """In the place of a reply behind the rows that were left out; CommandComplete: the upstream was faster."""
        if kind == ord("Z"):
            self._excess = None
        if kind != ord("C"):
            return None
        replies = self._conversation.replies
        if not len(replies):
            self._conversation.phase = after(self._conversation.phase, Event.SKIP_BEGINS)
        elif replies.head is not None and replies.head.step not in (Step.SYNC, Step.QUERY):
            raise LimitError("a statement returned too many rows", hint=LIMITED)
        excess, self._excess = self._excess, b""
        return excess

    def _notify(self) -> None:
        notice = self._conversation.due_notice()
        if notice:
            self._relay.inject(notice)


def _instead(entry: Expected, fault: Fault) -> bytes | None:
    """What the client gets in the place of the upstream's error; None: the very same."""
    if fault.is_fatal:
        return None
    if entry.refusal is not None:
        return entry.refusal
    if entry.rewritten is None or "P" not in fault.fields or entry.step is Step.SYNC:
        return None
    position = in_the_clients(entry.rewritten, fault.fields["P"])
    if position is None:
        return fault.encode(leave_out="P")
    return Fault({**fault.fields, "P": position}).encode()
