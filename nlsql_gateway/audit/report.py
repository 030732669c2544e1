"""Who read which table in which month: counted in one pass over the logs of an audit path.

Memory is bounded by people, tables and months, and by ``KEPT``: of so many statements in each log at a time it is known
what they read, until they end or, prepared ones, until others came.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import msgspec

from nlsql_gateway.audit.chains import chains
from nlsql_gateway.audit.reading import lines, plain

KEPT: Final = 100_000

T = TypeVar("T")


@dataclass(slots=True)
class Count:
    """Of one person on one table in one month."""

    runs: int = 0
    "Statements that read it and were sent to the database."
    rows: int = 0
    "That came back, of whatever these statements made of the table."
    refused: int = 0
    "Statements that would have read it."
    last: str = ""
    "The time of the last of them."


Key = tuple[str, str, str, str]
"""Month, user, database, table."""


@dataclass(slots=True)
class Report:
    counts: dict[Key, Count] = field(default_factory=dict)
    records: int = 0
    damaged: int = 0
    "Lines that are no records: nothing is known of them."
    unknown: int = 0
    "Runs of prepared statements of which is not known any more what they read."

    def rows(self) -> list[tuple[Any, ...]]:
        """As ``COLUMNS`` says; names without control characters, which could steer a terminal."""
        return [
            (*map(plain, key), count.runs, count.rows, count.refused, count.last[:19] + "Z")
            for key, count in sorted(self.counts.items())
        ]


COLUMNS: Final = ("month", "user", "database", "table", "runs", "rows", "refused", "last")


def add(found: Report, path: Path, *, since: str = "", until: str = "", aside: Collection[str] = ()) -> None:
    """The logs under the audit path ``path`` to ``found``.

    ``since``, ``until``: times as in a record; that of ``until`` is not counted any more. ``aside``: questions
    whose decisions are not counted, for their rows go to nobody. Raises AuditError: a log cannot be read.
    """
    for chain in chains(path):
        counting = _Counting(found, since, until or "~", frozenset(aside))
        for line in lines(chain):
            found.records += 1
            record = _read(line)
            if record is None:
                found.damaged += 1
            else:
                counting.add(record)


class _Record(msgspec.Struct):
    """What is counted of a record."""

    kind: str
    id: str
    time: str
    user: str = ""
    database: str = ""
    protocol: str = ""
    verdict: str = ""
    question: str | None = None
    relations: tuple[str, ...] = ()
    sql: msgspec.Raw = msgspec.Raw(b"null")
    decision: str = ""
    rows: int = 0


_DECODER: Final = msgspec.json.Decoder(_Record)


def _read(line: bytes) -> _Record | None:
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:  # bytes that were not UTF-8 stand as lone surrogates, which msgspec does not take
        found = json.loads(line)
        if not isinstance(found, dict):
            return None
        return msgspec.convert(found | {"sql": msgspec.Raw(b"null" if found.get("sql") is None else b"0")}, _Record)
    except (ValueError, TypeError, RecursionError):
        return None


class _Kept(Generic[T]):
    """The last ``KEPT`` that were used."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, T] = OrderedDict()

    def put(self, name: str, value: T) -> None:
        self._found[name] = value
        if len(self._found) > KEPT:
            self._found.popitem(last=False)

    def use(self, name: str) -> T | None:
        if name in self._found:
            self._found.move_to_end(name)
        return self._found.get(name)

    def take(self, name: str) -> T | None:
        return self._found.pop(name, None)


class _Counting:
    """Of one log."""

    def __init__(self, found: Report, since: str, until: str, aside: frozenset[str]) -> None:
        self._report = found
        self._since = since
        self._until = until
        self._aside = aside
        self._prepared: _Kept[tuple[str, str, tuple[str, ...]]] = _Kept()
        "User, database and tables of decisions on prepared statements, by their ids."
        self._running: _Kept[list[Count]] = _Kept()
        "By the ids of what runs."

    def add(self, record: _Record) -> None:
        match record.kind:
            case "decision":
                self._decision(record)
            case "execution":
                self._execution(record)
            case "outcome":
                for count in self._running.take(record.id) or ():
                    count.rows += record.rows

    def _decision(self, record: _Record) -> None:
        if record.question in self._aside:
            return
        if record.verdict != "allow":
            for count in self._counts(record, record.user, record.database, record.relations):
                count.refused += 1
        elif record.protocol == "extended":
            self._prepared.put(record.id, (record.user, record.database, record.relations))
        elif bytes(record.sql) != b"null":
            self._run(record, record.user, record.database, record.relations)
            # PREPARE and DECLARE in SQL: what their names stand for may run again.
            self._prepared.put(record.id, (record.user, record.database, record.relations))

    def _execution(self, record: _Record) -> None:
        prepared = self._prepared.use(record.decision)
        if prepared is not None:
            self._run(record, *prepared)
        elif self._is_within(record.time):
            self._report.unknown += 1

    def _run(self, record: _Record, user: str, database: str, relations: tuple[str, ...]) -> None:
        counts = list(self._counts(record, user, database, relations))
        for count in counts:
            count.runs += 1
        if counts:
            self._running.put(record.id, counts)

    def _counts(self, record: _Record, user: str, database: str, relations: tuple[str, ...]) -> Iterator[Count]:
        if self._is_within(record.time):
            for relation in relations:
                count = self._report.counts.setdefault((record.time[:7], user, database, relation), Count())
                count.last = max(count.last, record.time)
                yield count

    def _is_within(self, time: str) -> bool:
        return self._since <= time < self._until
