"""``nlsql-gateway audit replay`` on the database of company.sql: what two policies make of what was recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nlsql_gateway import audit_replay
from nlsql_gateway.audit import DecisionRecord
from nlsql_gateway.audit_replay import ASKS_INSIDE, DAMAGED, NO_SQL, OTHER_DATABASE, Replay, replay
from nlsql_gateway.policy import load
from tests.audit.records import DECISION, EXECUTION, OUTCOME, TIME, changed, decision, write_log
from tests.policy.test_against_postgres import Company, database
from tests.policy.test_tools import BASE

__all__ = ["database"]

HOURS = BASE.replace("reader:\n", "reader:\n    when: {hours: '08:00-10:00'}\n")


def asked(text: str, **members: Any) -> DecisionRecord:
    return decision(**{"text": text, "user": "eva", "id": text, **members})


def replayed(folder: Path, company: Company, new: str, *records: DecisionRecord, **bounds: str) -> Replay:
    path = write_log(folder / "audit.jsonl", *(of_company(record, company) for record in records))
    return replay([path], load(BASE, "old"), load(new, "new"), company.catalog, **bounds)


def of_company(record: DecisionRecord, company: Company) -> DecisionRecord:
    if record.origin.database != DECISION.origin.database:
        return record
    return changed(record, origin=replace(record.origin, database=company.catalog.database))


def told(done: Replay) -> list[tuple[str, str, str, int]]:
    return [(one.user, one.sign, one.what, one.statements) for one in done.found()]


def test_the_same_policy_changes_nothing(tmp_path: Path, database: Company) -> None:
    done = replayed(tmp_path, database, BASE, asked("SELECT id FROM customers"), asked("SELECT pay FROM staff"))
    assert (done.decided, told(done), done.left) == (2, [], {})


CHANGES = [
    ("hide: pay", "hide: [pay, id]", "SELECT id FROM staff", "-", "public.staff (column_denied)"),
    ("hide: pay", "hide: id", "SELECT pay FROM staff", "+", "public.staff (column_denied)"),
    ("public.customers, {", "{", "SELECT id FROM customers", "-", "public.customers (no_rule)"),
    ("= 'EU'", "= 'US'", "SELECT id FROM customers", "~", "public.customers (other rows, columns or values)"),
    ("version: 1", "version: 1\nlimits: {rows: 10}", "SELECT id FROM staff", "~", "public.staff (other limits)"),
    ("version: 1", "version: 1\nmode: shadow", "SELECT pay FROM staff", "+", "public.staff (column_denied)"),
]  # fmt: skip


@pytest.mark.parametrize(("part", "other", "text", "sign", "what"), CHANGES, ids=[row[4] for row in CHANGES])
def test_who_gains_and_loses(
    tmp_path: Path, database: Company, part: str, other: str, text: str, sign: str, what: str
) -> None:
    assert part in BASE
    done = replayed(tmp_path, database, BASE.replace(part, other), asked(text), asked(text))
    assert told(done) == [("eva", sign, what, 2)]


def test_of_a_question_its_sql_is_decided_on(tmp_path: Path, database: Company) -> None:
    question = asked("-- ask: who are our customers", answer="SELECT id FROM customers", question="who …")
    done = replayed(tmp_path, database, BASE.replace("public.customers, {", "{"), question)
    assert told(done) == [("eva", "-", "public.customers (no_rule)", 1)]


def test_roles_count_as_they_did_when_and_where_the_statement_came_from(tmp_path: Path, database: Company) -> None:
    hour = 3600 * 10**9  # TIME is half past twelve
    done = replayed(
        tmp_path, database, HOURS, asked("SELECT id FROM staff", time=TIME - 3 * hour), asked("SELECT id FROM staff")
    )
    assert told(done) == [("eva", "-", "public.staff (no_rule)", 1)]
    near = BASE.replace("reader:\n", "reader:\n    from: 10.0.0.0/8\n")
    done = replayed(
        tmp_path, database, near,
        asked("SELECT id FROM customers", address="10.1.2.3:4711"), asked("SELECT id FROM customers"),
    )  # fmt: skip
    assert ("eva", "-", "public.customers (no_rule)", 1) in told(done)


def test_what_cannot_be_decided_again_is_counted_by_why(tmp_path: Path, database: Company) -> None:
    path = write_log(tmp_path / "audit.jsonl", EXECUTION, OUTCOME)
    done = replayed(
        tmp_path, database, BASE,
        asked("SELECT id FROM staff", database="elsewhere"),
        asked("-- ask: what", question="what", verdict="error"),
        asked("-- ask: what", question="what"),
        asked("SELECT * FROM ask('what')", question="what", answer="SELECT 1"),
    )  # fmt: skip
    assert done.left == {OTHER_DATABASE: 1, NO_SQL: 2, ASKS_INSIDE: 1}
    assert done.decided == 0
    with path.open("ab") as log:
        log.write(b'{"kind":"decision"}\n{"kind":"decision"\n')
    again = replay([path], load(BASE, "old"), load(BASE, "new"), database.catalog)
    assert again.left == {**done.left, DAMAGED: 2}
    assert "2 left out: damaged" in again.words()


def test_what_the_policy_in_force_decides_otherwise_than_recorded_is_said(tmp_path: Path, database: Company) -> None:
    done = replayed(tmp_path, database, BASE, asked("SELECT pay FROM staff"), asked("SELECT id FROM staff"))
    assert (done.decided, done.drifted) == (2, 1)
    assert "1 of them otherwise than recorded" in done.words()


def test_bounds_and_the_last_of_them(tmp_path: Path, database: Company) -> None:
    new = BASE.replace("public.customers, {", "{")
    records = [asked("SELECT id FROM customers", id=f"d{n}", time=TIME + n * 10**9) for n in range(4)]
    done = replayed(tmp_path, database, new, *records, since="2026-03-01T12:30:16", until="2026-03-01T12:30:18.000000Z")
    (change,) = done.found()
    assert (change.statements, change.id) == (2, "d2")
    assert change.words() == "eva  - public.customers (no_rule): 2 statements, the last 2026-03-01T12:30:17Z, id d2"


def test_decisions_are_kept_within_bounds(tmp_path: Path, database: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_replay, "KEPT", 2)
    records = [asked(f"SELECT id FROM customers WHERE id = {n % 3}", id=str(n)) for n in range(9)]
    done = replayed(tmp_path, database, BASE.replace("public.customers, {", "{"), *records)
    assert told(done) == [("eva", "-", "public.customers (no_rule)", 9)]


def test_names_cannot_steer_a_terminal(tmp_path: Path, database: Company) -> None:
    new = BASE.replace("roles:\n", "default: reader\nroles:\n", 1)
    done = replayed(tmp_path, database, new, asked("SELECT id FROM staff", user="\x1b[2J"))
    assert [one.words().split("  ")[0] for one in done.found()] == ["\\u001b[2J"]
