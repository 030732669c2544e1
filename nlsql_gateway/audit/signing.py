"""Signing: the heads of all logs under one audit path, round by round, from a process beside the gateway.

Each log is read once, from its first line on, up to the record that its head file knows; from then on only what came
since. Before anything is signed the log must agree with all heads that were signed of it before, also by a process that
ended: who writes a log anew while nobody looks gets no signature. Such a fault stays; the log is tried again later.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import IO, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nlsql_gateway.audit.chains import chains
from nlsql_gateway.audit.head import HEAD_SIZE, Head, head_path
from nlsql_gateway.audit.heads import MAX_HEAD, Compared, SignedHead, TreeHead, head_text, sign
from nlsql_gateway.audit.keys import key_id
from nlsql_gateway.audit.published import Published
from nlsql_gateway.audit.record import GENESIS, MAX_RECORD, unseal
from nlsql_gateway.audit.verify import Broken
from nlsql_gateway.errors import AuditError

RETRY_S: Final = 600.0
"""Seconds after which a log that could not be signed is read again, from its first line."""


@dataclass(frozen=True, slots=True)
class Round:
    signed: list[SignedHead] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    "Of logs that were not signed, by the names of their files; only those that were looked at."


class Signer:
    """Of the logs under ``path``, into the file ``heads``, which is this signer's alone until ``close``.

    Raises AuditError: another signer has the file, it cannot be written, or what stands in it are no heads.
    """

    def __init__(
        self,
        path: Path,
        heads: Path,
        key: Ed25519PrivateKey,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._path = path
        self._key = key
        self._key_id = key_id(key.public_key())
        self._now = now
        self._heads = heads
        self._followed: dict[str, _Followed] = {}
        self._again: dict[str, float] = {}
        "Seconds of a monotonic clock: when a log with a fault is tried again."
        try:
            heads.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(heads, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise AuditError(f"signed heads {heads}: {error.strerror}", hint="see the setting audit.heads") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._cut_torn_line()
            found = Published.read(heads, None)
        except BlockingIOError as error:
            self.close()
            raise AuditError(f"signed heads {heads}: another process signs into this file") from error
        except BaseException:
            self.close()
            raise
        if isinstance(found, Broken):
            self.close()
            raise AuditError(f"signed heads {heads}: {found}", hint="to begin anew move it away with the logs")

    def round(self) -> Round:
        """Sign each log that grew. Raises AuditError: the heads cannot be written."""
        done = Round()
        for chain in chains(self._path):
            if self._again.get(chain.name, 0.0) > monotonic():
                continue
            try:
                followed = self._followed_to_its_head(chain)
                if followed is not None and followed.signed < followed.compared.tree.size:
                    head = sign(self._told(chain.name, followed), self._key)
                    self._keep(head)
                    followed.signed = head.size
                    done.signed.append(head)
                self._again.pop(chain.name, None)
            except _Fault as fault:
                self._followed.pop(chain.name, None)
                self._again[chain.name] = monotonic() + RETRY_S
                done.faults[chain.name] = str(fault)
        return done

    def latest(self) -> list[SignedHead]:
        """The last head of each log that stands in the file."""
        found: dict[str, SignedHead] = {}
        published = Published.read(self._heads, None)
        if isinstance(published, Published):
            for name in published.chains:
                for mark in published.of(name, ""):
                    found[name] = mark.head
        return list(found.values())

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _followed_to_its_head(self, chain: Path) -> _Followed | None:
        """None: the log has not begun."""
        followed = self._followed.get(chain.name)
        try:
            known = _head(chain)
            with chain.open("rb") as log:
                found = os.fstat(log.fileno())
                if followed is None or not followed.goes_on(log, found, known):
                    followed = _Followed(self._compared(chain.name), (found.st_dev, found.st_ino))
                    self._followed[chain.name] = followed
                log.seek(followed.offset)
                followed.read(log.readline, known)
        except FileNotFoundError as error:
            if followed is not None:
                raise _Fault("the log or its head file is gone") from error
            return None  # of one that has heads `verify` tells
        except OSError as error:
            raise _Fault(f"it cannot be read: {error.strerror}") from error
        return followed

    def _compared(self, name: str) -> Compared:
        published = Published.read(self._heads, None)
        if isinstance(published, Broken):
            raise _Fault(str(published))
        return Compared(lambda log: published.of(name, log))

    def _told(self, name: str, followed: _Followed) -> TreeHead:
        tree = followed.compared.tree
        return TreeHead(
            kind="head",
            version=1,
            chain=name,
            log=followed.compared.log,
            size=tree.size,
            root=tree.root().hex(),
            last=followed.last,
            time=self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            key=self._key_id,
        )

    def _keep(self, head: SignedHead) -> None:
        line = head_text(head) + b"\n"
        if len(line) > MAX_HEAD:
            raise _Fault("the name of its file is too long for a head")
        try:
            if os.write(self._file, line) != len(line):
                self._cut_torn_line()
                raise OSError("no space left for a whole line")
            os.fdatasync(self._file)
        except OSError as error:
            raise AuditError(f"signed heads {self._heads}: {error.strerror or error}") from error

    def _cut_torn_line(self) -> None:
        """A line that a process before, or a full disk, left unfinished: nobody was told of it."""
        size = os.fstat(self._file).st_size
        tail = os.pread(self._file, MAX_HEAD, max(0, size - MAX_HEAD))
        if not tail.endswith(b"\n") and tail:
            os.ftruncate(self._file, size - len(tail) + tail.rfind(b"\n") + 1)


class _Fault(Exception):
    """Why a log is not signed."""


@dataclass(slots=True)
class _Followed:
    """A log as far as it was read."""

    compared: Compared
    identity: tuple[int, int]
    "Of its file: device and inode."
    offset: int = 0
    last: str = GENESIS
    "The hash of the last record."
    signed: int = 0
    "Records."

    def goes_on(self, log: IO[bytes], found: os.stat_result, known: Head | None) -> bool:
        """Whether ``log`` looks like what was read before, continued; else it is read from its first line."""
        if self.identity != (found.st_dev, found.st_ino) or found.st_size < self.offset or known is None:
            return False
        if known.seq == self.compared.tree.size:
            return known.hash == self.last
        log.seek(self.offset)
        line = log.readline(MAX_RECORD + 1)
        try:
            return bool(unseal(line.removesuffix(b"\n"))["prev"] == self.last)
        except ValueError:
            return False

    def read(self, readline: Callable[[int], bytes], known: Head | None) -> None:
        """Up to the record that the log's head file knows. Raises _Fault."""
        before = self.compared.tree.size
        if known is None or known.seq < before:
            raise _Fault(f"its head file {'is damaged' if known is None else f'knows fewer records than {before}'}")
        line = b""
        for _ in range(known.seq - before):
            line = readline(MAX_RECORD + 1)
            if not line.endswith(b"\n"):
                raise _Fault(f"it has {self.compared.tree.size} records, and its head file knows {known.seq}")
            if fault := self.compared.append(line[:-1]):
                raise _Fault(fault)
            self.offset += len(line)
        if missing := self.compared.end():
            raise _Fault(missing)
        if line:
            self.last = _hash_of(line[:-1], known)
        if self.compared.latest is not None:
            self.signed = max(self.signed, self.compared.latest.size)


def _hash_of(line: bytes, known: Head) -> str:
    try:
        record = unseal(line)
    except ValueError as error:
        raise _Fault(f"record {known.seq}: {error}") from error
    if (record["seq"], record["hash"]) != (known.seq, known.hash):
        raise _Fault(f"record {known.seq} is not the one that its head file knows")
    return known.hash


def _head(chain: Path) -> Head | None:
    with head_path(chain).open("rb") as file:
        return Head.parse(file.read(HEAD_SIZE + 1))
