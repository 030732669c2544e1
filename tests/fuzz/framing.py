"""Framing and the relay: how bytes are cut never matters, and any bytes are messages or a documented error."""

from __future__ import annotations

import struct

from nlsql_gateway.errors import LimitError, ProtocolError
from nlsql_gateway.server.relay import SEEN, WHOLE, Relay
from nlsql_gateway.wire.framing import STARTUP_LIMIT, Frames, startup_length
from tests.fuzz.cursor import Cursor, pieces

LIMIT = 600
"""Bytes of a message: little, so that the fuzzer comes to it."""

NOTICE = b"N\0\0\0\4"


def framing(data: bytes) -> None:
    cursor = Cursor(data)
    sizes, stream = cursor.part(), cursor.rest()
    whole, fault = _frames([stream])
    assert _frames(pieces(stream, sizes)) == (whole, fault)
    taken = b"".join(whole)
    assert stream.startswith(taken)
    for message in whole:
        assert struct.unpack_from("!i", message, 1)[0] == len(message) - 1 < LIMIT
    if len(stream) >= 4:
        try:
            length = startup_length(stream[:4])
        except ProtocolError:
            pass
        else:
            assert 8 <= length <= STARTUP_LIMIT


def _frames(parts: list[bytes]) -> tuple[list[bytes], type[Exception] | None]:
    """The messages, and how it ended. What was fed and is not a message yet is kept to the byte."""
    frames = Frames(LIMIT)
    taken: list[bytes] = []
    try:
        for part in parts:
            frames.feed(part)
            while (one := frames.next()) is not None:
                taken.append(one)
    except (ProtocolError, LimitError) as error:
        return taken, type(error)
    size = sum(map(len, taken))
    assert len(frames) == sum(map(len, parts)) - size
    assert frames.rest() == b"".join(parts)[size:]
    return taken, None


def relay(data: bytes) -> None:
    cursor = Cursor(data)
    sizes, behind, stream = cursor.part(), cursor.part(), cursor.rest()
    whole = _relayed([stream], behind)
    assert _relayed(pieces(stream, sizes), behind) == whole
    written, seen, _, _ = whole
    if not behind:
        assert stream.startswith(written), "what comes goes on as it came"
    assert all(kind in WHOLE | SEEN for kind, _ in seen)


def _relayed(
    parts: list[bytes], behind: bytes
) -> tuple[bytes, list[tuple[int, bytes]], tuple[int, int], type[Exception] | None]:
    """What was written, what was inspected, the rows counted, and how it ended.

    Behind each message of a type in ``behind`` a notice is injected; one that is whole and whose body begins with
    ``x`` is exchanged.
    """
    out: list[bytes] = []
    seen: list[tuple[int, bytes]] = []

    def inspect(kind: int, message: bytes) -> bytes | None:
        seen.append((kind, message))
        if kind in behind:
            relaying.inject(NOTICE)
        return b"Z\0\0\0\5I" if message[5:6] == b"x" and behind else None

    relaying = Relay(out.append, inspect)
    fault: type[Exception] | None = None
    try:
        for part in parts:
            relaying.feed(part)
    except (ProtocolError, LimitError) as error:
        fault = type(error)
    return b"".join(out), seen, relaying.take(), fault
