"""Headcount: how many clients each worker has, where all of them can read it.

``listen.max_clients`` is for the whole gateway, and the kernel deals out connections by chance: an even share for each
worker would refuse clients while other workers have room. So each worker writes its own number into a small file that
all map into memory, and reads all of them. Two workers that accept at the same instant may both take the last place.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Final

_NUMBER: Final = struct.Struct("=q")


class Headcount:
    """Of one process. ``clients`` is its own number."""

    def __init__(self, path: Path | None = None, worker: int = 0, workers: int = 1) -> None:
        """``path``: made by ``make``; None when there is one process only. ``worker``: from 0."""
        self._offset = worker * _NUMBER.size
        self._all = struct.Struct(f"={workers}q")
        self._map: mmap.mmap | bytearray = bytearray(self._all.size)
        if path is not None:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                self._map = mmap.mmap(descriptor, self._all.size)
            finally:
                os.close(descriptor)
        self.clients = 0

    @property
    def clients(self) -> int:
        return int(_NUMBER.unpack_from(self._map, self._offset)[0])

    @clients.setter
    def clients(self, value: int) -> None:
        _NUMBER.pack_into(self._map, self._offset, value)

    @property
    def total(self) -> int:
        """Of all workers."""
        return sum(self._all.unpack_from(self._map))

    def close(self) -> None:
        if isinstance(self._map, mmap.mmap):
            self._map.close()


def make(path: Path, workers: int) -> None:
    """The file, with nobody in it."""
    path.write_bytes(bytes(workers * _NUMBER.size))


def strike(path: Path, worker: int) -> None:
    """The worker has died: its clients with it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, bytes(_NUMBER.size), worker * _NUMBER.size)
    finally:
        os.close(descriptor)
