"""Cursor: values out of a fuzzer's bytes. There always is one; behind their end it is zero or empty."""

from __future__ import annotations


class Cursor:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def byte(self) -> int:
        taken = self.take(1)
        return taken[0] if taken else 0

    def take(self, count: int) -> bytes:
        """At most ``count`` bytes."""
        start = self._position
        self._position = min(len(self._data), start + count)
        return self._data[start : self._position]

    def part(self) -> bytes:
        """Bytes with their length in front, one byte of it."""
        return self.take(self.byte())

    def rest(self) -> bytes:
        return self.take(len(self._data))


def pieces(data: bytes, sizes: bytes) -> list[bytes]:
    """``data`` cut in pieces of these sizes, over and over; a size of 0 is 256."""
    found: list[bytes] = []
    position = index = 0
    while position < len(data):
        size = (sizes[index % len(sizes)] or 256) if sizes else 1
        found.append(data[position : position + size])
        position, index = position + size, index + 1
    return found
