"""Sink: where records go. FileSink: an append-only file of chained lines, and beside it a head that knows its end.

What the two files prove, together with ``verify``:

- The chain: no record was altered, inserted, exchanged or removed *before* the last one, unless every record from
  there to the end was written anew.
- The head, ``<path>.head``: number and hash of the last record, rewritten in place after each flush. No whole record
  was removed at the end, unless the head was rewritten with it.

What they do not prove: there is no secret in them, so somebody who may write both files can write a new history with
a new head. Against that keep the head's line, now and then, where such a person cannot write (another machine, a
ticket, paper): ``verify`` prints it. And a record says what the gateway was told: a client's ``application_name`` is
its own claim.

A crash between the two writes of a flush leaves the head behind the log: that is accepted, since nothing is missing,
when the log still has the record that the head knows. After a power cut, with durability ``written``, the kernel may
have lost records that were already acted on: the head is then ahead of the log, the gateway writes that down in a
``repaired`` record, and ``verify`` reports it; ``fsync`` excludes this.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, time_ns
from typing import Any, Final, Literal, Protocol

from nlsql_gateway.audit.head import HEAD_SIZE, Head, head_line, head_path
from nlsql_gateway.audit.record import GENESIS, MAX_RECORD, Record, RepairedRecord, Time, seal, unseal
from nlsql_gateway.errors import AuditError

_BLOCK = 64 * 1024

LOOK_S: Final = 1.0
"""Seconds after which the log is looked for by its name again: a file that was moved away is found out no later."""


class Sink(Protocol):
    """The whole seam to an audit log."""

    def add(self, record: Record) -> None:
        """Take ``record``: the next ``flush`` keeps it. Raises AuditError when it can never be kept."""

    def flush(self) -> None:
        """Keep what was added. When this returns, it is kept; else AuditError, none of it is kept, nothing may run."""

    def close(self) -> None:
        """Let go of the log. Nothing may be added after it; what was not flushed is not kept."""


class FileSink:
    """The log in the file ``path``, made when missing and continued when there. One writer a file.

    ``durability``: ``written`` returns when the kernel has the record, ``fsync`` when the disk has (this blocks for
    the disk's time). Not for several threads. Raises AuditError: another gateway has the file, it cannot be written,
    or its last record was altered.
    """

    def __init__(
        self,
        path: Path,
        *,
        durability: Literal["written", "fsync"],
        clock: Callable[[], Time] = time_ns,
    ) -> None:
        self._path = path
        self._fsync = durability == "fsync"
        self._torn = False
        "The file may be longer than ``_size``: a failed append could not be taken back."
        self._seq, self._prev, self._size = 0, GENESIS, 0
        "The last record's number and hash, what was only added included; the bytes of the log up to the last kept."
        self._kept_seq, self._kept_prev = 0, GENESIS
        "The last kept record's number and hash."
        self._look_again = 0.0
        "Seconds of a monotonic clock."
        self._lines: list[bytes] = []
        "Added and not kept yet."
        self._kept = b""
        "What the head file holds. A start that cannot write down what it found wrong leaves it: it is the evidence."
        self._log = self._head = -1
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._log = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            _lock(self._log, path)
            self._head = os.open(head_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._continue(clock)
            if self._fsync:
                _fsync_folder(path.parent)
        except OSError as error:
            self.close()
            raise AuditError(f"audit log {path}: {error.strerror}", hint="see the setting audit.path") from error
        except BaseException:
            self.close()
            raise

    def add(self, record: Record) -> None:
        self._add(record)

    def flush(self) -> None:
        if not self._lines:
            return
        lines = b"".join(self._lines)
        try:
            self._check_file()
            self._write(lines)
        except OSError as error:
            self._take_back()
            self._seq, self._prev = self._kept_seq, self._kept_prev
            raise AuditError(
                f"the audit log cannot be written: {error.strerror or error}", hint="nothing runs that is not recorded"
            ) from error
        finally:
            self._lines.clear()
        self._kept_seq, self._kept_prev = self._seq, self._prev
        self._size += len(lines)

    def check(self) -> None:
        """Whether the log is still the file that it was. Raises AuditError."""
        try:
            self._look_again = 0.0
            self._check_file()
        except OSError as error:
            raise AuditError(f"the audit log cannot be written: {error.strerror or error}") from error

    def close(self) -> None:
        for descriptor in (self._log, self._head):
            if descriptor >= 0:
                with suppress(OSError):
                    os.close(descriptor)  # gives the lock back, too
        self._log = self._head = -1

    def _add(self, record: Record | RepairedRecord) -> None:
        try:
            line, digest = seal(record, self._seq + 1, self._prev)
        except ValueError as error:
            raise AuditError(f"a record cannot be written as JSON: {error}") from error
        if len(line) > MAX_RECORD:
            raise AuditError(f"a record of {len(line)} bytes is over the limit of {MAX_RECORD}")
        self._lines.append(line)
        self._seq += 1
        self._prev = digest

    def _check_file(self) -> None:
        """Others can remove or change the file under our lock, which binds only those who ask for it."""
        if self._torn:
            os.ftruncate(self._log, self._size)
            self._torn = False
        found = os.fstat(self._log)
        now = monotonic()
        if found.st_nlink == 0 or (now >= self._look_again and not self._is_in_place(found)):
            raise OSError("the file was moved or deleted while the gateway had it open")
        if found.st_size != self._size:
            raise OSError("the file was changed by somebody else while the gateway had it open")
        if now >= self._look_again:
            self._look_again = now + LOOK_S

    def _is_in_place(self, found: os.stat_result) -> bool:
        try:
            return os.path.samestat(self._path.stat(), found)
        except FileNotFoundError:
            return False

    def _write(self, lines: bytes) -> None:
        """One write for all lines, then the head: together they cost as much as for one."""
        self._torn = True
        if os.write(self._log, lines) != len(lines):
            raise OSError("no space left for whole records")
        if self._fsync:
            os.fdatasync(self._log)
        head = head_line(self._seq, self._prev)
        os.pwrite(self._head, head, 0)
        if self._fsync:
            os.fdatasync(self._head)
        self._kept = head
        self._torn = False

    def _take_back(self) -> None:
        """A line that is half there, or was not acknowledged, goes: the chain stays whole for the next append."""
        if self._torn:
            with suppress(OSError):  # then the next append tries again
                os.ftruncate(self._log, self._size)
                self._torn = False
                os.pwrite(self._head, self._kept, 0)

    def _continue(self, clock: Callable[[], Time]) -> None:
        """Find the end of the log and of the chain; move a torn last line aside; write down what was found wrong."""
        size = os.fstat(self._log).st_size
        last, self._size = _last_line(self._log, size)
        before = ""
        if last is not None:
            record = self._unsealed(last)
            self._seq, self._prev, before = record["seq"], record["hash"], record["prev"]
            self._kept_seq, self._kept_prev = self._seq, self._prev
        self._kept = os.pread(self._head, HEAD_SIZE + 1, 0)
        verdict, lost = self._compare(Head.parse(self._kept), size, before)
        torn_file = self._move_torn(size) if size > self._size else ""
        if verdict == "whole":
            self._kept = head_line(self._seq, self._prev)
            os.pwrite(self._head, self._kept, 0)
        if torn_file or verdict != "whole":
            self._add(
                RepairedRecord(
                    id=f"repaired-{self._seq + 1}",
                    time=clock(),
                    torn_file=torn_file,
                    torn_bytes=size - self._size,
                    end=verdict,
                    lost=lost,
                )
            )
            self.flush()
        os.ftruncate(self._head, HEAD_SIZE)  # a damaged one may have been longer

    def _unsealed(self, line: bytes) -> dict[str, Any]:
        try:
            return unseal(line)
        except ValueError as error:
            raise AuditError(
                f"audit log {self._path}: the last record is damaged: {error}",
                hint="nlsql-gateway audit verify tells more; to begin a new log move it and its .head file away",
            ) from error

    def _compare(
        self, head: Head | None, size: int, before: str
    ) -> tuple[Literal["whole", "ahead", "missing", "differs"], int | None]:
        """What the head says of the log, and how many records are lost."""
        if head is None:
            return ("whole", 0) if size == 0 else ("missing", None)
        if head.seq > self._seq:
            return "ahead", head.seq - self._seq
        known = {0: GENESIS, self._seq: self._prev, self._seq - 1: before or GENESIS}
        found = known[head.seq] if head.seq in known else self._hash_of(head.seq)
        return ("whole", 0) if found == head.hash else ("differs", None)

    def _hash_of(self, seq: int) -> str:
        """Of the record ``seq``, looked for from the log's start: a power cut left the head far behind, or somebody
        wrote the log anew and longer. Empty: not found."""
        with self._path.open("rb") as log, suppress(ValueError):
            while line := log.readline(MAX_RECORD + 1):
                record = unseal(line.removesuffix(b"\n"))
                if record["seq"] == seq:
                    return str(record["hash"])
        return ""

    def _move_torn(self, size: int) -> str:
        """Move what stands after the last whole line to a side file; its name."""
        number = 1
        while (side := self._path.with_name(f"{self._path.name}.torn-{number}")).exists():
            number += 1
        target = os.open(side, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            position = self._size
            while position < size:
                position += os.write(target, os.pread(self._log, min(_BLOCK, size - position), position))
            os.fsync(target)
        finally:
            os.close(target)
        os.ftruncate(self._log, self._size)
        return side.name


def _lock(descriptor: int, path: Path) -> None:
    """flock(2): held by the open file, so that it ends with the process however that ends."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise AuditError(f"audit log {path}: not a regular file")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise AuditError(
            f"audit log {path}: another gateway is writing to it", hint="give each gateway its own audit.path"
        ) from error


def _last_line(descriptor: int, size: int) -> tuple[bytes | None, int]:
    """The last line that ends with a line feed (without it) and where it ends. Reads the file's end only."""
    start, tail = size, b""
    while start > 0 and tail.count(b"\n") < 2 and len(tail) <= 2 * MAX_RECORD:
        length = min(max(_BLOCK, len(tail)), start)  # doubling keeps a long line linear
        start -= length
        tail = os.pread(descriptor, length, start) + tail
    end = tail.rfind(b"\n")
    if end < 0:
        return None, 0
    return tail[tail.rfind(b"\n", 0, end) + 1 : end], start + end + 1


def _fsync_folder(folder: Path) -> None:
    """A new file's name is on the disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
