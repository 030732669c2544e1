"""Session: one client and its upstream connection, from the end of login to the end of either.

Here is what belongs to both directions: the sockets and their backpressure, the question in progress, cancel, idle
time, shutdown. ``Requests`` takes what the client sends, ``Responses`` what the upstream answers; where the
conversation stands between them is ``Conversation``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, Final

import structlog

from nlsql_gateway.admission import Client, Refused
from nlsql_gateway.errors import AuditError, GatewayError, LimitError, ProtocolError
from nlsql_gateway.server.accounts import Accounts
from nlsql_gateway.server.connect import UpstreamConnection
from nlsql_gateway.server.conversation import Conversation
from nlsql_gateway.server.gate import Gate
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.server.renewals import Verdict
from nlsql_gateway.server.requests import Requests
from nlsql_gateway.server.responses import Responses, unpinned
from nlsql_gateway.server.telling import Telling
from nlsql_gateway.server.turn import Turn
from nlsql_gateway.wire import upstream as to_upstream
from nlsql_gateway.wire.messages import Fault, fault

READ_AHEAD: Final = 1024 * 1024
"""Bytes that a client may send ahead while a question is being answered; then it waits."""

FAREWELL: Final = 5.0
"""Seconds that a peer has to take what was written to it, once the session is over."""

_INTERNAL: Final = fault("FATAL", "XX000", "internal error of the gateway")
_OUT_OF_MEMORY: Final = fault("FATAL", "53200", "the gateway is out of memory", hint="send less at a time")


class Session:
    """Drive it with ``run``; ``cancel``, ``shut_down`` and ``abort`` come from outside."""

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
        turn: Turn,
        progress: bool = False,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """``cancel_upstream`` sends a CancelRequest to the upstream and raises nothing.

        ``progress``: the client wants to hear of each stage of an answer.
        """
        self._downstream = downstream
        self._upstream = upstream.pipe
        self._cancel_upstream = cancel_upstream
        self._log = log
        self._idle_timeout = idle_timeout
        self._conversation = Conversation(unpinned=unpinned(upstream.parameters))
        self._turn = turn
        self._in_turn = False
        "This turn's end will call."
        accounts = Accounts(gate, client, self._closing)
        self._responses = Responses(
            self._conversation, accounts, downstream.write, self._ready, gate.passes, self._stop
        )
        self._telling = Telling(self._responses.inject, stages=progress)
        self._conversation.dialogue.tell = self._telling.stage
        self._requests = Requests(
            self._conversation,
            accounts,
            gate,
            client,
            max_message=max_message,
            waiting=self._join_turn,
            inject=self._responses.inject,
            ask=self._ask,
            leave=self._leave,
        )
        self._tasks: asyncio.TaskGroup | None = None
        self._asking: asyncio.Task[None] | None = None
        self._is_held = False
        "The client has sent much ahead of a question's answer, or of a cancel request, and must wait."
        self._cancelling: asyncio.Event | None = None
        "Set when the cancel request that is on its way to the upstream has arrived there."
        self._kept = bytearray()
        "What the client sent meanwhile: a cancel must not hit a statement that begins after it."
        self._has_left = False
        "The client said Terminate: what it sent before that still runs, as PostgreSQL does."
        self._is_leaving = False
        "We shut down: the client is sent away as soon as it is idle."
        self._over = asyncio.Event()
        self._is_over = False
        "The same; asked whenever something comes."
        self._last_active = monotonic()

    async def run(self) -> None:
        """Serve until either side is gone. Both are closed and all accounts too when this returns."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                # The upstream first: what the client has sent already may need it.
                self._from_upstream(
                    self._upstream.attach(self._from_upstream, self._upstream_lost, self._upstream_full)
                )
                self._from_client(self._downstream.attach(self._from_client, self._client_lost, self._client_full))
                await self._until_over()
                self._cancel_question()
                if len(self._conversation.replies) and not self._has_left and not self._upstream.is_lost:
                    await self._cancel_upstream()  # nobody waits for what still runs
        finally:
            self._responses.end()
            self._join_turn()  # a question that was cancelled has a record, too
            self._turn.end()
            if not self._has_left:
                self._upstream.write(to_upstream.terminate())
            self._upstream.close(FAREWELL)
            self._downstream.close(FAREWELL)

    @property
    def is_busy(self) -> bool:
        """Something runs, or is asked."""
        return self._asking is not None or len(self._conversation.replies) > 0

    async def cancel(self) -> None:
        """The client's CancelRequest: stop a question, or have the upstream stop what it runs.

        Returns when the upstream was told. Until then nothing that the client sends goes on: PostgreSQL cancels what
        the connection runs when the signal comes, and that must not be a later statement. It closes the request's
        connection after it has signalled, and a signal that comes while it waits for a statement has no effect.
        """
        if self._is_over or self._tasks is None:
            return
        self._cancel_question()
        await self._cancel_running()

    def _stop(self) -> None:
        """What runs went over a limit."""
        assert self._tasks is not None
        self._tasks.create_task(self._cancel_running())

    async def _cancel_running(self) -> None:
        while self._cancelling is not None:  # another request: then this one is for what was kept back meanwhile
            await self._cancelling.wait()
        if self._is_over or not len(self._conversation.replies):
            return
        told = self._cancelling = asyncio.Event()
        try:
            await self._cancel_upstream()
        finally:
            self._cancelling = None
            told.set()
            kept, self._kept = bytes(self._kept), bytearray()
            if kept:
                self._guarded(self._requests.feed, kept)
            if self._downstream.is_lost:
                self._end()
            self._go_on()

    def shut_down(self) -> None:
        """Let what runs finish, then tell the client 57P01 and end."""
        self._is_leaving = True
        self._leave_if_idle()

    def abort(self) -> None:
        """Tell the client 57P01 and end now, whatever runs."""
        self._fatal(fault("FATAL", "57P01", "terminating connection: the gateway is shutting down"))

    def _end(self) -> None:
        self._is_over = True
        self._over.set()

    # From either side

    def _from_client(self, data: bytes) -> None:
        self._last_active = monotonic()
        if self._cancelling is not None:
            self._kept += data
        elif not self._is_over:
            try:
                self._requests.feed(data)
            except Exception as error:  # noqa: BLE001
                self._failed(error)
        if (
            (self._asking is not None or self._cancelling is not None or self._requests.is_holding)
            and not self._is_held
            and self._requests.ahead + len(self._kept) > READ_AHEAD
        ):
            self._is_held = True
            self._downstream.pause()

    def _let_go_on(self) -> None:
        """A client that had to wait may send again, once nothing is waited for."""
        if self._is_held and self._asking is None and self._cancelling is None and not self._requests.is_holding:
            self._is_held = False
            if not self._upstream.is_full:
                self._downstream.resume()

    def _from_upstream(self, data: bytes) -> None:
        if not self._is_over:
            try:
                self._responses.feed(data)
            except Exception as error:  # noqa: BLE001
                self._failed(error)
        if self._requests.is_holding:
            self._go_on()

    def _go_on(self) -> None:
        """What waited for an answer of the upstream's may go on; but not while a cancel request is on its way."""
        if self._cancelling is None:
            self._guarded(lambda _: self._requests.go_on(), None)
            self._let_go_on()

    def _guarded(self, feed: Callable[[Any], None], data: object) -> None:
        if self._is_over:
            return
        try:
            feed(data)
        except Exception as error:  # noqa: BLE001
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Whatever goes wrong ends this session, with a word to the client, and nothing else."""
        if isinstance(error, ProtocolError | LimitError):
            self._log.warning("connection ended", sqlstate=error.sqlstate, problem=error.message)
            self._fatal(fault("FATAL", error.sqlstate, error.message, hint=error.hint))
        else:
            self._log.error("session failed", exc_info=error)  # in full to the log, nothing of it to the peer
            self._fatal(_OUT_OF_MEMORY if isinstance(error, MemoryError) else _INTERNAL)

    def _ready(self) -> None:
        """ReadyForQuery: a client is idle from the end of what ran."""
        self._last_active = monotonic()
        self._leave_if_idle()

    # The end of a turn

    def _join_turn(self) -> None:
        if not self._in_turn:
            self._in_turn = True
            self._turn.join(self)

    def _closing(self) -> None:
        self._turn.join_later(self)

    def depart(self) -> None:
        self._in_turn = False
        self._upstream.write(self._requests.taken())

    def unrecorded(self, error: AuditError) -> None:
        """What did not go upstream yet is refused in step."""
        self._requests.unrecorded(error)
        self.depart()

    def unclosed(self, error: AuditError) -> None:
        """An outcome that cannot be kept ends the session."""
        if not self._is_over:
            self._log.error("the outcome of a statement could not be recorded", problem=error.message)
            self._fatal(fault("FATAL", error.sqlstate, error.message, hint=error.hint))

    # Questions

    def _ask(self, question: Coroutine[Any, Any, Verdict]) -> None:
        assert self._tasks is not None
        self._asking = self._tasks.create_task(self._answer(question))

    def _cancel_question(self) -> None:
        asking = self._asking

        def cancel() -> None:
            if asking is not None and self._asking is asking:  # the answer may have come meanwhile
                asking.cancel()

        # Not before its first step: a task that never began could not bring a verdict.
        asyncio.get_running_loop().call_soon(cancel)

    async def _answer(self, question: Coroutine[Any, Any, Verdict]) -> None:
        try:
            verdict = await self._verdict(question)
        finally:
            self._telling.over()
        self._asking = None
        while self._cancelling is not None:
            await self._cancelling.wait()
        if self._is_over:
            self._requests.drop(verdict)
        self._guarded(self._requests.resume, verdict)
        self._let_go_on()

    async def _verdict(self, question: Coroutine[Any, Any, Verdict]) -> Verdict:
        try:
            return await question
        except asyncio.CancelledError:
            if self._is_over:
                raise
            return Refused("", "57014", "canceling statement due to user request")
        except GatewayError as error:
            return Refused("", error.sqlstate, error.message, error.detail, error.hint)
        except Exception:  # noqa: BLE001 - as in _failed
            self._log.exception("the gate failed")
            return Refused("", "XX000", "internal error of the gateway")

    # Backpressure

    def _client_full(self, is_full: bool) -> None:
        """The client reads slower than the upstream writes."""
        (self._upstream.pause if is_full else self._upstream.resume)()

    def _upstream_full(self, is_full: bool) -> None:
        """The upstream reads slower than the client writes."""
        if is_full:
            self._downstream.pause()
        elif not self._is_held:
            self._downstream.resume()

    # Endings

    def _leave(self) -> None:
        self._has_left = True
        self._end()

    def _client_lost(self) -> None:
        if not self._kept:  # else it is over when that has been taken: perhaps it ends with Terminate
            self._end()

    def _upstream_lost(self) -> None:
        if self._responses.said_farewell:
            self._end()
        else:
            self._fatal(fault("FATAL", "08006", "the connection to the database was lost"))

    def _fatal(self, last_word: Fault) -> None:
        if not self._is_over:
            self._responses.inject(last_word.encode())
            self._end()

    def _leave_if_idle(self) -> None:
        if self._is_leaving and self._conversation.is_idle and self._asking is None:
            self.abort()

    async def _until_over(self) -> None:
        """Until the session is over; an idle client is sent away when its time has passed."""
        while not self._is_over:
            left = None
            if self._idle_timeout is not None:
                left = self._last_active + self._idle_timeout - monotonic()
                if left <= 0 and self._conversation.is_idle and self._asking is None:
                    self._fatal(fault("FATAL", "57P05", "terminating connection due to idle timeout"))
                    return
                left = left if left > 0 else self._idle_timeout
            try:
                async with asyncio.timeout(left):
                    await self._over.wait()
            except TimeoutError:
                continue
