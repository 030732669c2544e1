"""What ``nlsql-gateway audit …`` does with logs, keys and signed heads."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from nlsql_gateway import audit
from nlsql_gateway.admission.looking import VALUES
from nlsql_gateway.audit import consistency as proofs
from nlsql_gateway.audit import receipt as receipts
from nlsql_gateway.audit import report as counting
from nlsql_gateway.audit import searching
from nlsql_gateway.audit.keys import PublicKeys, key_id, make_key, public_keys, public_path, signing_key
from nlsql_gateway.audit.published import Published
from nlsql_gateway.audit.schema import schema as schema
from nlsql_gateway.audit.searching import Wanted
from nlsql_gateway.config_audit import Audit
from nlsql_gateway.errors import AuditError, ConfigError
from nlsql_gateway.printing import rendered


def verify(path: Path, heads: Path | None = None, keys: Sequence[Path] = ()) -> tuple[bool, str]:
    """Whether the log is whole, and a line that says so or names the first bad record; several when there are chains.

    With ``heads``, signed by one of ``keys``, also whether it is the log that was signed. Raises AuditError.
    """
    published = None if heads is None else Published.read(heads, public_keys(keys))
    if isinstance(published, audit.Broken):
        assert heads is not None
        return False, f"broken: {heads.name}: {published}"
    results = audit.verify_all(path, published)
    several = len(results) > 1
    lines = []
    for chain, result in results.items():
        name = f"{chain.name}: " if several else ""
        match result:
            case audit.Whole():
                lines.append(f"whole: {name}{result.records} records, last hash {result.head}{_agreed(result, heads)}")
            case audit.Broken():
                lines.append(f"broken: {name}{result}")
    found = [result for result in results.values() if isinstance(result, audit.Whole)]
    whole = len(found) == len(results)
    if several:
        records = sum(result.records for result in found)
        broken = len(results) - len(found)
        lines.append(
            f"whole: {len(found)} chains, {records} records" if whole else f"broken: {broken} of {len(results)}"
        )
    if whole and heads is not None and not any(result.agreed for result in found):
        return False, "\n".join([*lines, f"not proved: {heads.name} has no head of this log"])
    return whole, "\n".join(lines)


def _agreed(result: audit.Whole, heads: Path | None) -> str:
    if heads is None:
        return ""
    if not result.agreed:
        return "; no signed head covers it yet" if result.records else ""
    return f"; {result.agreed} signed heads agree, the last at record {result.covered}"


def tail(path: Path, count: int, *, follow: bool) -> Iterator[str]:
    """The last ``count`` records as readable lines; with ``follow`` those that come, for ever. Raises AuditError."""
    found = audit.Tail(path)
    yield from map(audit.readable, found.last(count))
    while follow:
        records = found.new()
        yield from map(audit.readable, records)
        if not records:
            time.sleep(0.2)


def keygen(path: Path) -> str:
    """A line that says what was made. Raises ConfigError."""
    name = make_key(path)
    return f"private: {path}\npublic:  {public_path(path)}\nkey id:  {name}"


def writable(settings: Audit) -> str:
    """For ``check``: what the section says, when the files can be written. Raises AuditError, ConfigError."""
    there = [chain for chain in audit.chains(settings.path) if chain.exists()]
    targets = [*there, *([] if settings.path in there else [_folder(settings.path)])]
    signed = ""
    if settings.heads is not None:
        signed = f", heads signed by {key_id(signing_key(settings.heads.key).public_key())[:16]}…"
        targets.append(settings.heads.file if settings.heads.file.exists() else _folder(settings.heads.file))
    for target in targets:
        if not os.access(target, os.W_OK):
            raise AuditError(f"{target} cannot be written")
    return f"{settings.path}, {settings.durability}{signed}"


def _folder(path: Path) -> Path:
    """The one above it that is there."""
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    return folder


def receipt(path: Path, name: str, heads: Path, keys: Sequence[Path]) -> str:
    """The text of a receipt for the record ``name``. Raises AuditError, ConfigError."""
    return receipts.text(receipts.make(path, name, _published(heads, public_keys(keys))))


def consistency(path: Path, old: Path, heads: Path, keys: Sequence[Path]) -> str:
    """The text of a proof that ``path`` goes on from the first head in ``old``. Raises AuditError, ConfigError."""
    known = public_keys(keys)
    kept = _published(old, known).first()
    if kept is None:
        raise AuditError(f"signed heads {old}: there is none")
    return proofs.text(proofs.make(path, kept, _published(heads, known)))


def _published(heads: Path, keys: PublicKeys) -> Published:
    published = Published.read(heads, keys)
    if isinstance(published, audit.Broken):
        raise AuditError(f"signed heads {heads}: {published}")
    return published


def check_receipt(file: Path, keys: Sequence[Path]) -> tuple[bool, str]:
    """Whether it proves what it says, and lines that say what that is. Raises AuditError, ConfigError."""
    known = public_keys(keys)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise AuditError(f"receipt {file}: {error.strerror}") from error
    try:
        if _kind(content) == "consistency":
            return True, _goes_on(proofs.check(content, known))
        found, records = receipts.check(content, known)
    except ValueError as error:
        return False, f"not proved: {error}"
    head = found.head
    shown = [
        f"record {entry.index + 1}: {audit.readable(record)}"
        for entry, record in zip(found.entries, records, strict=True)
    ]
    return True, "\n".join([f"proved: {audit.plain(found.id)} in {audit.plain(head.chain)}, by {head}", *shown])


def _kind(content: bytes) -> object:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found.get("kind") if isinstance(found, dict) else None


def _goes_on(found: proofs.Consistency) -> str:
    return f"proved: {audit.plain(found.new.chain)}, by {found.new}, goes on from the log of {found.old}"


def write_new(path: Path, text: str) -> None:
    """Readable for nobody else: it has statements. Raises ConfigError: the file is there already, or cannot be."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def report(paths: Sequence[Path], since: datetime | None, until: datetime | None, style: str) -> tuple[str, str]:
    """Who read which table, as ``printing.rendered`` has it; and what is not known, or nothing. Raises AuditError."""
    found = counting.Report()
    for path in paths:
        counting.add(found, path, since=stamp(since), until=stamp(until), aside=[VALUES])
    doubts = [
        f"{number} {what}"
        for number, what in (
            (found.damaged, "damaged lines were not counted: nlsql-gateway audit verify says more"),
            (found.unknown, "runs of prepared statements were not counted: what they read was decided too long before"),
        )
        if number
    ]
    return rendered(counting.COLUMNS, found.rows(), style), "\n".join(doubts)


def stamp(moment: datetime | None) -> str:
    """As records have it; without a zone it is UTC."""
    aware = _aware(moment)
    if aware is None:
        return ""
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def search(
    path: Path,
    since: datetime | None,
    until: datetime | None,
    style: str,
    *,
    most: int,
    user: str,
    relation: str,
    verdict: str | None,
    words: str,
) -> Iterator[str]:
    """Lines, readable or JSON, of the newest ``most`` decisions that fit. Raises AuditError."""
    wanted = Wanted(user, relation, verdict or "", words, _aware(since), _aware(until))
    if not any(chain.exists() for chain in audit.chains(path)):
        raise AuditError(f"audit log {path}: there is none")
    cursor: tuple[int, ...] | None = None
    while most:
        found = searching.search(path, wanted, cursor, most=min(most, _PAGE))
        for entry in found.entries:
            record = entry.record
            yield (
                json.dumps(record) if style == "json" else f"{audit.plain(str(record['id']))}  {audit.readable(record)}"
            )
        most -= len(found.entries)
        cursor = found.older
        if cursor is None:
            return


_PAGE = 500
