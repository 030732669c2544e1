"""Cancel: the keys that clients were given, and whose they are. We never hand on the upstream's own.

PostgreSQL manual, "Canceling Requests in Progress". A key is a process number and a secret. The number says where its
session is, so that a request which lands on another worker or another replica finds its way (``cancel_routes.py``); of
its 32 bits

====== ============================================================================================
bit    meaning
====== ============================================================================================
31     a peer forwarded the request; never set in a key, so that the number is positive for clients
25-30  the replica, 0 to 63 (``listen.cancel.replica_id``)
18-24  the worker, 0 to 127
0-17   the session, random, 1 to 262,143
====== ============================================================================================

The secret is random too: 4 bytes in protocol 3.0, more in 3.2. It is compared in constant time, and only with a secret
of its very length.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Self

FORWARDED: Final = 1 << 31
_REPLICA_SHIFT: Final = 25
_WORKER_SHIFT: Final = 18
MAX_REPLICA: Final = 63
MAX_WORKERS: Final = 128
_SESSIONS: Final = (1 << _WORKER_SHIFT) - 1

CancelSession = Callable[[], Coroutine[Any, Any, None]]
"""Returns when the upstream was told, and raises nothing."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session is."""

    replica: int = 0
    worker: int = 0

    @classmethod
    def of(cls, process: int) -> Self:
        """The place that a key's process number names."""
        return cls(process >> _REPLICA_SHIFT & MAX_REPLICA, process >> _WORKER_SHIFT & MAX_WORKERS - 1)

    @property
    def base(self) -> int:
        return self.replica << _REPLICA_SHIFT | self.worker << _WORKER_SHIFT


class CancelKeys:
    """The keys of one process."""

    def __init__(self, place: Place | None = None) -> None:
        self._base = (place or Place()).base
        self._keys: dict[int, tuple[bytes, CancelSession]] = {}

    def mint(self, cancel: CancelSession, *, length: int) -> tuple[int, bytes]:
        """A new key for a session: a random process number that is free, and a secret of ``length`` bytes."""
        process = self._base | secrets.randbelow(_SESSIONS) + 1
        while process in self._keys:
            process = self._base | secrets.randbelow(_SESSIONS) + 1
        secret = secrets.token_bytes(length)
        self._keys[process] = (secret, cancel)
        return process, secret

    def forget(self, process: int) -> None:
        self._keys.pop(process, None)

    async def cancel(self, process: int, secret: bytes) -> bool:
        """Cancel what the key's session runs, and wait until the upstream was told. False: no such key."""
        known = self._keys.get(process)
        if not hmac.compare_digest(known[0] if known else b"", secret) or known is None:
            return False
        await known[1]()
        return True
