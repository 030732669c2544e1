"""Who read which table: each run once, whichever way it came, and nothing that did not run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlsql_gateway.audit import ExecutionRecord, OutcomeRecord, Record, chain_path, report
from nlsql_gateway.audit.report import Report, add
from nlsql_gateway.errors import AuditError
from tests.audit.records import EXECUTION, OUTCOME, changed, decision, write_log
from tests.audit.test_heads import folder

MARCH, APRIL, MAY = (int(datetime(2026, month, 10, 12, tzinfo=UTC).timestamp()) * 10**9 for month in (3, 4, 5))


def reads(name: str, *tables: str, **members: Any) -> Record:
    return decision(id=name, **{"time": MARCH, "relations": tables, "sql": "SELECT 1", **members})


def ends(name: str, rows: int, time: int = MARCH) -> OutcomeRecord:
    return changed(OUTCOME, id=name, rows=rows, time=time)


def runs(name: str, prepared: str, time: int = MARCH) -> ExecutionRecord:
    return changed(EXECUTION, id=name, decision=prepared, time=time)


def counted(path: Path, **bounds: Any) -> list[tuple[Any, ...]]:
    """Without the database and the time of the last."""
    return [(row[0], row[1], *row[3:7]) for row in whole(path, **bounds).rows()]


def whole(path: Path, **bounds: Any) -> Report:
    found = Report()
    add(found, path, **bounds)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def test_a_simple_statement_is_a_run_on_each_of_its_tables(path: Path) -> None:
    write_log(path, reads("d1", "public.a", "public.b"), ends("d1", 7), reads("d2", "public.a"), ends("d2", 1))
    assert counted(path) == [("2026-03", "ada", "public.a", 2, 8, 0), ("2026-03", "ada", "public.b", 1, 7, 0)]
    assert whole(path).rows()[0][2] == "shop"
    assert whole(path).rows()[0][7] == "2026-03-10T12:00:00Z"


def test_a_prepared_statement_runs_when_it_is_executed(path: Path) -> None:
    write_log(path, reads("d1", "public.a", protocol="extended"))
    assert counted(path) == []
    write_log(path, runs("e1", "d1"), ends("e1", 3), runs("e2", "d1", APRIL), ends("e2", 4, APRIL))
    assert counted(path) == [("2026-03", "ada", "public.a", 1, 3, 0), ("2026-04", "ada", "public.a", 1, 4, 0)]


def test_what_sql_prepared_runs_again(path: Path) -> None:
    write_log(path, reads("d1", "public.a"), ends("d1", 0), runs("e1", "d1"), ends("e1", 5))
    assert counted(path) == [("2026-03", "ada", "public.a", 2, 5, 0)]


def test_what_was_refused_and_what_was_answered_without_the_database(path: Path) -> None:
    write_log(
        path,
        reads("d1", "public.a", verdict="deny", sql=None),
        reads("d2", "public.a", sql=None),
        reads("d3", verdict="error", sql=None),
    )
    assert counted(path) == [("2026-03", "ada", "public.a", 0, 0, 1)]


def test_a_run_whose_end_was_never_recorded_is_a_run(path: Path) -> None:
    write_log(path, reads("d1", "public.a"))
    assert counted(path) == [("2026-03", "ada", "public.a", 1, 0, 0)]


def test_rows_that_went_to_nobody_are_put_aside(path: Path) -> None:
    write_log(path, reads("d1", "public.a", question="(values)"), ends("d1", 3), reads("d2", "public.b", question="q"))
    assert [row[2] for row in counted(path, aside=["(values)"])] == ["public.b"]


@pytest.mark.parametrize(
    ("bounds", "months"),
    [
        ({}, ["2026-03", "2026-04", "2026-05"]),
        ({"since": "2026-04-01T00:00:00.000000Z"}, ["2026-04", "2026-05"]),
        ({"until": "2026-04-01T00:00:00.000000Z"}, ["2026-03"]),
        ({"since": "2026-04-10T12:00:00.000000Z", "until": "2026-05-10T12:00:00.000000Z"}, ["2026-04"]),
        ({"since": "2026-04-10T12:00:00.000001Z", "until": "2026-05-10T12:00:00.000000Z"}, []),
    ],
)
def test_bounds(path: Path, bounds: dict[str, str], months: list[str]) -> None:
    write_log(path, reads("d0", "public.a", protocol="extended"))
    write_log(path, *(runs(f"e{time}", "d0", time) for time in (MARCH, APRIL, MAY)))
    assert [row[0] for row in counted(path, **bounds)] == months


def test_all_logs_of_a_path_and_several_paths(path: Path) -> None:
    for worker in (1, 2):
        write_log(chain_path(path, worker), reads("d1", "public.a"), ends("d1", worker))
    other = write_log(path.with_name("other.jsonl"), reads("d1", "public.a", user="emil"))
    found = Report()
    for one in (path, other):
        add(found, one)
    assert [row[1:2] + row[4:6] for row in found.rows()] == [("ada", 2, 3), ("emil", 1, 0)]


def test_names_that_are_no_utf8_and_damaged_lines(path: Path) -> None:
    write_log(path, reads("d1", "public.a", user="\udcff", text="\udc80"), ends("d1", 1))
    write_log(path, reads("d2", "public.a", sql="SELECT '\udc80'"), ends("d2", 1))
    with path.open("ab") as log:
        log.write(b'{"half":\n[]\n{"kind":"decision"}\nnot finished')
    found = whole(path)
    assert [row[1] for row in found.rows()] == ["ada", "\\udcff"]
    assert (found.records, found.damaged) == (7, 3)


def test_what_is_not_known_any_more_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "KEPT", 2)
    old, used, *others = (reads(name, f"public.{name}", protocol="extended") for name in ("old", "used", "x", "y"))
    write_log(path, old, used, runs("e1", "used"), others[0], runs("e2", "used"), others[1], runs("e3", "used"))
    write_log(path, runs("e4", "old"))
    assert counted(path) == [("2026-03", "ada", "public.used", 3, 0, 0)]
    assert whole(path).unknown == 1
    assert whole(path, until="2026-01-01").unknown == 0


def test_a_log_that_is_not_there(path: Path) -> None:
    with pytest.raises(AuditError, match="No such file"):
        whole(path)


STATEMENTS = st.lists(
    st.tuples(
        st.sampled_from(["ada", "emil"]),
        st.sampled_from([("public.a",), ("public.a", "public.b"), ()]),
        st.sampled_from(["simple", "extended", "denied"]),
        st.sampled_from([MARCH, APRIL]),
        st.lists(st.integers(0, 9), max_size=3),
    ),
    max_size=8,
)


@settings(deadline=None, max_examples=40)
@given(STATEMENTS)
def test_it_counts_as_one_would_by_hand(statements: list[Any]) -> None:
    records: list[Record] = []
    late: list[Record] = []
    expected: dict[tuple[str, str, str], list[int]] = {}
    for number, (user, tables, way, time, outcomes) in enumerate(statements):
        name = f"d{number}"
        protocol = "extended" if way == "extended" else "simple"
        denied = {"verdict": "deny", "sql": None} if way == "denied" else {}
        records.append(reads(name, *tables, user=user, time=time, protocol=protocol, **denied))
        rows = [0, 0, 1] if way == "denied" else [0, 0, 0]
        if way == "simple":
            rows = [1, sum(outcomes[:1]), 0]
            late += [ends(name, one) for one in outcomes[:1]]
        elif way == "extended":
            rows = [len(outcomes), sum(outcomes), 0]
            for run, one in enumerate(outcomes):
                records.append(runs(f"{name}-{run}", name, time))
                late.append(ends(f"{name}-{run}", one))
        for table in tables:
            key = (f"2026-0{3 if time == MARCH else 4}", user, table)
            expected[key] = [a + b for a, b in zip(expected.get(key, [0, 0, 0]), rows, strict=True)]
    with folder() as where:
        path = where / "audit.jsonl"
        if records:
            write_log(path, *records, *late)
        else:
            path.touch()
        found = {(month, user, table): list(rest) for month, user, table, *rest in counted(path)}
    assert found == {key: value for key, value in expected.items() if any(value)}
