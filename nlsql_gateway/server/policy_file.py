"""PolicyFile: the policy in force, read again when its file changes. What cannot be used leaves the one before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.policy import Policy

LOOK_S: Final = 1.0
"""Seconds between two looks at the file. It is read when two of them saw the same: not while somebody writes it."""

Seen = tuple[int, int, int] | None
"""Time of change, size and inode: what is renamed over it, or what a link points to instead, has another inode."""


class PolicyFile:
    """Call it for the policy in force: one reference, so that a reload is seen by all at once or not at all."""

    def __init__(
        self,
        path: Path,
        text: str,
        load: Callable[[str], Policy],
        log: structlog.stdlib.BoundLogger | None = None,
    ) -> None:
        """``text`` is what the file held; ``load`` makes a policy of a text. Raises ConfigError.

        ``log`` None: somebody else tells.
        """
        self._path = path
        self._load = load
        self._log = log
        self._read = text
        "The last that was read, usable or not: a fault is told once."
        self._policy = load(text)
        self.text = text
        "Of the policy in force."
        self._seen = self._looked = self._look()
        self._asked = False

    def __call__(self) -> Policy:
        return self._policy

    def reload(self) -> None:
        """Read the file, though it seems to be the same, as soon as it rests."""
        self._asked = True

    def say(self) -> None:
        """Log which policy is in force."""
        if self._log is None:
            return
        self._log.info("policy in force", name=self._policy.name, version=self._policy.version, file=str(self._path))
        if self._policy.shadow_words:
            self._log.warning(self._policy.shadow_words)

    async def watch(self) -> None:
        """Read the file when it has changed and rests. Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            before, self._looked = self._looked, self._look()
            if self._looked == before and (self._asked or self._looked != self._seen):
                self._take()

    def _take(self) -> None:
        """Whatever is wrong with the file leaves the policy as it is."""
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
        elif text != self._read:
            self._read = text
            try:
                self._replace(text, self._load(text))
            except ConfigError as error:
                self._refused(error.message, error.hint)
            except Exception as error:  # noqa: BLE001 - a gateway that serves does not end of a file
                self._refused(f"{self._path}: {type(error).__name__}", "a fault of the gateway: please report it")

    def _replace(self, text: str, policy: Policy) -> None:
        if fixed := _fixed(self._policy, policy):
            self._refused(f"{self._path}: {fixed} cannot change while connections are open", "restart the gateway")
            return
        self._policy, self.text = policy, text
        self.say()

    def _look(self) -> Seen:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def _refused(self, problem: str, hint: str = "") -> None:
        if self._log is not None:
            self._log.error("policy not reloaded: the one before stays in force", problem=problem, hint=hint)


def _fixed(before: Policy, after: Policy) -> str:
    """What differs of what upstream connections were opened with: names are found by it, and writes stopped."""
    if before.pass_through != after.pass_through:
        return "pass_through"
    if before.search_path != after.search_path:
        return "search_path"
    if before.pins != after.pins:
        return "hash_key or a pinned setting"
    return ""
