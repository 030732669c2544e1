"""Records and logs for the tests of this room."""

from __future__ import annotations

import inspect
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from nlsql_gateway.audit import DecisionRecord, ExecutionRecord, FileSink, Origin, OutcomeRecord, Record, Ruling, Sink

T = TypeVar("T", DecisionRecord, ExecutionRecord, OutcomeRecord)

TIME: Final = int(datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC).timestamp()) * 10**9 + 250_000_999

ORIGIN: Final = Origin(
    user="ada",
    address="127.0.0.1:4711",
    application_name="psql",
    database="shop",
    connection="c1",
    protocol="simple",
)
RULING: Final = Ruling(
    verdict="allow",
    reason="",
    shadow="",
    sqlstate="00000",
    rules=("row_filter public.customers",),
    relations=("public.customers",),
    functions=(),
    question=None,
    answer="",
    model="",
    model_version="",
    attempts=0,
    cached=False,
    confidence=None,
    policy="a" * 64,
    catalog="b" * 64,
)
DECISION: Final = DecisionRecord(
    id="d1",
    time=TIME,
    text='SELECT "é", \'\\\' FROM customers\n-- ,"id":"x","hash":"' + "0" * 64 + '"',
    sql="SELECT 1",
    origin=ORIGIN,
    ruling=RULING,
)
EXECUTION: Final = ExecutionRecord(
    id="e1", time=TIME, decision="d1", connection="c1", user="ada", parameters=("5", None)
)
OUTCOME: Final = OutcomeRecord(
    id="e1", time=TIME, connection="c1", sqlstate="00000", rows=3, bytes=120, duration_ms=1.25, limit=""
)


def members_of(kind: type[object]) -> list[str]:
    """The names of a record's values."""
    return list(inspect.signature(kind).parameters)


def changed(record: T, **members: Any) -> T:
    """``record`` with other values."""
    return type(record)(**{name: getattr(record, name) for name in members_of(type(record))} | members)


def decision(**members: Any) -> DecisionRecord:
    """``DECISION`` with other values, wherever in it they stand."""
    parts: dict[str, Origin | Ruling] = {"origin": ORIGIN, "ruling": RULING}
    for name, part in parts.items():
        known = {field.name for field in fields(part)}
        members[name] = replace(part, **{key: members.pop(key) for key in known & set(members)})
    return changed(DECISION, **members)


RECORDS: Final[tuple[Record, ...]] = (
    DECISION,
    EXECUTION,
    OUTCOME,
    decision(id="d2", confidence=0.5),
)


def keep(sink: Sink, record: Record) -> None:
    sink.add(record)
    sink.flush()


def write_log(path: Path, *records: Record) -> Path:
    sink = FileSink(path, durability="written", clock=lambda: TIME)
    for record in records or RECORDS:
        keep(sink, record)
    sink.close()
    return path
