"""The queue of expected replies: in step with a server that skips to Sync, or an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.errors import ProtocolError
from nlsql_gateway.wire.replies import ENDS, WITHIN, Expected, Replies, Step

KINDS = sorted({kind for ends in ENDS.values() for kind in ends})

REPLY = {
    Step.QUERY: b"CZ",
    Step.PARSE: b"1",
    Step.BIND: b"2",
    Step.DESCRIBE: b"T",
    Step.EXECUTE: b"C",
    Step.CLOSE: b"3",
    Step.SYNC: b"Z",
}
"""What a server answers when all is well, the types that do not matter left out."""


def queue(*steps: Step) -> Replies:
    replies = Replies()
    for step in steps:
        replies.expect(Expected(step))
    return replies


def serve(steps: list[Step], failing: int) -> list[int]:
    """The replies of a server to these messages, of which number ``failing`` fails (manual, "Extended Query")."""
    said: list[int] = []
    skipping = False
    for number, step in enumerate(steps):
        if skipping and step is not Step.SYNC:
            continue
        skipping = False
        if number != failing:
            said.extend(REPLY[step])
        elif step in (Step.QUERY, Step.SYNC):
            said.extend(b"EZ")
        else:
            said.append(ord("E"))
            skipping = True
    return said


@given(st.lists(st.sampled_from(Step), max_size=12), st.integers(0, 12))
def test_it_stays_in_step_with_a_server_whatever_fails(steps: list[Step], failing: int) -> None:
    replies = queue(*steps)
    ended: list[Step] = []
    dropped: list[Step] = []
    for kind in serve(steps, failing):
        if kind == ord("E"):
            head = replies.head
            assert head is not None
            failed = replies.fail()
            assert [head] == failed[:1] or head.step in (Step.QUERY, Step.SYNC)
            dropped.extend(entry.step for entry in failed)
        else:
            entry = replies.answered(kind)
            if entry is not None:
                ended.append(entry.step)
    assert len(replies) == 0
    assert len(ended) + len(dropped) == len(steps)
    first = steps[: failing + (failing < len(steps) and steps[failing] in (Step.QUERY, Step.SYNC))]
    assert ended[: len(first)] == first


@pytest.mark.parametrize("step", Step)
def test_a_reply_that_is_not_expected_is_an_error(step: Step) -> None:
    for kind in KINDS:
        replies = queue(step)
        if kind in ENDS[step]:
            entry = replies.answered(kind)
            assert entry is not None
            assert entry.step is step
            assert len(replies) == 0
        elif kind in WITHIN.get(step, b""):
            assert replies.answered(kind) is None
            assert len(replies) == 1
        else:
            with pytest.raises(ProtocolError):
                replies.answered(kind)
    with pytest.raises(ProtocolError):
        queue().answered(ord("Z"))


def test_an_error_in_the_extended_protocol_drops_up_to_sync_queries_included() -> None:
    replies = queue(Step.PARSE, Step.BIND, Step.QUERY, Step.EXECUTE, Step.SYNC, Step.PARSE)
    assert [entry.step for entry in replies.fail()] == [Step.PARSE, Step.BIND, Step.QUERY, Step.EXECUTE]
    assert replies.head is not None
    assert replies.head.step is Step.SYNC
    assert replies.fail() == []


def test_copy_in_swallows_the_syncs_that_were_sent_ahead() -> None:
    replies = queue(Step.EXECUTE, Step.SYNC, Step.SYNC)
    assert replies.copy_in()
    assert replies.answered(ord("C")) is not None
    assert len(replies) == 0


def test_copy_data_may_come_ahead_of_the_request_for_it() -> None:
    """``COPY a FROM STDIN; COPY b FROM STDIN`` with the data of a sent ahead, then another query."""
    replies = queue(Step.QUERY)
    replies.copy_ended()
    replies.expect(Expected(Step.QUERY))
    assert not replies.copy_in(), "the data has been sent"
    replies.answered(ord("C"))
    with pytest.raises(ProtocolError):
        replies.copy_in()  # now something else stands ahead of the data that it asks for

    extended = queue(Step.EXECUTE, Step.SYNC)
    extended.copy_ended()
    extended.expect(Expected(Step.SYNC))
    assert not extended.copy_in()
    assert extended.answered(ord("C")) is not None
    assert extended.answered(ord("Z")) is not None
    assert len(extended) == 0, "the first Sync was swallowed by the copy"


def test_what_runs_is_still_known_when_copy_in_breaks_the_step() -> None:
    """The session ends then, and its account must be closed."""
    replies = queue(Step.QUERY, Step.QUERY)
    with pytest.raises(ProtocolError):
        replies.copy_in()
    assert [entry.step for entry in replies.drain()] == [Step.QUERY, Step.QUERY]


@pytest.mark.parametrize("steps", [(), (Step.SYNC,), (Step.PARSE,)])
def test_copy_in_out_of_step_is_an_error(steps: tuple[Step, ...]) -> None:
    replies = queue(*steps)
    with pytest.raises(ProtocolError):
        replies.copy_in()


def test_drain() -> None:
    replies = queue(Step.PARSE, Step.SYNC)
    assert [entry.step for entry in replies.drain()] == [Step.PARSE, Step.SYNC]
    assert replies.head is None
