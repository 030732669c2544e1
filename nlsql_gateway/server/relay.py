"""Relay: from the upstream to the client, by message headers alone.

No object is made for a DataRow or CopyData: whole chunks go on as they came. Only the few types in ``INSPECTED`` are
read in full, and may be exchanged for something else.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from nlsql_gateway.errors import LimitError, ProtocolError

INSPECTED: Final = frozenset(b"ESZCIsGW123Tn")
"""ErrorResponse, ParameterStatus, ReadyForQuery, and the replies that end a step; CopyInResponse, CopyBothResponse."""

BODY_NEEDED: Final = frozenset(b"ESZ")
INSPECTED_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of an ErrorResponse or ParameterStatus that we would keep."""

_DATA_ROW = ord("D")
_COPY_DATA = ord("d")
_length = struct.Struct("!i").unpack_from


class Relay:
    """``feed`` takes what came from the upstream and calls ``write`` with what goes to the client.

    ``inspect(kind, message)`` is called for the types in ``INSPECTED`` as they pass; it returns what is sent in the
    message's place, or None to let it pass. ``message`` is whole for ``BODY_NEEDED``, empty for the others.
    """

    __slots__ = ("_feeding", "_injected", "_inspect", "_kept", "_passing", "_write", "bytes", "rows")

    def __init__(self, write: Callable[[bytes], None], inspect: Callable[[int, bytes], bytes | None]) -> None:
        self._write = write
        self._inspect = inspect
        self._kept = b""
        self._passing = 0
        self._feeding = False
        self._injected: list[bytes] = []
        self.rows = 0
        "DataRow and CopyData messages since the last reset by the owner."
        self.bytes = 0
        "Their bytes, headers excepted."

    def inject(self, message: bytes) -> None:
        """Send a message of our own to the client, between two of the upstream's."""
        if self._passing or self._feeding:
            self._injected.append(message)
        else:
            self._write(message)

    def feed(self, data: bytes) -> None:
        """Raises ProtocolError, LimitError: the upstream does not keep to the protocol."""
        self._feeding = True
        try:
            self._walk(data)
        finally:
            self._feeding = False
            if self._injected and not self._passing:
                self._write(b"".join(self._injected))
                self._injected.clear()

    def _walk(self, data: bytes) -> None:
        if self._kept:
            data = self._kept + data
            self._kept = b""
        size = len(data)
        position = start = 0
        out: list[bytes] = []
        if self._passing:
            position = min(size, self._passing)
            self._passing -= position
            if self._passing:
                self._write(data)
                return
            if self._injected:
                out.append(data[:position])
                out.extend(self._injected)
                self._injected.clear()
                start = position
        while size - position >= 5:
            kind = data[position]
            length = _length(data, position + 1)[0]
            if length < 4:
                raise ProtocolError("the upstream sent a message of impossible length")
            end = position + 1 + length
            if kind in (_DATA_ROW, _COPY_DATA):
                self.rows += 1
                self.bytes += length - 4
            elif kind in INSPECTED:
                if kind in BODY_NEEDED and end > size:
                    if length > INSPECTED_LIMIT:
                        raise LimitError("the upstream sent an oversized message")
                    break
                instead = self._inspect(kind, data[position:end] if kind in BODY_NEEDED else b"")
                if instead is not None and end <= size:
                    out.append(data[start:position])
                    out.append(instead)
                    position = start = end
                    continue
            if end > size:
                self._passing = end - size
                position = size
                break
            position = end
        if start < position:
            out.append(data[start:position] if start or position < size else data)
        if position < size:
            self._kept = data[position:]
        if out:
            self._write(out[0] if len(out) == 1 else b"".join(out))
