"""Reading a log for people: the last records, those that came since, and one readable line for each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from nlsql_gateway.audit.record import MAX_RECORD
from nlsql_gateway.errors import AuditError

TEXT_WIDTH: Final = 100
"""Characters of a statement or question that a readable line shows."""

_BLOCK = 64 * 1024
_AT_ONCE = 8 * 1024**2
"""Bytes of records that one ``read_from`` returns at most, one long record excepted."""


def last(path: Path, count: int) -> list[dict[str, Any]]:
    """The last ``count`` whole records of the log ``path``, oldest first. Raises AuditError when it cannot be read."""
    if count <= 0:
        return []
    try:
        with path.open("rb") as log:
            start = log.seek(0, 2)
            blocks: list[bytes] = []
            lines = 0
            while start > 0 and lines <= count:
                length = min(_BLOCK, start)
                start -= length
                log.seek(start)
                blocks.append(log.read(length))
                lines += blocks[-1].count(b"\n")
    except OSError as error:
        raise AuditError(f"audit log {path}: {error.strerror}") from error
    whole = b"".join(reversed(blocks)).rpartition(b"\n")[0]
    return [_record(line) for line in whole.split(b"\n")[-count:] if line]


def read_from(path: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """The whole records of ``path`` from byte ``offset``, not necessarily all, and the offset to go on from.

    Call again until nothing comes; a line that is not finished comes later. A file that became shorter than
    ``offset`` is read from its beginning. Raises AuditError when it cannot be read.
    """
    try:
        with path.open("rb") as log:
            if log.seek(0, 2) < offset:
                offset = 0
            log.seek(offset)
            content = log.read(_AT_ONCE)
            if b"\n" not in content:
                content += log.readline(MAX_RECORD)
    except OSError as error:
        raise AuditError(f"audit log {path}: {error.strerror}") from error
    whole, feed, _ = content.rpartition(b"\n")
    return [_record(line) for line in whole.split(b"\n") if line], offset + len(whole) + len(feed)


def lines(path: Path) -> Iterator[bytes]:
    """The whole lines of the log ``path``, without line feeds, one in memory at a time. Raises AuditError."""
    try:
        with path.open("rb") as log:
            while (line := log.readline(MAX_RECORD + 1)).endswith(b"\n"):
                yield line[:-1]
    except OSError as error:
        raise AuditError(f"audit log {path}: {error.strerror}") from error


def readable(record: dict[str, Any]) -> str:
    """One line for a terminal. What clients wrote is shown without control characters: it cannot steer the terminal."""
    when = str(record.get("time", ""))[:19].replace("T", " ")
    match record.get("kind"):
        case "decision":
            who = f"{record.get('user')}@{record.get('database')}"
            verdict = str(record.get("verdict"))
            if verdict != "allow":
                verdict += f" {record.get('sqlstate')} {record.get('reason')}".rstrip()
            question = record.get("question")
            words = f"ask: {question}" if question is not None else str(record.get("text"))
            parts = [when, who, verdict, _short(words)]
            if question is not None:
                parts.append(f"id {record.get('id')}")  # `nlsql-gateway verify` asks for it
        case "execution":
            count = len(record.get("parameters") or ())
            parts = [when, str(record.get("user")), "execute", f"{count} parameter{'' if count == 1 else 's'}"]
        case "outcome":
            rows = f"{record.get('rows')} rows"
            parts = [
                when,
                str(record.get("connection")),
                f"ended {record.get('sqlstate')}",
                rows,
                f"{record.get('duration_ms')} ms",
            ]
        case "repaired":
            parts = [when, "repaired", f"head {record.get('end')}", f"{record.get('torn_bytes')} torn bytes"]
        case _:
            parts = ["damaged record: see nlsql-gateway audit verify"]
    return "  ".join(plain(part) for part in parts)


def _record(line: bytes) -> dict[str, Any]:
    """Damage is for ``verify`` to name; a reader goes on."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _short(text: str) -> str:
    words = " ".join(text[: 4 * TEXT_WIDTH].split())
    return words if len(words) <= TEXT_WIDTH else words[: TEXT_WIDTH - 1] + "…"


def plain(text: str) -> str:
    """Without control characters."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
