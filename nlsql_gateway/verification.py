"""What ``nlsql-gateway verify`` does: a recorded question and its SQL become a verified question.

The SQL is the model's, before the policy changed it: whoever asks the question again has their own filters and masks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlsql_gateway import audit
from nlsql_gateway.ask import VERIFIED, load_semantics, normal
from nlsql_gateway.ask.verified_file import added
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.server.replacing import replace_file


@dataclass(frozen=True, slots=True)
class Recorded:
    """A question of the audit log."""

    id: str
    time: str
    user: str
    database: str
    question: str
    sql: str
    "As the model wrote it."
    model: str
    verdict: str
    rules: tuple[str, ...]
    outcome: str
    "How its run ended; empty: not known."


def find(
    path: Path,
    *,
    record_id: str | None = None,
    question: str | None = None,
    answered: tuple[str, str, str] | None = None,
) -> Recorded:
    """The decision with that id, or the last one on that question that was allowed.

    ``answered``: only those of this user, on this database, with this SQL of the model.

    Raises ConfigError when there is none, or it is none that can be verified; AuditError.
    """
    wanted = normal(question) if question is not None else None

    def fits(record: dict[str, Any]) -> bool:
        if record.get("kind") != "decision" or record.get("question") is None:
            return False
        if wanted is None:
            return bool(record["id"] == record_id)
        if record["verdict"] != "allow" or not record.get("answer") or normal(record["question"]) != wanted:
            return False
        return answered is None or (record["user"], record["database"], record["answer"]) == answered

    found: dict[str, Any] | None = None
    outcomes: dict[str, str] = {}
    for record in _records(path):
        if fits(record) and (found is None or record["time"] >= found["time"]):
            found = record
        elif record.get("kind") == "outcome" and found is not None and record["id"] == found["id"]:
            outcomes[found["id"]] = f"{record['sqlstate']}, {record['rows']} rows"
    if found is None:
        raise ConfigError(
            f"{path}: no question {record_id if question is None else question!r} is recorded",
            hint="nlsql-gateway audit tail shows the last ones; a refused one cannot be verified",
        )
    return _recorded(found, outcomes.get(found["id"], ""))


def _recorded(record: Mapping[str, Any], outcome: str) -> Recorded:
    if record["verdict"] != "allow":
        raise ConfigError(f"the question was refused: {record['sqlstate']} {record['reason']}")
    if not record.get("answer"):
        raise ConfigError("the record does not have the model's SQL", hint="ask the question again")
    if record["model"] == VERIFIED:
        raise ConfigError(f"the question is verified already, {record['model_version']}")
    return Recorded(
        record["id"],
        record["time"],
        record["user"],
        record["database"],
        record["question"],
        record["answer"],
        f"{record['model']} {record['model_version']}".rstrip(),
        record["verdict"],
        tuple(record["rules"]),
        outcome,
    )


def _records(path: Path) -> Iterator[dict[str, Any]]:
    for chain in audit.chains(path):
        if not chain.exists():
            continue
        offset = 0
        records: list[dict[str, Any]] = [{}]
        while records:
            records, offset = audit.read_from(chain, offset)
            yield from records


@dataclass(frozen=True, slots=True)
class Planned:
    """A recorded question on its way into the semantics file."""

    recorded: Recorded
    file: Path
    entry: dict[str, Any]
    now: str
    "What the policy says of it today."

    def shown(self) -> list[tuple[str, str]]:
        """Without control characters: what somebody asked cannot steer the terminal."""
        recorded, plain = self.recorded, audit.plain
        parameters = ", ".join(f"{name} ({of})" for name, of in self.entry.get("parameters", {}).items())
        rows = [
            (
                "asked",
                f"{recorded.time[:19].replace('T', ' ')} by {plain(recorded.user)} in {plain(recorded.database)}",
            ),
            ("question", plain(self.entry["question"])),
            *(("sql", plain(line)) for line in self.entry["sql"].splitlines()),
            ("parameters", parameters),
            ("model", plain(recorded.model)),
            ("verdict", "; ".join((recorded.verdict, *map(plain, recorded.rules)))),
            ("ran", recorded.outcome),
            ("today", plain(self.now)),
        ]
        return [row for row in rows if row[1]]


def write(planned: Planned, by: str, confirmed: Callable[[], bool]) -> bool:
    """Put the entry into the file when ``confirmed`` says so; whether it was. Raises ConfigError."""
    path, database, new = planned.file, planned.recorded.database, {**planned.entry, "verified_by": by}
    before = _text(path)
    if before.strip():
        said = normal(str(new["question"])).casefold()
        for one in load_semantics(before, str(path)).of(database).questions:
            if said in (normal(wording).casefold() for wording in one.wordings):
                raise ConfigError(f"{path}:{one.line}: the question is verified already, by {one.by} on {one.on}")
    after = added(before, database, new, str(path))
    load_semantics(after, str(path))
    if not confirmed():
        return False
    if _text(path) != before:
        raise ConfigError(f"{path}: somebody has changed it meanwhile", hint="run the command again")
    replace_file(path, after, keep_mode=True)
    return True


def _text(path: Path) -> str:
    try:
        return path.read_text() if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
