"""Framing: from bytes to messages, with the limit checked before anything is kept.

PostgreSQL manual, "Message Formats": a message is a type byte, then a length of four bytes that counts itself and the
body. The first packet of a connection has no type byte.
"""

from __future__ import annotations

from typing import Final

from nlsql_gateway.errors import LimitError, ProtocolError

HEADER: Final = 5
STARTUP_LIMIT: Final = 10_000
"""Bytes of a startup packet: MAX_STARTUP_PACKET_LENGTH of PostgreSQL's pqcomm.h."""


def int32(data: bytes, at: int) -> int:
    """The Int32 at ``at``, signed. Raises IndexError. Compiled, it is several times as fast as ``struct``."""
    value = data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]
    return value if value < 0x80000000 else value - 0x100000000


class Frames:
    """Whole messages out of bytes in any pieces. ``limit`` is the largest message, in bytes, header included.

    ``feed`` what came, then call ``next`` until it gives None.
    """

    __slots__ = ("_begun", "_data", "_limit", "_position", "_wanted")

    def __init__(self, limit: int) -> None:
        self._data = b""
        self._position = 0
        self._begun = bytearray()
        "The beginning of a message; grown in place, since it may come in thousands of pieces."
        self._wanted = 0
        "How long that message is."
        self._limit = limit

    def feed(self, data: bytes) -> None:
        if self._begun:
            self._begun += data
            if len(self._begun) < self._wanted:
                return
            data = bytes(self._begun)
            self._begun = bytearray()
        if self._position < len(self._data):  # its messages were left to wait
            data = self._data[self._position :] + data
        self._data = data
        self._position = 0

    def next(self) -> bytes | None:
        """The whole next message, header included; None until more bytes come.

        Raises ProtocolError for a length below four, LimitError for a message above the limit.
        """
        data, start = self._data, self._position
        left = len(data) - start
        wanted = HEADER
        if left >= HEADER:
            length = int32(data, start + 1)
            if length < 4:
                raise ProtocolError("message with an impossible length")
            if length >= self._limit:
                raise LimitError(
                    f"a message of {length} bytes is above the limit of {self._limit}", hint="raise listen.max_message"
                )
            wanted = 1 + length
            if left >= wanted:
                self._position = start + wanted
                return data if left == wanted and not start else data[start : start + wanted]
        if left:
            self._begun += data[start:]
            self._wanted = wanted
        self._data = b""
        self._position = 0
        return None

    def rest(self) -> bytes:
        """What was fed and not yet taken, taken."""
        left = self._data[self._position :] + self._begun
        self._data = b""
        self._position = 0
        self._begun = bytearray()
        return left

    def __len__(self) -> int:
        """Bytes kept."""
        return len(self._data) - self._position + len(self._begun)


def startup_length(head: bytes) -> int:
    """The length of the first packet, from its first four bytes. Raises ProtocolError.

    Text such as an HTTP request reads as a length of a thousand million and is refused here.
    """
    length = int32(head, 0)
    if not 8 <= length <= STARTUP_LIMIT:
        raise ProtocolError("invalid length of startup packet")
    return length
