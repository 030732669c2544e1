"""Sessions: who is signed in. Kept in memory, so all end with the console."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from nlsql_gateway.config_console import Console

PER_PERSON: Final = 10
"""Sessions of one person; the one that was used longest ago ends for another."""

IN_ALL: Final = 2_000


@dataclass(slots=True, eq=False)
class Session:
    name: str
    password: str = field(repr=False)
    "What opens further connections at the gateway's port. In memory only."
    databases: tuple[str, ...]
    "To pick from."
    is_officer: bool
    is_reviewer: bool
    began: float
    used: float
    digest: bytes = b""
    endings: list[Callable[[], None]] = field(default_factory=list, repr=False)
    "Called when it ends: what it holds is to be let go."

    def may(self, who: str) -> bool:
        """Whether pages for ``who`` are open to this person."""
        return {"officer": self.is_officer, "reviewer": self.is_reviewer}.get(who, True)


class Sessions:
    """By the digest of their token: what stands in memory signs nobody in."""

    def __init__(self, settings: Console, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._sessions: dict[bytes, Session] = {}

    def begin(self, name: str, password: str, databases: tuple[str, ...]) -> tuple[str, Session]:
        """A new session and its token, which is kept nowhere but in the person's cookie."""
        own = sorted((one for one in self._sessions.values() if one.name == name), key=lambda one: one.used)
        every = sorted(self._sessions.values(), key=lambda one: one.used) if len(self._sessions) >= IN_ALL else []
        for one in [*own[: max(0, len(own) - PER_PERSON + 1)], *every[:1]]:
            self.end(one)
        now = self._monotonic()
        session = Session(
            name,
            password,
            databases,
            is_officer=name in self._settings.officers,
            is_reviewer=name in self._settings.reviewers,
            began=now,
            used=now,
        )
        token = secrets.token_urlsafe(32)
        session.digest = _digest(token)
        self._sessions[session.digest] = session
        return token, session

    def find(self, token: str) -> Session | None:
        """Whose token this is; None when nobody's, or when the session has ended. It counts as used."""
        session = self._sessions.get(_digest(token))
        if session is None:
            return None
        if self._is_over(session):
            self.end(session)
            return None
        session.used = self._monotonic()
        return session

    def end(self, session: Session) -> None:
        """Safe to call again."""
        if self._sessions.pop(session.digest, None) is not None:
            session.password = ""
            for ending in session.endings:
                ending()

    def sweep(self) -> None:
        """End those that are over."""
        for session in [one for one in self._sessions.values() if self._is_over(one)]:
            self.end(session)

    def end_all(self) -> None:
        for session in list(self._sessions.values()):
            self.end(session)

    def _is_over(self, session: Session) -> bool:
        now = self._monotonic()
        return now - session.began >= self._settings.session or now - session.used >= self._settings.idle


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
