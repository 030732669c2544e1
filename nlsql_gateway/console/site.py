"""What all pages of a console share."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from nlsql_gateway.config_console import Console
from nlsql_gateway.console.assets import Assets
from nlsql_gateway.console.backstage import Backstage
from nlsql_gateway.console.desk import Desk
from nlsql_gateway.console.port import Port
from nlsql_gateway.console.rates import Rate
from nlsql_gateway.console.runs import Shelf
from nlsql_gateway.console.sessions import Session, Sessions


@dataclass(frozen=True, slots=True)
class Link:
    """One entry of the navigation."""

    title: str
    path: str
    who: str


@dataclass(slots=True)
class Site:
    """One for a console."""

    settings: Console
    port: Port
    backstage: Backstage
    assets: Assets
    sessions: Sessions
    log: structlog.stdlib.BoundLogger
    monotonic: Callable[[], float]
    signing_in: Rate
    "Of one address, and of one name."
    posting: Rate
    "Of one session."
    shelf: Shelf
    "The answers of everybody."
    desks: dict[bytes, Desk] = field(default_factory=dict)
    "By the digest of the session."
    analysing: set[bytes] = field(default_factory=set)
    "Sessions whose Python runs, by their digest."
    links: tuple[Link, ...] = ()
    tasks: asyncio.TaskGroup | None = None
    "What runs behind the pages; while the console serves."
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    @property
    def cookie(self) -> str:
        """With the prefix a browser takes it from no other host, and only by TLS (RFC 6265bis, 4.1.3)."""
        return "__Host-nlsql-console" if self.settings.listen.is_secure else "nlsql-console"

    def csrf(self, token: str) -> str:
        """What a form must carry beside the cookie ``token``."""
        return hmac.new(self._secret, token.encode(errors="replace"), hashlib.sha256).hexdigest()

    def csrf_fits(self, token: str, given: str) -> bool:
        return bool(token) and hmac.compare_digest(self.csrf(token).encode(), given.encode(errors="replace"))

    def desk(self, session: Session) -> Desk:
        """What ``session`` has in hand; let go when it ends."""
        found = self.desks.get(session.digest)
        if found is None:
            assert self.tasks is not None, "the console serves"
            found = self.desks[session.digest] = Desk(
                session, self.port, self.shelf, self.settings.rows, self.tasks, self.log
            )
            session.endings.append(lambda: self._left(session.digest))
        return found

    def _left(self, digest: bytes) -> None:
        desk = self.desks.pop(digest, None)
        if desk is not None:
            desk.leave()
