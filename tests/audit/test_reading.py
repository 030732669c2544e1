from __future__ import annotations

from pathlib import Path

import pytest

from nlsql_gateway.audit import last, read_from, readable
from nlsql_gateway.errors import AuditError
from tests.audit.records import DECISION, OUTCOME, changed, decision, write_log


def test_last_gives_whole_records_oldest_first(tmp_path: Path) -> None:
    path = write_log(tmp_path / "audit.jsonl", *(changed(DECISION, id=f"d{n}") for n in range(300)))
    assert [record["id"] for record in last(path, 3)] == ["d297", "d298", "d299"]
    assert len(last(path, 1000)) == 300
    assert len(last(path, 299)) == 299
    assert last(path, 0) == []
    with path.open("ab") as log:
        log.write(b'{"half')
    assert [record["id"] for record in last(path, 1)] == ["d299"]


def test_read_from_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = write_log(tmp_path / "audit.jsonl", DECISION)
    first, offset = read_from(path, 0)
    assert [record["id"] for record in first] == ["d1"]
    assert read_from(path, offset) == ([], offset)
    write_log(path, OUTCOME)
    with path.open("ab") as log:
        log.write(b'{"half')
    second, after = read_from(path, offset)
    assert [record["id"] for record in second] == ["e1"]
    assert read_from(path, after) == ([], after)


def test_a_log_that_became_shorter_is_read_again(tmp_path: Path) -> None:
    path = write_log(tmp_path / "audit.jsonl", DECISION)
    assert len(read_from(path, 10**9)[0]) == 1


def test_a_record_longer_than_one_read(tmp_path: Path) -> None:
    path = write_log(tmp_path / "audit.jsonl", changed(DECISION, text="x" * 10_000_000), OUTCOME)
    records, offset = read_from(path, 0)
    assert [record["id"] for record in records] == ["d1"]
    assert [record["id"] for record in read_from(path, offset)[0]] == ["e1"]


@pytest.mark.parametrize("name", ["nothing.jsonl", "."])
def test_what_cannot_be_read_is_an_audit_error(tmp_path: Path, name: str) -> None:
    for attempt in (lambda: last(tmp_path / name, 1), lambda: read_from(tmp_path / name, 0)):
        with pytest.raises(AuditError):
            attempt()


def test_readable_lines(tmp_path: Path) -> None:
    denied = decision(verdict="deny", sqlstate="42501", reason="no_rule", text="SELECT *\nFROM " + "t" * 300)
    asked = decision(question="top customers?", text="-- ask: top customers?")
    path = write_log(tmp_path / "audit.jsonl", denied, asked, OUTCOME)
    lines = [readable(record) for record in last(path, 3)]
    assert lines[0].startswith("2026-03-01 12:30:15  ada@shop  deny 42501 no_rule  SELECT * FROM ttt")
    assert lines[0].endswith("t…")
    assert lines[1] == "2026-03-01 12:30:15  ada@shop  allow  ask: top customers?  id d1"
    assert lines[2] == "2026-03-01 12:30:15  c1  ended 00000  3 rows  1.25 ms"


def test_what_a_client_wrote_cannot_steer_the_terminal(tmp_path: Path) -> None:
    path = write_log(tmp_path / "audit.jsonl", decision(text="SELECT '\x1b[2J\u202e'", user="a\x07da"))
    line = readable(last(path, 1)[0])
    assert "\\u001b[2J\\u202e" in line
    assert line.isprintable()


def test_damage_is_said_not_raised(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"garbage\n[1]\n\xff\n")
    assert [readable(record) for record in last(path, 3)] == ["damaged record: see nlsql-gateway audit verify"] * 3
