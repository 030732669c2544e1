"""Session: one client and its upstream connection, from the end of login to the end.

All state of a connection is here: the client's phase (``wire/states.py``), the queue of expected replies
(``wire/replies.py``), the names of statements and portals (``names.py``), the open accounts.

A refused text keeps step in one uniform way: upstream is sent, in its place, a text that is certain to be a syntax
error, and the error that comes back is exchanged for ours. PostgreSQL itself then aborts the transaction, skips to
Sync and reports the true state; nothing of that is imitated here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Protocol, assert_never

import structlog

from nlsql_gateway.admission import Admitted, Client, Outcome, Refused
from nlsql_gateway.errors import AuditError, GatewayError, LimitError, ProtocolError
from nlsql_gateway.server.connect import UpstreamConnection
from nlsql_gateway.server.names import Names, Portal
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.server.relay import Relay
from nlsql_gateway.sql import Kind
from nlsql_gateway.wire import messages
from nlsql_gateway.wire.framing import HEADER, Frames
from nlsql_gateway.wire.replies import Account, Expected, Replies, Step
from nlsql_gateway.wire.states import Action, Phase, action

READ_AHEAD = 1024 * 1024
"""Bytes that a client may send ahead while a question is being answered; then it waits."""

PINNED_REPORTS = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
"""What the lexers rely on. Should the upstream ever report another value, the session ends at once."""

FAREWELL = 5.0
"""Seconds that the last bytes may take before the connection is cut."""

_REFUSED_TEXT = "refused by nlsql-gateway"
"""Certain to be a syntax error in every PostgreSQL."""


class Gate(Protocol):
    """What a session needs of ``Admission``."""

    def admit_now(self, text: str, client: Client) -> Admitted | Refused | None: ...
    async def admit(self, text: str, client: Client) -> Admitted | Refused: ...
    def current(self, admitted: Admitted, client: Client) -> bool: ...
    def executing(self, admitted: Admitted, client: Client, parameters: Sequence[str | None]) -> str: ...
    def close(self, record_id: str, client: Client, outcome: Outcome) -> None: ...


class Session:
    """Drive it with ``run``; ``cancel`` and ``shut_down`` come from outside."""

    def __init__(
        self,
        downstream: Pipe,
        upstream: UpstreamConnection,
        gate: Gate,
        client: Client,
        *,
        max_message: int,
        idle_timeout: float | None,
        cancel_upstream: Callable[[], Coroutine[Any, Any, None]],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._downstream = downstream
        self._upstream = upstream.pipe
        self._gate = gate
        self._simple = replace(client, protocol="simple")
        self._extended = replace(client, protocol="extended")
        self._cancel_upstream = cancel_upstream
        self._log = log
        self._idle_timeout = idle_timeout
        self._frames = Frames(max_message)
        self._relay = Relay(downstream.write, self._inspect)
        self._replies = Replies()
        self._names = Names()
        self._phase = Phase.READY
        self._status = b"I"
        "The transaction status of the last ReadyForQuery."
        self._out: list[bytes] = []
        self._asking: asyncio.Task[None] | None = None
        self._held = False
        self._leaving = False
        self._bereaved = False
        "The upstream has said itself why it ends the connection."
        self._over = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._last_heard = time.monotonic()
        self.on_end: Callable[[], None] = lambda: None
        "Called once, when nothing can be cancelled any more."

    async def run(self) -> None:
        """Serve until either side is gone; both are closed and all accounts too when this returns."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                # The upstream first: what the client has sent already may need it.
                early = self._upstream.attach(self._upstream_data, self._upstream_lost, self._upstream_full)
                if early:
                    self._upstream_data(early)
                self._client_data(self._downstream.attach(self._client_data, self._client_lost, self._client_full))
                if self._upstream.is_lost:
                    self._upstream_lost()
                elif self._downstream.is_lost:
                    self._client_lost()
                await self._wait()
                if self._asking is not None:
                    self._asking.cancel()
                if len(self._replies) and not self._upstream.is_lost:
                    await self._cancel_upstream()  # nobody waits for what still runs
        finally:
            self.on_end()
            self._close_accounts()
            self._upstream.write(messages.message(b"X"))
            self._upstream.close()
            self._downstream.close()
            # A peer that reads no more must not keep the connection for ever.
            asyncio.get_running_loop().call_later(FAREWELL, self._upstream.abort)
            asyncio.get_running_loop().call_later(FAREWELL, self._downstream.abort)

    def cancel(self) -> None:
        """The client's CancelRequest: stop a question, or have the upstream stop what it runs."""
        if self._asking is not None:
            self._asking.cancel()
        elif len(self._replies) and self._tasks is not None and not self._over.is_set():
            self._tasks.create_task(self._cancel_upstream())

    def shut_down(self) -> None:
        """Let what runs finish, then tell the client 57P01 and end."""
        self._leaving = True
        self._leave_if_idle()

    def abort(self) -> None:
        """End now, whatever runs."""
        self._fatal(messages.fault("FATAL", "57P01", "terminating connection: the gateway is shutting down"))

    # From the client

    def _client_data(self, data: bytes) -> None:
        if self._over.is_set():
            return
        self._last_heard = time.monotonic()
        try:
            self._frames.feed(data)
            self._pump()
            self._pause_if_ahead()
        except (ProtocolError, LimitError, AuditError) as error:
            self._fatal(messages.fault("FATAL", error.sqlstate, error.message, hint=error.hint))
        except Exception:  # noqa: BLE001 - whatever it is: in full to the log, nothing of it to the peer
            self._log.exception("session failed on what the client sent")
            self._fatal(messages.fault("FATAL", "XX000", "internal error of the gateway"))

    def _pump(self) -> None:
        """Dispatch all whole messages; one write upstream for all of them."""
        while self._asking is None and not self._over.is_set():
            found = self._frames.next()
            if found is None:
                break
            self._dispatch(*found)
        if self._out:
            self._upstream.write(b"".join(self._out))
            self._out.clear()

    def _dispatch(self, kind: int, whole: bytes) -> None:
        match action(self._phase, kind):
            case Action.ADMIT if kind == ord("Q"):
                text = messages.parse_query(whole[HEADER:])
                self._admit(text, self._simple, lambda verdict: self._query(whole, text, verdict))
            case Action.ADMIT:
                parse = messages.parse_parse(whole[HEADER:])
                self._admit(parse.text, self._extended, lambda verdict: self._parse(whole, parse, verdict))
            case Action.RELAY:
                self._forward(kind, whole)
            case Action.REFUSE:
                refusal = Refused("", "0A000", "FunctionCall is not supported", "", "call the function in a SELECT")
                self._refuse_query(refusal)
            case Action.IGNORE:
                pass
            case Action.END:
                self._over.set()
            case never:
                assert_never(never)

    def _admit(self, text: str, client: Client, then: Callable[[Admitted | Refused], None]) -> None:
        """Through the gate, at once if that can be; otherwise nothing more is read of the client until it is done."""
        try:
            verdict = self._gate.admit_now(text, client)
        except AuditError as error:
            verdict = _unrecorded(error)
        if verdict is not None:
            then(verdict)
            return
        assert self._tasks is not None
        self._asking = self._tasks.create_task(self._admit_later(text, client, then))

    async def _admit_later(self, text: str, client: Client, then: Callable[[Admitted | Refused], None]) -> None:
        verdict: Admitted | Refused
        try:
            verdict = await self._gate.admit(text, client)
        except asyncio.CancelledError:
            if self._over.is_set():
                raise
            verdict = Refused("", "57014", "canceling statement due to user request")
        except AuditError as error:
            verdict = _unrecorded(error)
        except Exception:  # noqa: BLE001 - as in _client_data
            self._log.exception("the gate failed")
            verdict = Refused("", "XX000", "internal error of the gateway")
        self._asking = None
        if self._over.is_set():
            return
        then(verdict)
        self._client_data(b"")
        if self._held and not self._upstream.is_full:
            self._held = False
            self._downstream.transport.resume_reading()

    def _query(self, whole: bytes, text: str, verdict: Admitted | Refused) -> None:
        if isinstance(verdict, Refused):
            self._refuse_query(verdict)
            return
        self._notify(verdict)
        self._note_names(verdict)
        self._out.append(whole if verdict.sql == text else messages.query(verdict.sql))
        account = Account(verdict.record_id, time.monotonic())
        self._replies.expect(Expected(Step.QUERY, account, rewritten=verdict.rewritten))

    def _refuse_query(self, refused: Refused) -> None:
        self._out.append(messages.query(_REFUSED_TEXT))
        self._replies.expect(Expected(Step.QUERY, refusal=_error(refused)))

    def _parse(self, whole: bytes, parse: messages.Parse, verdict: Admitted | Refused) -> None:
        if isinstance(verdict, Refused):
            self._refuse_extended(verdict)
            return
        self._notify(verdict)
        self._out.append(whole if verdict.sql == parse.text else parse.encode(verdict.sql))
        undo = self._names.prepare(parse.name, verdict)
        self._replies.expect(Expected(Step.PARSE, rewritten=verdict.rewritten, undo=undo))

    def _refuse_extended(self, refused: Refused) -> None:
        """In the place of any message of the extended protocol: a Parse that fails. The rest up to Sync is skipped."""
        self._out.append(messages.Parse("", "", b"\0\0").encode(_REFUSED_TEXT))
        self._replies.expect(Expected(Step.PARSE, refusal=_error(refused)))
        self._phase = Phase.SKIPPING

    def _forward(self, kind: int, whole: bytes) -> None:
        """Relay a message that carries no statement text, and expect its reply."""
        match chr(kind):
            case "B":
                self._bind(whole)
                return
            case "E":
                self._execute(whole)
                return
            case "D":
                messages.parse_target(whole[HEADER:])
                self._replies.expect(Expected(Step.DESCRIBE))
            case "C":
                self._close(*messages.parse_target(whole[HEADER:]))
            case "S":
                if self._phase is Phase.SKIPPING:
                    self._phase = Phase.READY
                self._replies.expect(Expected(Step.SYNC))
            case "c" | "f":
                self._phase = Phase.READY
            case _:
                pass  # Flush and CopyData: no reply of their own
        self._out.append(whole)

    def _bind(self, whole: bytes) -> None:
        bind = messages.parse_bind(whole[HEADER:])
        prepared = self._names.statements.get(bind.statement)
        if prepared is None:
            name = f'prepared statement "{bind.statement}"' if bind.statement else "unnamed prepared statement"
            self._refuse_extended(Refused("", "26000", f"{name} does not exist"))
            return
        if self._gate.current(prepared, self._extended):
            self._bound(whole, bind, prepared)
            return

        def again(verdict: Admitted | Refused) -> None:
            """Policy or catalog changed since Parse: the statement must still come out the same."""
            if isinstance(verdict, Refused):
                self._refuse_extended(verdict)
            elif verdict.sql != prepared.sql:
                self._refuse_extended(
                    Refused(
                        verdict.record_id, "0A000", "cached plan must not change result type", hint="prepare it again"
                    )
                )
            else:
                self._names.statements[bind.statement] = verdict
                self._bound(whole, bind, verdict)

        self._admit(prepared.source, self._extended, again)

    def _bound(self, whole: bytes, bind: messages.Bind, prepared: Admitted) -> None:
        self._out.append(whole)
        undo = self._names.open(bind.portal, Portal(prepared, bind.parameters))
        self._replies.expect(Expected(Step.BIND, undo=undo, rewritten=prepared.rewritten))

    def _execute(self, whole: bytes) -> None:
        portal = self._names.portals.get(messages.parse_execute(whole[HEADER:]))
        if portal is None:
            self._refuse_extended(Refused("", "34000", "portal does not exist"))
            return
        account = portal.account
        if account is None or account.is_closed:
            try:
                record_id = self._gate.executing(portal.prepared, self._extended, portal.parameters)
            except AuditError as error:
                self._refuse_extended(_unrecorded(error))
                return
            account = portal.account = Account(record_id, time.monotonic())
            self._note_names(portal.prepared)
        self._out.append(whole)
        self._replies.expect(Expected(Step.EXECUTE, account, rewritten=portal.prepared.rewritten))

    def _close(self, kind: str, name: str) -> None:
        if kind == "S":
            self._names.statements.pop(name, None)
        else:
            portal = self._names.portals.pop(name, None)
            if portal is not None and portal.account is not None and not self._is_running(portal.account):
                self._settle(portal.account)
        self._replies.expect(Expected(Step.CLOSE))

    def _note_names(self, admitted: Admitted) -> None:
        """PREPARE and DEALLOCATE share the namespace of Parse: Bind may come for what SQL prepared."""
        for statement in admitted.statements:
            if statement.kind is Kind.PREPARE:
                self._names.statements.setdefault(statement.name, admitted)
            elif statement.kind is Kind.DEALLOCATE and statement.name:
                self._names.statements.pop(statement.name, None)
            elif statement.kind in (Kind.DEALLOCATE, Kind.DISCARD):
                self._names.statements.clear()

    def _notify(self, admitted: Admitted) -> None:
        for notice in admitted.notices:
            said = messages.fault("NOTICE", "00000", notice.message, detail=notice.detail)
            self._relay.inject(said.encode(b"N"))

    # From the upstream

    def _upstream_data(self, data: bytes) -> None:
        if self._over.is_set():
            return
        try:
            self._relay.feed(data)
        except (ProtocolError, LimitError) as error:
            self._log.error("upstream broke the protocol", problem=error.message)
            self._fatal(messages.fault("FATAL", "08P01", error.message))
        except AuditError as error:
            self._log.error("the outcome of a statement could not be recorded", problem=error.message)
            self._fatal(messages.fault("FATAL", error.sqlstate, error.message, hint=error.hint))
        except Exception:  # noqa: BLE001 - as in _client_data
            self._log.exception("session failed on what the upstream sent")
            self._fatal(messages.fault("FATAL", "XX000", "internal error of the gateway"))

    def _inspect(self, kind: int, message: bytes) -> bytes | None:
        """Keep step with a reply; what to send in its place, None to let it pass."""
        match chr(kind):
            case "E":
                return self._failed(message)
            case "S":
                name, value = messages.parse_parameter_status(message[HEADER:])
                if PINNED_REPORTS.get(name, value) != value:
                    raise ProtocolError(f"the upstream changed {name}, which is pinned")
            case "Z":
                self._ready(message[HEADER:])
            case "G":
                self._phase = Phase.COPY_IN
                self._replies.copy_in()
            case "W":
                raise ProtocolError("the upstream went into replication, which is not supported")
            case _:
                entry = self._replies.answered(kind)
                if entry is not None and entry.account is not None:
                    self._count(entry.account)
                    if kind != ord("s"):
                        self._settle(entry.account)
        return None

    def _failed(self, message: bytes) -> bytes | None:
        fault = messages.parse_fault(message[HEADER:])
        self._bereaved = fault.fields.get("V") in ("FATAL", "PANIC")
        if self._phase is Phase.COPY_IN:
            self._phase = Phase.READY  # the copy is over; what the client still sends of it is ignored
        head = self._replies.head
        if head is None:
            return None  # FATAL, such as 57P01: the connection ends
        dropped = self._replies.fail()
        if dropped and not self._replies.head:
            self._phase = Phase.SKIPPING  # its Sync has not been sent yet
        if head.account is not None:
            self._count(head.account)
            head.account.sqlstate = fault.sqlstate
        for entry in reversed(dropped):
            if entry.undo is not None:
                entry.undo()
        for entry in dropped:
            if entry.account is not None:
                entry.account.sqlstate = fault.sqlstate
                self._settle(entry.account)
        if head.refusal is not None and fault.fields.get("V", "ERROR") == "ERROR":
            return head.refusal
        return fault.encode(leave_out="P") if head.rewritten and "P" in fault.fields else None

    def _ready(self, status: bytes) -> None:
        self._status = status
        self._last_heard = time.monotonic()  # idle from the end of what ran
        entry = self._replies.answered(ord("Z"))
        if entry is not None and entry.account is not None:
            self._count(entry.account)
            self._settle(entry.account)
        if status == b"I" and not len(self._replies):
            for account in self._names.suspended():
                self._settle(account)
        self._leave_if_idle()

    def _count(self, account: Account) -> None:
        account.rows += self._relay.rows
        account.bytes += self._relay.bytes
        self._relay.rows = self._relay.bytes = 0

    def _settle(self, account: Account) -> None:
        """Close an account, once; an Execute of the same portal after it opens another."""
        if account.is_closed:
            return
        account.is_closed = True
        outcome = Outcome(account.sqlstate, account.rows, account.bytes, time.monotonic() - account.started)
        self._gate.close(account.record_id, self._simple, outcome)

    def _is_running(self, account: Account) -> bool:
        return any(entry.account is account for entry in self._replies.entries())

    # Either side

    def _client_full(self, full: bool) -> None:
        """The client reads slower than the upstream writes."""
        if not self._upstream.is_lost:
            (self._upstream.transport.pause_reading if full else self._upstream.transport.resume_reading)()

    def _upstream_full(self, full: bool) -> None:
        """The upstream reads slower than the client writes."""
        if self._downstream.is_lost:
            return
        if full:
            self._downstream.transport.pause_reading()
        elif not self._held:
            self._downstream.transport.resume_reading()

    def _pause_if_ahead(self) -> None:
        if self._asking is not None and not self._held and len(self._frames) > READ_AHEAD:
            self._held = True
            self._downstream.transport.pause_reading()

    def _client_lost(self) -> None:
        self._over.set()

    def _upstream_lost(self) -> None:
        if self._bereaved:
            self._over.set()
        self._fatal(messages.fault("FATAL", "08006", "the connection to the database was lost"))

    def _fatal(self, fault: messages.Fault) -> None:
        if not self._over.is_set():
            self._relay.inject(fault.encode())
            self._over.set()

    def _leave_if_idle(self) -> None:
        if self._leaving and not len(self._replies) and self._asking is None and self._status == b"I":
            self.abort()

    async def _wait(self) -> None:
        """Until the session is over; an idle client is told so when its time has passed."""
        while not self._over.is_set():
            left = None
            if self._idle_timeout is not None:
                left = self._last_heard + self._idle_timeout - time.monotonic()
                if left <= 0:
                    if self._status == b"I" and not len(self._replies) and self._asking is None:
                        self._fatal(messages.fault("FATAL", "57P05", "terminating connection due to idle timeout"))
                        return
                    left = self._idle_timeout
            try:
                async with asyncio.timeout(left):
                    await self._over.wait()
            except TimeoutError:
                continue

    def _close_accounts(self) -> None:
        """What was running when the connection ended: nobody knows how it ended."""
        accounts = [entry.account for entry in self._replies.drain() if entry.account is not None]
        for account in {id(account): account for account in accounts}.values():
            self._count(account)
            account.sqlstate = "08006"
        try:
            for account in {id(a): a for a in [*accounts, *self._names.suspended()]}.values():
                self._settle(account)
        except GatewayError as error:
            self._log.error("the outcome of a statement could not be recorded", problem=error.message)


def _error(refused: Refused) -> bytes:
    return messages.fault(
        "ERROR",
        refused.sqlstate,
        refused.message,
        detail=refused.detail,
        hint=refused.hint,
        position=refused.position,
    ).encode()


def _unrecorded(error: AuditError) -> Refused:
    return Refused("", error.sqlstate, error.message, error.detail, error.hint)
