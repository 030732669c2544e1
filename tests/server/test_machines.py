"""Two machines talk through the gateway: a client and a PostgreSQL, cut anywhere, in any order, without a socket.

The truth is the same client with the same PostgreSQL directly, which then has the gateway's rules built in: a refused
text is an error like any other, an answered question a statement with a notice in front.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlsql_gateway.wire.messages import fault, message
from nlsql_gateway.wire.states import Phase
from tests.server import raw
from tests.server.machines.backend import Backend, Failure
from tests.server.machines.client import Bind, Client, Execute, Order, programs
from tests.server.machines.gateway import NOTICE, Gateway, ListGate, Recorded, admitted_text

PATIENCE = 200_000
"""Steps of the schedule after which nothing moves any more."""


class Truth:
    """The gateway's rules, built into PostgreSQL. ``lost``: records that were not kept."""

    def __init__(self, lost: Sequence[str] = ()) -> None:
        self._lost = set(lost)

    def text(self, text: str, *, prepares: bool) -> tuple[str, bytes, bool]:
        sql = admitted_text(text)
        if (f"prepare {sql}" if prepares else sql) in self._lost:
            raise Failure("58030")
        if "forbidden" in text:
            raise Failure("42501")
        notice = fault("NOTICE", "00000", NOTICE.message).encode(b"N") if "ask" in text else b""
        return sql, notice, "rewrite" not in text

    def run(self, text: str, parameters: tuple[bytes, ...]) -> None:
        if parameters and "run " + b"".join(parameters).decode() in self._lost:
            raise Failure("58030")

    def call(self) -> None:
        raise Failure("0A000")


def directly(program: Sequence[Order], lost: Sequence[str] = ()) -> Client:
    client, backend = Client(program), Backend(Truth(lost))
    while not client.done:
        client.step()
        backend.feed(bytes(client.out))
        client.out.clear()
        client.feed(bytes(backend.out))
        backend.out.clear()
    return client


class Through:
    """Client, gateway and PostgreSQL, and the bytes between them, moved a piece at a time."""

    def __init__(self, program: Sequence[Order], seed: int, *, failing: bool = False, changing: bool = False) -> None:
        self.gate = ListGate()
        self.client = Client(program)
        self.gateway = Gateway(self.gate)
        self.backend = Backend(Recorded(self.gate))
        self.notifications = 0
        self._failing = failing
        self._changing = changing
        self._random = random.Random(seed)
        self._size = self._random.choice((1, 5, 40, 100_000))

    def run(self) -> None:
        moves = (self._send, self._turn, self._upstream, self._downstream, self._receive, self._answer, self._now)
        for _ in range(PATIENCE):
            if self._is_quiet():
                if self.client.done:
                    return
                self.client.step()
            self._random.choice(moves)()
        raise AssertionError("nothing moves any more")

    def _is_quiet(self) -> bool:
        gateway = self.gateway
        under_way = (self.client.out, gateway.to_upstream, self.backend.out, gateway.to_client, gateway.requests._out)
        return not any(under_way) and gateway.question is None

    def _piece(self, data: bytearray) -> bytes:
        size = self._random.randint(1, self._size)
        piece = bytes(data[:size])
        del data[:size]
        return piece

    def _send(self) -> None:
        if not self.client.done and not self.client.waits and self._random.random() < 0.5:
            self.client.step()
        if self.client.out:
            self.gateway.requests.feed(self._piece(self.client.out))

    def _turn(self) -> None:
        self.gateway.turn(fails=self._failing and self._random.random() < 0.1)

    def _upstream(self) -> None:
        self.backend.feed(self._piece(self.gateway.to_upstream))

    def _downstream(self) -> None:
        if self.backend.out:
            self.gateway.answered(self._piece(self.backend.out))

    def _receive(self) -> None:
        self.client.feed(self._piece(self.gateway.to_client))

    def _answer(self) -> None:
        if self.gateway.question is not None:
            self.gateway.answer()

    def _now(self) -> None:
        """What may happen at any time."""
        if self.notifications < 3 and self._random.random() < 0.05:
            self.backend.out += message(b"A", b"\0\0\0\1channel\0word\0")
            self.notifications += 1
        if self._changing and self._random.random() < 0.1:
            self.gate.version += 1


def check(program: Sequence[Order], seed: int, *, failing: bool = False, changing: bool = False) -> Through:
    """The client cannot tell the gateway from the truth, and nothing is left over."""
    through = Through(program, seed, failing=failing, changing=changing)
    through.run()
    conversation = through.gateway.conversation
    assert len(conversation.replies) == 0, "every message has had its reply"
    assert conversation.phase is Phase.READY
    assert through.client.is_between
    received = [reply for reply in through.client.received if reply[0] != "A"]
    assert len(through.client.received) - len(received) == through.notifications
    truth = directly(program, [what for _, what in through.gate.lost]).received
    if failing:
        assert _coarse(received) == _coarse(truth)
    else:
        assert received == truth
    assert conversation.status.decode() == through.backend.status
    through.gateway.end()
    return through


def _coarse(received: list[tuple[str, object]]) -> list[tuple[str, object]]:
    """What does not depend on which messages came in one turn with those whose records were lost.

    The refusals among them are told that reason too, and the notice of an answer may have gone ahead of its refusal.
    """
    return [(kind, None if kind == "E" else what) for kind, what in received if (kind, what) != ("N", NOTICE.message)]


seeds = st.integers(0, 2**32)
ordinary = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_a_question_that_is_skipped_has_an_outcome() -> None:
    """The client sent it in a batch that had failed; its record says that it may run, and nothing else would follow."""
    gate = ListGate()
    gateway = Gateway(gate)
    gateway.requests.feed(raw.describe("S", "") + raw.query("SELECT 1 /*ask*/"))
    gateway.turn()
    gateway.answered(message(b"E", b"SERROR\0C26000\0Mno\0\0"))
    gateway.answer()
    gateway.end()
    assert [outcome.sqlstate for outcome in gate.closed.values()] == ["57014"]


def test_a_parse_that_could_not_be_recorded_takes_the_unnamed_statement_with_it() -> None:
    """As every Parse that fails: else the next Bind would run what stood there before."""
    gateway = Gateway(ListGate())
    gateway.requests.feed(raw.parse("", "SELECT 1") + raw.parse("a", "SELECT 2"))
    gateway.turn(fails=True)
    refused = b"refused by nlsql-gateway"
    assert bytes(gateway.to_upstream) == raw.parse("", refused.decode()) + raw.parse("a", refused.decode())


@ordinary
@given(programs, seeds)
def test_a_client_cannot_tell_the_gateway_from_postgresql(program: list[Order], seed: int) -> None:
    check(program, seed)


@ordinary
@given(programs, seeds)
def test_a_policy_that_changes_at_any_time_changes_nothing_that_comes_out_the_same(
    program: list[Order], seed: int
) -> None:
    check(program, seed, changing=True)


@ordinary
@given(programs, seeds)
def test_what_could_not_be_recorded_is_refused_in_step_and_does_not_run(program: list[Order], seed: int) -> None:
    check(_once(program), seed, failing=True)


def _once(program: list[Order]) -> list[Order]:
    """Each portal executed once, so that it is plain which of its records was lost."""
    kept: list[Order] = []
    executed: set[str] = set()
    for order in program:
        if isinstance(order, Bind):
            executed.discard(order.portal)
        elif isinstance(order, Execute):
            if order.portal in executed:
                continue
            executed.add(order.portal)
        kept.append(order)
    return kept
