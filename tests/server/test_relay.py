"""The relay: bytes go on as they came, however they are cut; what is inspected may be exchanged."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.errors import LimitError, ProtocolError
from nlsql_gateway.server.relay import SEEN, WHOLE, WHOLE_LIMIT, Relay
from nlsql_gateway.wire.messages import message
from tests.wire.test_framing import pieces

kinds = st.sampled_from([bytes([kind]) for kind in b"DdTCZESN123tncsIGHKA"])
stream = st.lists(st.builds(message, kinds, st.binary(max_size=60)), max_size=12)
cuts = st.lists(st.integers(1, 40), min_size=1)


class Peer:
    """What came out of a relay, and what it showed on the way."""

    def __init__(self, instead: dict[int, bytes] | None = None, behind: dict[int, bytes] | None = None) -> None:
        self.written = b""
        self.seen: list[tuple[int, bytes]] = []
        self._instead = instead or {}
        self._behind = behind or {}
        self.relay = Relay(self._write, self._inspect)

    def _write(self, data: bytes) -> None:
        assert data
        self.written += data

    def _inspect(self, kind: int, whole: bytes) -> bytes | None:
        self.seen.append((kind, whole))
        if kind in self._behind:
            self.relay.inject(self._behind[kind])
        return self._instead.get(kind)


@given(stream, cuts)
def test_what_comes_goes_on_however_it_is_cut(sent: list[bytes], sizes: list[int]) -> None:
    peer = Peer()
    data = b"".join(sent)
    for piece in pieces(data, sizes):
        peer.relay.feed(piece)
    assert peer.written == data
    assert peer.seen == [(one[0], one if one[0] in WHOLE else b"") for one in sent if one[0] in WHOLE | SEEN]
    rows = [one for one in sent if one[:1] in (b"D", b"d")]
    assert peer.relay.take() == (len(rows), sum(len(one) - 5 for one in rows))
    assert peer.relay.take() == (0, 0)


@given(stream, cuts)
def test_exchanged_and_injected_messages_stand_between_whole_ones(sent: list[bytes], sizes: list[int]) -> None:
    ours, notice = message(b"E", b"ours"), message(b"N", b"behind")
    peer = Peer(instead={ord("E"): ours, ord("C"): b""}, behind={ord("Z"): notice, ord("1"): notice, ord("C"): notice})
    for piece in pieces(b"".join(sent), sizes):
        peer.relay.feed(piece)
    expected = b""
    for one in sent:
        expected += {b"E": ours, b"C": b""}.get(one[:1], one)
        expected += notice if one[:1] in (b"Z", b"1", b"C") else b""
    assert peer.written == expected


def test_a_message_from_outside_waits_for_the_one_that_is_passing() -> None:
    peer = Peer()
    row = message(b"D", b"x" * 100)
    peer.relay.feed(row[:50])
    peer.relay.inject(b"<notice>")
    assert peer.written == row[:50]
    peer.relay.feed(row[50:] + row)
    assert peer.written == row + b"<notice>" + row
    peer.relay.inject(b"<again>")
    assert peer.written.endswith(row + b"<again>")


def test_a_long_row_is_not_kept() -> None:
    peer = Peer()
    peer.relay.feed(b"D" + struct.pack("!i", 2**30))
    for _ in range(100):
        peer.relay.feed(b"x" * 1000)
    assert len(peer.written) == 5 + 100_000


def test_impossible_and_oversized_messages_are_errors() -> None:
    for length in (3, -1):
        with pytest.raises(ProtocolError):
            Peer().relay.feed(b"D" + struct.pack("!i", length))
    with pytest.raises(LimitError):
        Peer().relay.feed(b"E" + struct.pack("!i", WHOLE_LIMIT + 1))


def test_what_was_whole_before_an_error_has_gone_on() -> None:
    peer = Peer()
    row = message(b"D", b"row")
    with pytest.raises(ProtocolError):
        peer.relay.feed(row + b"D" + struct.pack("!i", 0))
    assert peer.written == row


@given(st.lists(st.sampled_from([message(b"1"), message(b"3"), message(b"D", b"row")])), cuts)
def test_a_message_that_is_nothing_but_its_header_may_be_kept_back(sent: list[bytes], sizes: list[int]) -> None:
    peer = Peer(instead={ord("3"): b""})
    for piece in pieces(b"".join(sent), sizes):
        peer.relay.feed(piece)
    assert peer.written == b"".join(one for one in sent if one[:1] != b"3")


def test_one_that_was_not_seen_whole_may_not() -> None:
    with pytest.raises(AssertionError, match="not seen whole"):
        Peer(instead={ord("T"): b""}).relay.feed(message(b"T", b"columns"))
