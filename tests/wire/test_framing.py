"""Framing: how the bytes were cut never matters; any bytes are messages or a documented error."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.errors import LimitError, ProtocolError
from nlsql_gateway.wire.framing import STARTUP_LIMIT, Frames, startup_length
from nlsql_gateway.wire.messages import message

LIMIT = 1000

whole = st.builds(message, st.binary(min_size=1, max_size=1), st.binary(max_size=200))
cuts = st.lists(st.integers(1, 40), min_size=1)


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    """``data`` cut in pieces of these sizes, over and over."""
    found: list[bytes] = []
    position = index = 0
    while position < len(data):
        size = sizes[index % len(sizes)]
        found.append(data[position : position + size])
        position, index = position + size, index + 1
    return found


def take(frames: Frames) -> list[bytes]:
    taken = []
    while (one := frames.next()) is not None:
        taken.append(one)
    return taken


@given(st.lists(whole, max_size=8), cuts)
def test_the_cut_of_the_bytes_never_matters(sent: list[bytes], sizes: list[int]) -> None:
    frames = Frames(LIMIT)
    received: list[bytes] = []
    for piece in pieces(b"".join(sent), sizes):
        frames.feed(piece)
        received.extend(take(frames))
    assert received == sent
    assert len(frames) == 0


@given(st.binary(max_size=400), cuts)
def test_any_bytes_are_messages_or_a_documented_error(data: bytes, sizes: list[int]) -> None:
    frames = Frames(LIMIT)
    taken = 0
    try:
        for piece in pieces(data, sizes):
            frames.feed(piece)
            taken += sum(map(len, take(frames)))
    except (ProtocolError, LimitError):
        return
    assert taken + len(frames) == len(data)
    assert frames.rest() == data[taken:]


@pytest.mark.parametrize("length", [3, 0, -1, -(2**31)])
def test_an_impossible_length_is_refused(length: int) -> None:
    frames = Frames(LIMIT)
    frames.feed(b"Q" + struct.pack("!i", length))
    with pytest.raises(ProtocolError):
        frames.next()


def test_a_message_above_the_limit_is_refused_from_its_header_alone() -> None:
    frames = Frames(LIMIT)
    frames.feed(message(b"Q", b"x" * (LIMIT - 5)))
    assert frames.next() is not None, "the limit itself is allowed"
    frames.feed(b"Q" + struct.pack("!i", LIMIT))
    with pytest.raises(LimitError) as refused:
        frames.next()
    assert refused.value.sqlstate == "54000"
    assert "max_message" in refused.value.hint


def test_what_was_not_taken_can_be_had() -> None:
    frames = Frames(LIMIT)
    frames.feed(message(b"S") + b"Q\0\0")
    assert frames.next() == message(b"S")
    assert frames.rest() == b"Q\0\0"
    assert frames.next() is None


@pytest.mark.parametrize("length", [8, 84, STARTUP_LIMIT])
def test_a_startup_packet_has_between_8_and_10000_bytes(length: int) -> None:
    assert startup_length(struct.pack("!i", length)) == length


@pytest.mark.parametrize(
    "head", [b"GET ", b"\x16\x03\x01\x02", b"SSH-", *(struct.pack("!i", n) for n in (7, 0, -1, 10_001))]
)
def test_other_protocols_are_told_by_their_impossible_length(head: bytes) -> None:
    with pytest.raises(ProtocolError):
        startup_length(head)
