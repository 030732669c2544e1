"""WatchedFile: what a file says, read again when the file changes. What cannot be used leaves what was before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog

from nlsql_gateway.errors import ConfigError

LOOK_S: Final = 1.0
"""Seconds between two looks at the file. It is read when two of them saw the same: not while somebody writes it."""

Seen = tuple[int, int, int] | None
"""Time of change, size and inode: what is renamed over it, or what a link points to instead, has another inode."""


_T = TypeVar("_T")


class WatchedFile(Generic[_T]):
    """Call it for what is in force: one reference, so that a reload is seen by all at once or not at all."""

    what = "file"
    "What the log calls it."

    def __init__(
        self,
        path: Path,
        text: str,
        load: Callable[[str], _T],
        log: structlog.stdlib.BoundLogger | None = None,
    ) -> None:
        """``text`` is what the file held; ``load`` makes a value of a text. Raises ConfigError.

        ``log`` None: somebody else tells.
        """
        self._path = path
        self._load = load
        self._log = log
        self._read = text
        "The last that was read, usable or not: a fault is told once."
        self._value = load(text)
        self.text = text
        "Of what is in force."
        self.is_refused = False
        "The file holds something else, which cannot be used; the log says why."
        self._seen = self._looked = self._look()
        self._asked = False

    def __call__(self) -> _T:
        return self._value

    def reload(self) -> None:
        """Read the file, though it seems to be the same, as soon as it rests."""
        self._asked = True

    def say(self) -> None:
        """Log what is in force."""
        if self._log is not None:
            self._log.info(f"{self.what} in force", **self.facts(self._value), file=str(self._path))

    def facts(self, value: _T) -> dict[str, str]:  # noqa: ARG002 - for who extends it
        """What the log tells of a value."""
        return {}

    def fixed(self, before: _T, after: _T) -> str:  # noqa: ARG002
        """What differs and cannot while connections are open; empty: nothing."""
        return ""

    async def watch(self) -> None:
        """Read the file when it has changed and rests. Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            before, self._looked = self._looked, self._look()
            if self._looked == before and (self._asked or self._looked != self._seen):
                self._take()

    def _take(self) -> None:
        """Whatever is wrong with the file leaves what is in force as it is."""
        text = ""
        try:
            text = self._path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            problem = f"{self._path}: {getattr(error, 'strerror', None) or error}"
        else:
            problem = ""
        if self._look() != self._looked:
            return  # somebody began to write: it is read when it rests again
        self._seen, self._asked = self._looked, False
        if problem:
            self._refused(problem)
        elif text == self._read:
            self.is_refused = text != self.text
        else:
            self._read = text
            try:
                self._replace(text, self._load(text))
            except ConfigError as error:
                self._refused(error.message, error.hint)
            except Exception as error:  # noqa: BLE001 - a gateway that serves does not end of a file
                self._refused(f"{self._path}: {type(error).__name__}", "a fault of the gateway: please report it")

    def _replace(self, text: str, value: _T) -> None:
        if fixed := self.fixed(self._value, value):
            self._refused(f"{self._path}: {fixed} cannot change while connections are open", "restart the gateway")
            return
        self._value, self.text, self.is_refused = value, text, False
        self.say()

    def _look(self) -> Seen:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def _refused(self, problem: str, hint: str = "") -> None:
        self.is_refused = True
        if self._log is not None:
            self._log.error(f"{self.what} not reloaded: the one before stays in force", problem=problem, hint=hint)
