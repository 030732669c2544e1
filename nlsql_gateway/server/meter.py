"""Meter: in front of a Relay where a limit on rows or bytes holds; without one there is no Meter and nothing counts.

It hands on whole messages until a row would go over the limit. From there to the end of the statement, or of the
simple query, no row goes on; ``Responses`` then exchanges the end for an error. So a client gets all rows and their
end, or fewer and an error: never fewer and an end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from nlsql_gateway.errors import ProtocolError
from nlsql_gateway.wire.framing import HEADER, int32

UNLIMITED: Final = 2**62

_ROWS: Final = frozenset(b"Dd")
"""DataRow, CopyData."""
_ENDS: Final = frozenset(b"CsIEZ")
_WITHIN: Final = frozenset(b"TcH")
"""What belongs to rows that are left out: RowDescription, CopyDone, CopyOutResponse."""
_SUSPENDED: Final = ord("s")
_OVER: Final = frozenset(b"EZ")
_COMPLETE: Final = b"C\0\0\0\5\0"
"""CommandComplete, in the place of PortalSuspended: it is exchanged for the error like any other."""


class Meter:
    __slots__ = (
        *("_begin", "_bytes", "_dropping", "_exceeded", "_fresh", "_kept", "_next", "_out", "_over", "_passing"),
        *("_rows", "_write"),
    )

    def __init__(
        self,
        following: Callable[[bytes], None],
        write: Callable[[bytes], None],
        begin: Callable[[], tuple[int, int]],
        exceeded: Callable[[Literal["rows", "bytes"]], bool],
        standing: tuple[int, bytes],
    ) -> None:
        """``following``: the relay's ``feed``; what it writes must come to ``write`` of this, ``write`` sends it on.

        ``begin`` is called before a statement's first row: the rows and bytes that it may still return. ``exceeded``
        is called once for a statement, and says whether no more is handed on. ``standing``: of ``Relay.hand_over``.
        """
        self._next = following
        self._write = write
        self._begin = begin
        self._exceeded = exceeded
        self._passing, self._kept = standing
        self._dropping = False
        self._out: list[bytes] | None = None
        self._fresh = True
        "The next row is a statement's first."
        self._over = False
        self._rows = self._bytes = 0

    def write(self, data: bytes) -> None:
        """To the client: what one ``feed`` makes goes in one piece."""
        if self._out is None:
            self._write(data)
        else:
            self._out.append(data)

    def feed(self, data: bytes) -> None:
        """As the relay's; raises what that and ``exceeded`` raise."""
        self._out = []
        try:
            self._walk(self._kept + data if self._kept else data)
        finally:
            out, self._out = self._out, None
            if out:
                self._write(b"".join(out))

    def _walk(self, data: bytes) -> None:
        size = len(data)
        position = min(size, self._passing)
        self._passing -= position
        start = position if self._dropping else 0  # data[start:position] is to be handed on
        while size - position >= HEADER:
            kind = data[position]
            length = int32(data, position + 1)
            if length < 4:
                raise ProtocolError("the upstream sent a message of impossible length")
            end = position + 1 + length
            drop = False
            if kind in _ROWS:
                if self._fresh and not self._over:
                    self._hand_on(data, start, position)
                    start = position
                    self._fresh = False
                    self._rows, self._bytes = self._begin()
                if not self._over and (self._rows < 1 or self._bytes < length - 4):
                    self._hand_on(data, start, position)
                    start = position
                    self._over = self._exceeded("rows" if self._rows < 1 else "bytes")
                    self._rows = self._bytes = UNLIMITED
                self._rows -= 1
                self._bytes -= length - 4
                drop = self._over
            elif kind in _ENDS:
                self._fresh = True
                if kind == _SUSPENDED and self._over:
                    self._hand_on(data, start, position)
                    self._next(_COMPLETE)
                    start = position
                    drop = True
                elif kind in _OVER:
                    self._over = False
            elif self._over and kind in _WITHIN:
                drop = True
            if drop:
                self._hand_on(data, start, position)
                start = min(end, size)
            self._dropping = drop
            if end > size:
                self._passing = end - size
                position = size
                break
            position = end
        self._hand_on(data, start, position)
        self._kept = data[position:]

    def _hand_on(self, data: bytes, start: int, end: int) -> None:
        if start < end:
            self._next(data[start:end] if start or end < len(data) else data)
