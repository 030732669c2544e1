"""Recorded statements decided again, under the policy in force and under another: who would gain and lose what.

Both policies decide with the database's tables as they are now and with each person's roles as they counted when and
where the statement came from. So what differs is the policies' doing. Nothing runs.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from nlsql_gateway.admission.reading import judged
from nlsql_gateway.admission.values import Judgement
from nlsql_gateway.audit import chains, plain
from nlsql_gateway.audit.reading import lines
from nlsql_gateway.policy import Policy, Principal
from nlsql_gateway.sql import Catalog

KEPT: Final = 10_000
"""Statements of people whose two decisions are kept for the next time."""


@dataclass(slots=True)
class Change:
    """What somebody gains (+), loses (-) or sees otherwise (~)."""

    user: str
    sign: str
    what: str
    statements: int = 0
    last: str = ""
    "The time of the last of them."
    id: str = ""
    "Of the last of them."

    def words(self) -> str:
        count = f"{self.statements} statement{'' if self.statements == 1 else 's'}"
        return plain(f"{self.user}  {self.sign} {self.what}: {count}, the last {self.last[:19]}Z, id {self.id}")


@dataclass(slots=True)
class Replay:
    decided: int = 0
    "Statements."
    drifted: int = 0
    "Of these: the policy in force decides otherwise now than was recorded."
    left: dict[str, int] = field(default_factory=dict)
    "Decisions that were not taken again, by why."
    changes: dict[tuple[str, str, str], Change] = field(default_factory=dict)

    def leave(self, why: str) -> None:
        self.left[why] = self.left.get(why, 0) + 1

    def found(self) -> list[Change]:
        return sorted(self.changes.values(), key=lambda one: (one.user, one.sign, one.what))

    def words(self) -> str:
        told = [f"{self.decided} statements decided again under both policies"]
        if self.drifted:
            told.append(f"{self.drifted} of them otherwise than recorded, by the policy in force too")
        return "; ".join([*told, *(f"{number} left out: {why}" for why, number in sorted(self.left.items()))])


OTHER_DATABASE: Final = "of another database"
NO_SQL: Final = "questions that did not become SQL"
ASKS_INSIDE: Final = "questions inside SQL"
DAMAGED: Final = "damaged"


def replay(
    paths: Sequence[Path], old: Policy, new: Policy, catalog: Catalog, *, since: str = "", until: str = ""
) -> Replay:
    """``since``, ``until``: times as in a record, the latter not included; empty: none. Raises AuditError."""
    done = Replay()
    deciding = _Deciding(old, new, catalog)
    for record in _decisions(paths, done):
        time = str(record["time"])
        if since <= time < (until or "~"):
            _one(record, deciding, done)
    return done


def _one(record: dict[str, Any], deciding: _Deciding, done: Replay) -> None:
    if record["database"] != deciding.catalog.database:
        done.leave(OTHER_DATABASE)
        return
    if record["verdict"] == "error":
        done.leave(NO_SQL)
        return
    found = deciding.both(record)
    if isinstance(found, str):
        done.leave(found)
        return
    before, after = found
    done.decided += 1
    done.drifted += before.verdict != record["verdict"]
    if (difference := _difference(before, after)) is not None:
        key = (str(record["user"]), *difference)
        change = done.changes.setdefault(key, Change(*key))
        change.statements += 1
        if record["time"] >= change.last:
            change.last, change.id = record["time"], record["id"]


def _difference(before: Judgement, after: Judgement) -> tuple[str, str] | None:
    """A sign, and what it is about."""
    if before.verdict != after.verdict:
        allowed, denied = (before, after) if before.verdict == "allow" else (after, before)
        return ("-" if allowed is before else "+"), f"{_tables(allowed)} ({denied.reason})"
    if before.verdict != "allow":
        return None
    if before.shadow != after.shadow:
        return "~", f"{_tables(after)} (shadow mode: {before.shadow or 'nothing'} -> {after.shadow or 'nothing'})"
    if before.sql != after.sql:
        return "~", f"{_tables(after)} (other rows, columns or values)"
    if before.limits != after.limits:
        return "~", f"{_tables(after)} (other limits)"
    return None


def _tables(judgement: Judgement) -> str:
    return ", ".join(judgement.relations) or "no table"


class _Deciding:
    def __init__(self, old: Policy, new: Policy, catalog: Catalog) -> None:
        self.catalog = catalog
        self._policies = (old, new)
        self._known: OrderedDict[tuple[str, ...], tuple[Judgement, Judgement] | str] = OrderedDict()

    def both(self, record: dict[str, Any]) -> tuple[Judgement, Judgement] | str:
        """What the two policies say, or why nothing can be said."""
        host = str(record["address"]).rpartition(":")[0]
        moment = datetime.fromisoformat(record["time"])
        people = [policy.present(record["user"], host, moment) for policy in self._policies]
        key = (*(person.known_as for person in people), record["text"], record["answer"])
        found = self._known.pop(key, None)
        if found is None:
            found = self._decided(record, people)
            if len(self._known) >= KEPT:
                self._known.popitem(last=False)
        self._known[key] = found
        return found

    def _decided(self, record: dict[str, Any], people: Sequence[Principal]) -> tuple[Judgement, Judgement] | str:
        found = []
        for person, policy in zip(people, self._policies, strict=True):
            judgement = judged(record["text"], person, policy, self.catalog)
            if judgement is None:  # a question: its SQL is what ran
                judgement = judged(record["answer"], person, policy, self.catalog) if record["answer"] else None
            elif record["answer"]:
                return ASKS_INSIDE
            if judgement is None:
                return NO_SQL
            found.append(judgement)
        return found[0], found[1]


def _decisions(paths: Sequence[Path], done: Replay) -> Iterator[dict[str, Any]]:
    for path in paths:
        for chain in chains(path):
            for line in lines(chain):
                if b'"kind":"decision"' in line:
                    record = _decision(line)
                    if record is None:
                        done.leave(DAMAGED)
                    else:
                        yield record


def _decision(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
        datetime.fromisoformat(record["time"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    texts = ("id", "text", "answer", "user", "address", "database", "verdict")
    return record if all(isinstance(record.get(name), str) for name in texts) else None
