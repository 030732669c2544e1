"""Cancel: the keys that clients were given, and whose they are. We never hand on the upstream's own.

PostgreSQL manual, "Canceling Requests in Progress". A request with a wrong key is ignored, and so is the answer to a
right one: the connection is closed without a word either way.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable


class CancelKeys:
    """Process numbers to (secret, what to do). The secret is compared in constant time."""

    def __init__(self) -> None:
        self._keys: dict[int, tuple[bytes, Callable[[], None]]] = {}

    def mint(self, cancel: Callable[[], None], *, length: int) -> tuple[int, bytes]:
        """A new key for a session: a random process number that is free, a secret of ``length`` bytes."""
        process = secrets.randbelow(2**31 - 1) + 1
        while process in self._keys:
            process = secrets.randbelow(2**31 - 1) + 1
        secret = secrets.token_bytes(length)
        self._keys[process] = (secret, cancel)
        return process, secret

    def forget(self, process: int) -> None:
        self._keys.pop(process, None)

    def cancel(self, process: int, secret: bytes) -> bool:
        """Cancel what the key's session runs. False: no such key."""
        known = self._keys.get(process)
        if known is None or not hmac.compare_digest(known[0], secret):
            return False
        known[1]()
        return True
