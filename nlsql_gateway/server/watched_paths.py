"""WatchedPaths: the certificates and the users file are read again when they change, as at SIGHUP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from nlsql_gateway.config import Settings
from nlsql_gateway.server.watched_file import LOOK_S, Seen


def read_at_login(settings: Settings) -> tuple[Path, ...]:
    """The files that each login is held to."""
    tls = settings.listen.tls
    found = (settings.auth.users, *((tls.certificate, tls.key, tls.client_ca, tls.client_crl) if tls else ()))
    return tuple(path for path in found if path is not None)


class WatchedPaths:
    """Several files that belong together, such as a certificate and its key: all must rest."""

    def __init__(self, paths: tuple[Path, ...], changed: Callable[[], None]) -> None:
        """``changed`` is called each time that they rest and are not what they were at the last call."""
        self._paths = paths
        self._changed = changed
        self._seen = self._looked = self._look()

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            before, self._looked = self._looked, self._look()
            if self._looked == before and self._looked != self._seen:
                self._seen = self._looked
                self._changed()

    def _look(self) -> tuple[Seen, ...]:
        return tuple(_stat(path) for path in self._paths)


def _stat(path: Path) -> Seen:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
