"""Relay: from the upstream to the client, by message headers alone.

No object is made for a DataRow or CopyData: whole chunks go on as they came. Only the few types in ``WHOLE`` are
waited for and read; they may be exchanged for something else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from nlsql_gateway.errors import LimitError, ProtocolError
from nlsql_gateway.wire.framing import HEADER, int32

WHOLE: Final = frozenset(b"ESZC")
"""ErrorResponse, ParameterStatus, ReadyForQuery, CommandComplete."""

SEEN: Final = frozenset(b"123TnIsGW")
"""Replies that end a step, CopyInResponse and CopyBothResponse: that they come is all we need to know."""

_HOW: Final = bytes([1 if kind in SEEN else 2 if kind in WHOLE else 0 for kind in range(256)])
"""The same by type byte: this is looked up for every message."""

WHOLE_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of a message in ``WHOLE`` that we would keep."""

_DATA_ROW: Final = ord("D")
_COPY_DATA: Final = ord("d")


class Relay:
    """``feed`` takes what came from the upstream and calls ``write`` with what goes to the client.

    ``inspect(kind, message)`` is called for the types in ``WHOLE`` and ``SEEN`` as they pass; it returns what is sent
    in the message's place, or None to let it pass. ``message`` is empty for those that are only seen.
    """

    __slots__ = ("_injected", "_inspect", "_kept", "_octets", "_passing", "_rows", "_walking", "_write")

    def __init__(self, write: Callable[[bytes], None], inspect: Callable[[int, bytes], bytes | None]) -> None:
        self._write = write
        self._inspect = inspect
        self._kept = b""
        "The beginning of a message that must be seen whole."
        self._passing = 0
        "Bytes still to come of a message whose beginning has gone on."
        self._walking = False
        self._injected: list[bytes] = []
        self._rows = self._octets = 0

    def take(self) -> tuple[int, int]:
        """DataRow and CopyData messages since the last call, and their bytes without headers."""
        taken = (self._rows, self._octets)
        self._rows = self._octets = 0
        return taken

    def hand_over(self, write: Callable[[bytes], None]) -> tuple[int, bytes]:
        """Write there from now on. What is still to come of a message that passes, and what was kept: feed it again."""
        self._write = write
        kept, self._kept = self._kept, b""
        return self._passing, kept

    def inject(self, message: bytes) -> None:
        """Send a message of our own to the client, behind the upstream's one that is passing."""
        if self._passing or self._walking:
            self._injected.append(message)
        else:
            self._write(message)

    def feed(self, data: bytes) -> None:
        """Raises ProtocolError, LimitError: the upstream does not keep to the protocol; and what ``inspect`` raises."""
        out: list[bytes] = []
        self._walking = True
        try:
            self._walk(data, out)
        finally:
            self._walking = False
            if not self._passing:  # what an exception left
                out.extend(self._injected)
                self._injected.clear()
            if out and (written := out[0] if len(out) == 1 else b"".join(out)):
                self._write(written)

    def _walk(self, data: bytes, out: list[bytes]) -> None:
        if self._kept:
            data = self._kept + data
            self._kept = b""
        size = len(data)
        position = start = 0
        if self._passing:
            position = min(size, self._passing)
            self._passing -= position
            if not self._passing and self._injected:
                start = self._put(data, 0, position, out)
        try:
            while size - position >= HEADER:
                kind = data[position]
                length = int32(data, position + 1)
                if length < 4:
                    raise ProtocolError("the upstream sent a message of impossible length")
                end = position + 1 + length
                if kind == _DATA_ROW or kind == _COPY_DATA:  # noqa: SIM109 - once for every row
                    self._rows += 1
                    self._octets += length - 4
                elif _HOW[kind] == 1:
                    instead = self._inspect(kind, b"")
                    if instead is not None:
                        if length > 4:  # else its header is all of it
                            raise AssertionError("a message that was not seen whole cannot be exchanged")
                        out += (data[start:position], instead)
                        start = end
                elif _HOW[kind] == 2:
                    if end > size:
                        if length > WHOLE_LIMIT:
                            raise LimitError("the upstream sent an oversized message")
                        break
                    instead = self._inspect(kind, data[position:end])
                    if instead is not None:
                        out += (data[start:position], instead)
                        start = end
                if end > size:
                    self._passing = end - size
                    position = size
                    break
                position = end
                if self._injected:
                    start = self._put(data, start, position, out)
        finally:
            if start < position:
                out.append(data[start:position] if start or position < size else data)
        self._kept = data[position:]

    def _put(self, data: bytes, start: int, end: int, out: list[bytes]) -> int:
        """What was injected, behind ``data[start:end]``."""
        out.append(data[start:end])
        out.extend(self._injected)
        self._injected.clear()
        return end
