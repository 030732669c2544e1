"""Verification: read a log from first line to last and name the first bad record. sink.py says what that proves."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from nlsql_gateway.audit.head import HEAD_SIZE, Head, head_path
from nlsql_gateway.audit.heads import Compared
from nlsql_gateway.audit.record import GENESIS, MAX_RECORD, unseal
from nlsql_gateway.errors import AuditError


@dataclass(frozen=True, slots=True)
class Whole:
    records: int
    head: str
    "The hash of the last record: keep it elsewhere, and a later log must contain it."
    agreed: int = 0
    "Signed heads."
    covered: int = 0
    "Records, by the last of these heads."


@dataclass(frozen=True, slots=True)
class Broken:
    line: int
    "From 1; one after the last when records are missing at the end."
    seq: int | None
    "The number of the first bad record, or of the first that is missing; None when neither can be told."
    id: str
    "Of the record, as its line has it; empty when it has none."
    reason: str

    def __str__(self) -> str:
        known = "" if self.seq is None else f" (record {self.seq}{f', id {self.id}' if self.id else ''})"
        return f"line {self.line}{known}: {self.reason}"


def verify(path: Path, compared: Compared | None = None, *, patience: float = 0.1) -> Whole | Broken:
    """Check the log ``path`` and its head; one record in memory at a time. A gateway may be writing to it meanwhile.

    ``compared``: with signed heads, which were read before.
    ``patience``: seconds to wait for the rest of a line that a gateway may just be writing. Raises AuditError when the
    log cannot be read.
    """
    try:
        if not path.exists() and (head := _read_head(path)) is not None and head.seq > 0:
            return Broken(1, 1, "", f"the log is gone; its head file knows {head.seq} records")
        # The head first: a gateway that appends while we read leaves it behind what we find, never ahead.
        head = _read_head(path)
        with path.open("rb") as log:
            return _chain(log, head, compared, patience)
    except OSError as error:
        raise AuditError(f"audit log {path}: {error.strerror}") from error


def _read_head(path: Path) -> Head | None:
    try:
        with head_path(path).open("rb") as file:
            return Head.parse(file.read(HEAD_SIZE + 1))
    except FileNotFoundError:
        return None


def _chain(log: IO[bytes], head: Head | None, compared: Compared | None, patience: float) -> Whole | Broken:
    seq, prev = 0, GENESIS
    while line := _line(log, patience):
        broken = _check(line, seq + 1, prev, head)
        if isinstance(broken, Broken):
            return broken
        seq, prev = seq + 1, broken["hash"]
        if compared is not None and (fault := compared.append(line[:-1])):
            return Broken(seq, seq, str(broken.get("id", "")), fault)
    if head is None and seq > 0:
        return Broken(seq + 1, None, "", "the head file is missing or damaged: records after this line may be missing")
    if head is not None and head.seq > seq:
        gone = head.seq - seq
        return Broken(seq + 1, seq + 1, "", f"{gone} record{'s are' if gone > 1 else ' is'} missing at the end")
    if compared is None:
        return Whole(seq, prev)
    if fault := compared.end():
        return Broken(seq + 1, seq + 1, "", fault)
    return Whole(seq, prev, compared.agreed, 0 if compared.latest is None else compared.latest.size)


def _line(log: IO[bytes], patience: float) -> bytes:
    line = log.readline(MAX_RECORD + 1)
    if line and not line.endswith(b"\n") and len(line) <= MAX_RECORD:
        time.sleep(patience)
        line += log.readline(MAX_RECORD + 1 - len(line))
    return line


def _check(line: bytes, seq: int, prev: str, head: Head | None) -> dict[str, Any] | Broken:
    """``line`` must be record ``seq``, follow ``prev``, and be the one that the head knows by this number."""
    if not line.endswith(b"\n"):
        return Broken(seq, seq, "", "it ends in the middle of a record")
    try:
        record = unseal(line[:-1])
    except ValueError as error:
        return Broken(seq, seq, _claimed_id(line), str(error))
    found, name = record["seq"], str(record.get("id", ""))
    if found > seq:
        gone = f"record {seq} is" if found == seq + 1 else f"records {seq} to {found - 1} are"
        return Broken(seq, found, name, f"{gone} missing before it, or it was moved")
    if found < seq:
        return Broken(seq, found, name, "it is out of place: doubled, inserted or moved")
    if record["prev"] != prev:
        return Broken(seq, found, name, "it does not follow the record before it")
    if head is not None and head.seq == seq and head.hash != record["hash"]:
        return Broken(seq, found, name, "it is not the record that the head file knows by this number")
    if record.get("kind") == "repaired" and record.get("end") != "whole":
        return Broken(seq, found, name, _found_at_start(record))
    return record


def _claimed_id(line: bytes) -> str:
    """Of a record that was altered: its id, unless that is what was altered, helps to find what belongs to it."""
    found = re.search(rb',"id":"([\w.:-]{1,100})"', line)
    return found[1].decode() if found else ""


def _found_at_start(record: dict[str, Any]) -> str:
    when = f"when the gateway started at {record.get('time')}"
    if isinstance(record.get("lost"), int):
        return f"{record['lost']} records before it were missing {when}"
    return f"the head file was missing or did not fit {when}: records before it may be missing"
