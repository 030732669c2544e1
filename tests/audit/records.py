"""Records and logs for the tests of this room."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from nlsql_gateway.audit import DecisionRecord, ExecutionRecord, FileSink, OutcomeRecord, Record

TIME: Final = datetime(2026, 3, 1, 12, 30, 15, 250000, tzinfo=UTC)

DECISION: Final = DecisionRecord(
    id="d1",
    time=TIME,
    user="ada",
    address="127.0.0.1:4711",
    application_name="psql",
    database="shop",
    connection="c1",
    protocol="simple",
    text='SELECT "é", \'\\\' FROM customers\n-- ,"id":"x","hash":"' + "0" * 64 + '"',
    question=None,
    sql="SELECT 1",
    verdict="allow",
    reason="",
    sqlstate="00000",
    rules=("row_filter public.customers",),
    relations=("public.customers",),
    functions=(),
    model="",
    model_version="",
    attempts=0,
    confidence=None,
    policy="a" * 64,
    catalog="b" * 64,
)
EXECUTION: Final = ExecutionRecord(
    id="e1", time=TIME, decision="d1", connection="c1", user="ada", parameters=("5", None)
)
OUTCOME: Final = OutcomeRecord(
    id="e1", time=TIME, connection="c1", sqlstate="00000", rows=3, bytes=120, duration_ms=1.25
)
RECORDS: Final[tuple[Record, ...]] = (DECISION, EXECUTION, OUTCOME, replace(DECISION, id="d2", confidence=0.5))


def write_log(path: Path, *records: Record) -> Path:
    sink = FileSink(path, durability="written", clock=lambda: TIME)
    for record in records or RECORDS:
        sink.append(record)
    sink.close()
    return path
