"""Requests: a client's messages, in order: statement text through the gate, the rest by the table of ``wire/states``.

A refused text keeps step in one uniform way: upstream is sent, in its place, a text that is certain to be a syntax
error, and the error that comes back is exchanged for ours (``Expected.refusal``). PostgreSQL itself then aborts the
transaction, skips to Sync and reports the true state; nothing of that is imitated here.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from nlsql_gateway.admission import Admitted, Client, Refused
from nlsql_gateway.errors import AuditError, ProtocolError
from nlsql_gateway.server.accounts import Accounts
from nlsql_gateway.server.conversation import Conversation
from nlsql_gateway.server.effects import effects, forget, uses
from nlsql_gateway.server.gate import Gate
from nlsql_gateway.server.late import Late
from nlsql_gateway.server.names import Portal, no_statement
from nlsql_gateway.server.positions import nowhere, texts
from nlsql_gateway.server.refusals import FUNCTION_CALL, REFUSED_NAME, REFUSED_TEXT, SKIPPED, notices, refuse_unrecorded
from nlsql_gateway.server.refusals import error as error_message
from nlsql_gateway.server.renewals import Renewals, Verdict
from nlsql_gateway.server.repeats import Prepared, Repeats
from nlsql_gateway.wire import upstream
from nlsql_gateway.wire.downstream import Bind, Parse, parse_bind, parse_execute, parse_parse, parse_query, parse_target
from nlsql_gateway.wire.framing import HEADER, Frames
from nlsql_gateway.wire.messages import message
from nlsql_gateway.wire.replies import Expected, Step
from nlsql_gateway.wire.states import Action, Event, Phase, after, move

# Looking a member up in its class costs as much as the rest of the dispatch.
_RELAY: Final = Action.RELAY
_ADMIT: Final = Action.ADMIT

_FLUSH: Final = message(b"H")


class Requests:
    """``feed`` what the client sent. Raises ProtocolError, LimitError: then the connection must end.

    What is to go upstream waits for the end of the turn: then it is ``taken``, after ``unrecorded`` if that must be.
    """

    def __init__(
        self,
        conversation: Conversation,
        accounts: Accounts,
        gate: Gate,
        client: Client,
        *,
        max_message: int,
        waiting: Callable[[], None],
        inject: Callable[[bytes], None],
        ask: Callable[[Coroutine[Any, Any, Verdict]], None],
        leave: Callable[[], None],
    ) -> None:
        """``waiting`` is called when something waits, ``inject`` sends to the client, ``leave`` is called at Terminate.

        ``ask`` is called with what must be awaited; its verdict is to be handed to ``resume``.
        """
        self._conversation = conversation
        self._accounts = accounts
        self._gate = gate
        self._simple = replace(client, protocol="simple")
        self._extended = replace(client, protocol="extended")
        self._frames = Frames(max_message)
        self._waiting = waiting
        self._inject = inject
        self._ask = ask
        self._leave = leave
        self._out: list[tuple[bytes, Expected | None]] = []
        "Messages that wait for the end of the turn, with the entry of their reply."
        self._then: Callable[[Verdict], None] | None = None
        "What waits for the verdict of ``ask``; meanwhile no message is taken."
        self._is_query = False
        "It is a Query: its admission alone says that it runs. A Parse runs nothing."
        self._held: tuple[int, bytes] | None = None
        "A message that depends on names which a text on its way may change; meanwhile no other is taken."
        self._left = False
        self._current: Admitted | None = None
        "What was found to be in force while these messages are taken: nothing else runs meanwhile."
        self._repeats = Repeats()
        sending = (self._admit, self._send, self._refuse_extended, self._bound)
        self._late = Late(gate, self._extended, conversation.names, *sending)
        self._renewals = Renewals(gate, self._extended, conversation.names, self._admit)

    @property
    def ahead(self) -> int:
        """Bytes that came and wait."""
        return len(self._frames) + (len(self._held[1]) if self._held is not None else 0)

    @property
    def is_holding(self) -> bool:
        """A message waits for the upstream's answer to an earlier one: call ``go_on`` when something has come."""
        return self._held is not None

    def go_on(self) -> None:
        """Take what was held, if it need not wait any more."""
        conversation = self._conversation
        if self._held is None or (conversation.names.unsettled and conversation.phase is Phase.READY):
            return
        (kind, whole), self._held = self._held, None
        try:
            self._take(kind, whole)
        finally:
            self._pump()

    def feed(self, data: bytes) -> None:
        self._frames.feed(data)
        self._pump()

    def resume(self, verdict: Verdict) -> None:
        """The verdict that ``ask`` was to bring."""
        then = self._then
        assert then is not None
        self._conversation.asked(verdict)
        # Meanwhile an earlier message of the same batch may have failed: the upstream would skip this one.
        if self._conversation.phase is Phase.SKIPPING:
            self.drop(verdict)
        else:
            self._then = None
            then(verdict)
        self._pump()

    def drop(self, verdict: Verdict) -> None:
        """Instead of ``resume``: what was asked does not run any more, though its record says that it may."""
        self._then = None
        if self._is_query and isinstance(verdict, Admitted):
            self._accounts.close(self._accounts.open(verdict.record_id), SKIPPED)

    def taken(self) -> bytes:
        """What is to go upstream."""
        out = self._out[0][0] if len(self._out) == 1 else b"".join([message for message, _ in self._out])
        self._out.clear()
        return out

    def unrecorded(self, error: AuditError) -> None:
        """The records of what waits could not be kept: each message that has one is refused in its place."""
        self._repeats.clear()
        failed = refuse_unrecorded(self._out, error, self._errors())
        if failed and self._conversation.phase is Phase.READY:
            self._conversation.phase = after(self._conversation.phase, Event.SKIP_BEGINS)

    def _pump(self) -> None:
        """Take all whole messages."""
        try:
            while self._then is None and self._held is None and not self._left:
                found = self._frames.next()
                if found is None:
                    break
                self._take(found[0], found)
        finally:
            self._current = None
            if self._out:
                self._waiting()

    def _take(self, kind: int, whole: bytes) -> None:
        action, phase = move(self._conversation.phase, kind)
        if phase is not self._conversation.phase:
            self._conversation.phase = phase
        elif (kind == ord("c") or kind == ord("f")) and action is Action.RELAY:
            self._conversation.replies.copy_ended()
        if action is _RELAY or action is _ADMIT:
            if action is _ADMIT and self._conversation.unpinned and not self._gate.passes():
                names = ", ".join(sorted(self._conversation.unpinned))
                raise ProtocolError(f"a policy came into force that needs another {names}", hint="connect again")
            try:
                self._relay(kind, whole)
            except ProtocolError as error:  # malformed: an error like any other, as PostgreSQL has it
                (self._refuse_query if kind == ord("Q") else self._refuse_extended)(
                    Refused("", error.sqlstate, error.message)
                )
        elif action is Action.REFUSE:
            self._refuse_query(FUNCTION_CALL)
        elif action is Action.END:
            self._left = True
            self._out.append((upstream.terminate(), None))
            self._leave()
        else:
            assert action is Action.IGNORE

    def _relay(self, kind: int, whole: bytes) -> None:
        """A message that has a place here. Raises ProtocolError, with nothing done, when its body is malformed."""
        if kind == ord("B"):
            self._bind(whole)
        elif kind == ord("E"):
            self._execute(whole)
        elif kind == ord("Q"):
            self._query(whole)
        elif kind == ord("P"):
            self._parse(whole)
        elif kind == ord("D"):
            self._late.describe(whole)
        elif kind == ord("C"):
            self._close(whole)
        elif kind == ord("S"):
            self._send(whole, Expected(Step.SYNC))
            self._conversation.names.next_batch()
        elif kind == ord("H") and len(whole) > HEADER:
            raise ProtocolError("invalid message format")
        else:
            self._out.append((whole, None))  # Flush and COPY data have no reply of their own

    def _send(self, message: bytes, expected: Expected) -> None:
        self._out.append((message, expected))
        self._conversation.replies.expect(expected)
        if expected.notice:
            notice = self._conversation.due_notice()
            if notice:
                self._inject(notice)

    def _hold(self, whole: bytes, doubtful: bool = False) -> bool:
        """Whether ``whole`` must wait: until the upstream has answered, nobody knows what its names will mean."""
        if not doubtful and not self._conversation.names.unsettled:
            return False
        self._held = (whole[0], whole)
        self._out.append((_FLUSH, None))  # without it the answer might come at the client's Sync, which waits too
        return True

    def _admit(self, text: str, client: Client, then: Callable[[Verdict], None]) -> None:
        """Through the gate, at once if that can be; otherwise no further message is taken until it is done."""
        verdict = self._gate.admit_now(text, client)
        if verdict is not None:
            then(verdict)
        else:
            self._then = then
            self._is_query = client is self._simple
            self._ask(self._gate.admit(text, client, self._conversation.dialogue))

    def _is_current(self, admitted: Admitted) -> bool:
        if admitted is not self._current and self._gate.current(admitted, self._extended):
            self._current = admitted
        return admitted is self._current

    def _errors(self) -> str:
        """What becomes of bytes that are not UTF-8. Where every text passes they go on as they came."""
        return "backslashreplace" if self._conversation.unpinned else "strict"

    def _query(self, whole: bytes) -> None:
        if self._hold(whole):
            return
        text = parse_query(whole[HEADER:], self._errors())

        def then(verdict: Verdict) -> None:
            if isinstance(verdict, Refused):
                self._refuse_query(verdict)
                return
            used = uses(self._conversation.names, verdict)
            if not used:
                self._run_query(whole, text, verdict)
                return
            admitted = verdict

            def go(refused: Refused | None) -> None:
                if refused is None:
                    self._run_query(whole, text, admitted)
                else:
                    self._accounts.close(self._accounts.open(admitted.record_id), refused.sqlstate)
                    self._refuse_query(refused)

            self._renewals.all(used, go)

        self._admit(text, self._simple, then)

    def _run_query(self, whole: bytes, text: str, admitted: Admitted) -> None:
        forget(self._conversation.dialogue, self._conversation.names, admitted)
        expected = Expected(
            Step.QUERY,
            self._accounts.run(admitted.record_id, admitted, self._conversation.names),
            is_recorded=True,
            rewritten=texts(admitted, text),
            notice=notices(admitted),
            effects=effects(self._conversation.names, admitted, self._abandoned),
        )
        self._send(whole if admitted.sql == text else upstream.query(admitted.sql), expected)

    def _parse(self, whole: bytes) -> None:
        last = self._repeats.last(whole)
        if last is not None and self._is_current(last.admitted):
            self._prepare(last)
            return
        parse = parse_parse(whole[HEADER:], self._errors())
        known = self._repeats.get(parse.text)
        if known is not None and self._is_current(known):
            self._prepare(Prepared(whole, parse, known))
            return
        if self._late.takes(parse):
            return

        def then(verdict: Verdict) -> None:
            if isinstance(verdict, Refused):
                self._refuse_extended(verdict, parse.name)
                return
            self._repeats.add(parse.text, verdict)
            self._prepare(Prepared(whole, parse, verdict))

        self._admit(parse.text, self._extended, then)

    def _prepare(self, one: Prepared) -> None:
        self._repeats.keep(one)
        change = self._conversation.names.statements.send(one.name, one.admitted)
        expected = Expected(Step.PARSE, is_recorded=True, rewritten=one.rewritten, notice=one.notice, change=change)
        self._send(one.sent, expected)

    def _refuse_query(self, refused: Refused) -> None:
        self._send(upstream.query(REFUSED_TEXT), Expected(Step.QUERY, refusal=error_message(refused)))

    def _refuse_extended(self, refused: Refused, name: str = REFUSED_NAME) -> None:
        """In the place of any message of the extended protocol: a Parse that fails. The rest up to Sync is skipped."""
        refusal = Parse(name, "").encode(REFUSED_TEXT)
        self._send(refusal, Expected(Step.PARSE, is_recorded=True, refusal=error_message(refused)))
        self._conversation.phase = after(self._conversation.phase, Event.SKIP_BEGINS)

    # Statements and portals

    def _bind(self, whole: bytes) -> None:
        bind = parse_bind(whole[HEADER:])
        doubtful = self._conversation.names.statements.is_doubtful(bind.statement)
        if (bind.statement or doubtful) and self._hold(whole, doubtful):
            return
        prepared = self._conversation.names.statements.get(bind.statement)
        if prepared is None:  # nothing that was admitted: it does not go upstream
            self._refuse_extended(no_statement(bind.statement))
            return
        if prepared.late:
            self._late.bind(whole, bind, prepared)
            return
        if self._is_current(prepared):
            self._bound(whole, bind, prepared)
            return
        before = prepared

        def then(verdict: Verdict) -> None:
            if isinstance(verdict, Refused):
                self._refuse_extended(verdict)
            else:
                self._conversation.names.statements.renew(bind.statement, before, verdict)
                self._bound(whole, bind, verdict, is_recorded=True)

        self._renewals.one(before, then)

    def _bound(self, whole: bytes, bind: Bind, prepared: Admitted, *, is_recorded: bool = False) -> None:
        change = self._conversation.names.portals.send(bind.portal, Portal(prepared, bind.parameters), self._abandoned)
        self._send(whole, Expected(Step.BIND, change=change, rewritten=nowhere(prepared), is_recorded=is_recorded))

    def _execute(self, whole: bytes) -> None:
        name = parse_execute(whole[HEADER:])
        doubtful = self._conversation.names.portals.is_doubtful(name)
        if (name or doubtful) and self._hold(whole, doubtful):
            return
        portal = self._conversation.names.portals.get(name)
        if portal is None:
            self._refuse_extended(Refused("", "34000", f'portal "{name}" does not exist'))
            return
        used = uses(self._conversation.names, portal.prepared)
        if used and self._hold(whole):
            return
        if not used and self._is_current(portal.prepared):
            self._run(whole, portal)
            return
        found = portal

        def run(refused: Refused | None) -> None:
            self._run(whole, found) if refused is None else self._refuse_extended(refused)

        def then(verdict: Verdict) -> None:
            if isinstance(verdict, Refused):
                self._refuse_extended(verdict)
            else:
                found.prepared = verdict
                self._renewals.all(used, run)

        self._renewals.one(portal.prepared, then)

    def _run(self, whole: bytes, portal: Portal) -> None:
        account = portal.account
        is_new = account is None or account.is_closed
        if account is None or account.is_closed:
            record_id = self._gate.executing(portal.prepared, self._extended, portal.parameters)
            account = portal.account = self._accounts.run(record_id, portal.prepared, self._conversation.names)
            forget(self._conversation.dialogue, self._conversation.names, portal.prepared)
        changes = effects(self._conversation.names, portal.prepared, self._abandoned)
        sent = nowhere(portal.prepared)
        self._send(whole, Expected(Step.EXECUTE, account, is_recorded=is_new, rewritten=sent, effects=changes))

    def _close(self, whole: bytes) -> None:
        kind, name = parse_target("CLOSE", whole[HEADER:])
        names = self._conversation.names
        change = names.statements.send(name, None) if kind == "S" else names.portals.send(name, None, self._abandoned)
        self._send(whole, Expected(Step.CLOSE, change=change))

    def _abandoned(self, portal: Portal) -> None:
        """A portal is gone; if it was suspended, nobody goes on with it."""
        if portal.account is not None:
            self._accounts.close(portal.account)
