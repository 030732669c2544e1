"""Searching the logs of one audit path for decisions, the newest first, a page at a time and within bounds.

A cursor has a byte offset for each chain: what begins before it was not returned yet. It stays right while a gateway
writes, for logs only grow.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

from nlsql_gateway.audit.chains import chains
from nlsql_gateway.audit.record import MAX_RECORD
from nlsql_gateway.errors import AuditError

_BLOCK: Final = 256 * 1024
BUDGET: Final = 64 * 1024**2
"""Bytes of all chains that one search, or one look at an entry, reads; one longer record excepted."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What decisions must have; empty: anything. Words are compared without regard to case, as part of the field."""

    user: str = ""
    "Whole."
    relation: str = ""
    verdict: str = ""
    "allow, deny, error or shadow."
    words: str = ""
    "Of the text, the question or the reason."
    since: datetime | None = None
    until: datetime | None = None
    "Aware; decisions of this moment are not wanted any more."

    def fits(self, record: dict[str, Any]) -> bool:
        time = _time(record)
        texts = (record.get(name) or "" for name in ("text", "question", "reason", "answer"))
        return (
            (not self.user or str(record.get("user", "")).casefold() == self.user.casefold())
            and (not self.relation or any(_has(one, self.relation) for one in record.get("relations") or ()))
            and (not self.verdict or self._verdict(record))
            and (not self.words or any(_has(text, self.words) for text in texts))
            and (self.since is None or (time is not None and time >= self.since))
            and (self.until is None or (time is not None and time < self.until))
        )

    def _verdict(self, record: dict[str, Any]) -> bool:
        if self.verdict == "shadow":
            return bool(record.get("shadow"))
        return bool(record.get("verdict") == self.verdict)


@dataclass(frozen=True, slots=True)
class Entry:
    chain: int
    "Its place among ``chains``."
    offset: int
    "Of its line."
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    entries: list[Entry]
    "The newest first."
    older: tuple[int, ...] | None
    "The cursor to go on from; None: all was read."
    oldest: str = ""
    "The time of the oldest record that was looked at."


def search(
    path: Path, wanted: Wanted, cursor: tuple[int, ...] | None = None, *, most: int = 50, budget: int = BUDGET
) -> Found:
    """Decisions under the audit path ``path``. Raises AuditError: a log cannot be read."""
    logs = chains(path)
    starts = cursor if cursor is not None and len(cursor) == len(logs) else (None,) * len(logs)
    readers = [
        _Reader(number, log, wanted, start, budget // len(logs))
        for number, (log, start) in enumerate(zip(logs, starts, strict=True))
    ]
    entries: list[Entry] = []
    try:
        while len(entries) < most and (ahead := [reader for reader in readers if reader.peek() is not None]):
            newest = max(ahead, key=lambda reader: str(reader.peek_record().get("time", "")))
            entries.append(newest.take())
        left = tuple(reader.end for reader in readers)
    except OSError as error:
        raise AuditError(f"audit log {path}: {error.strerror}") from error
    finally:
        for reader in readers:
            reader.close()
    oldest = min((reader.oldest for reader in readers if reader.oldest), default="")
    return Found(entries, left if any(left) else None, oldest)


def entry(path: Path, chain: int, offset: int, *, budget: int = BUDGET) -> list[dict[str, Any]]:
    """The decision whose line begins at ``offset``, then its executions and outcomes, as far as ``budget`` reaches.

    Raises AuditError: there is no such decision.
    """
    logs = chains(path)
    if not (0 <= chain < len(logs) and offset >= 0):
        raise AuditError("there is no such entry")
    try:
        with logs[chain].open("rb") as log:
            return list(_entry(log, offset, budget))
    except OSError as error:
        raise AuditError(f"audit log {logs[chain]}: {error.strerror}") from error


def _entry(log: IO[bytes], offset: int, budget: int) -> Iterator[dict[str, Any]]:
    log.seek(max(0, offset - 1))
    begins = offset == 0 or log.read(1) == b"\n"
    decision = _parsed(log.readline(MAX_RECORD)) if begins else None
    if decision is None or decision.get("kind") != "decision":
        raise AuditError("there is no such entry")
    yield decision
    ids = {str(decision.get("id"))}
    while log.tell() - offset < budget and (line := log.readline(MAX_RECORD)):
        if any(one.encode() in line for one in ids) and (record := _parsed(line)) is not None:
            if record.get("kind") == "execution" and record.get("decision") in ids:
                ids.add(str(record.get("id")))
                yield record
            elif record.get("kind") == "outcome" and record.get("id") in ids:
                yield record


@dataclass(slots=True)
class _Reader:
    """One chain, from its end to its beginning."""

    number: int
    path: Path
    wanted: Wanted
    start: int | None
    budget: int
    end: int = 0
    "Where to go on: what begins before it was not taken."
    oldest: str = ""
    _log: IO[bytes] | None = None
    _lines: Iterator[tuple[int, bytes]] = field(default_factory=lambda: iter(()))
    _ahead: Entry | None = None
    _ahead_end: int = 0
    _begun: bool = False

    def peek(self) -> Entry | None:
        if not self._begun:
            self._begin()
        while self._ahead is None:
            found = next(self._lines, None)
            if found is None:
                return None
            offset, line = found
            record = _parsed(line) if b'"kind":"decision"' in line else None
            if record is not None and self.wanted.fits(record):
                self._ahead, self.end = Entry(self.number, offset, record), offset + len(line) + 1
            else:
                self.end = offset
            if record is not None:
                self.oldest = str(record.get("time", ""))
                since, time = self.wanted.since, _time(record)
                if since is not None and time is not None and time < since:
                    self._lines, self.end = iter(()), 0  # a chain is in the order of time
        return self._ahead

    def peek_record(self) -> dict[str, Any]:
        assert self._ahead is not None
        return self._ahead.record

    def take(self) -> Entry:
        assert self._ahead is not None
        taken, self._ahead = self._ahead, None
        self.end = taken.offset
        return taken

    def close(self) -> None:
        if self._log is not None:
            self._log.close()

    def _begin(self) -> None:
        self._begun = True
        try:
            self._log = self.path.open("rb")
        except FileNotFoundError:
            return
        size = self._log.seek(0, 2)
        self.end = size if self.start is None else min(self.start, size)
        self._lines = _backwards(self._log, self.end, self.budget)


def _backwards(log: IO[bytes], end: int, budget: int) -> Iterator[tuple[int, bytes]]:
    """Whole lines that end before ``end``, the last first, with their offsets; no more once ``budget`` bytes are read.

    At least one, if there is one.
    """
    start, rest, is_first, found = end, b"", True, False
    while start > 0 and not (found and end - start >= budget):
        length = min(_BLOCK, start)
        start -= length
        log.seek(start)
        lines = (log.read(length) + rest).split(b"\n")
        rest = lines.pop(0)
        at = start + len(rest) + 1 + sum(len(line) + 1 for line in lines)
        for line in reversed(lines):
            at -= len(line) + 1
            if not is_first:
                yield at, line
                found = True
            is_first = False  # behind the last line feed: nothing, or a line that is not finished
    if start == 0 and not is_first:
        yield 0, rest


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _time(record: dict[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(str(record.get("time")))
    except ValueError:
        return None


def _has(text: object, words: str) -> bool:
    return words.casefold() in str(text).casefold()
