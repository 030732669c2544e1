from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from nlsql_gateway.audit import Broken, FileSink, Whole, verify
from nlsql_gateway.audit.head import head_path
from nlsql_gateway.errors import AuditError
from tests.audit.records import DECISION, OUTCOME, RECORDS, changed, keep, write_log


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "audit.jsonl")


def broken_at(path: Path) -> Broken:
    found = verify(path, patience=0)
    assert isinstance(found, Broken)
    return found


def test_an_empty_log_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    FileSink(path, durability="written").close()
    assert verify(path) == Whole(0, "0" * 64)


def test_every_flipped_byte_is_found_and_its_line_named(log: Path) -> None:
    content = log.read_bytes()
    for position in range(len(content)):
        altered = bytearray(content)
        altered[position] ^= 1 << position % 8
        log.write_bytes(altered)
        assert broken_at(log).line == content.count(b"\n", 0, position) + 1, position


def test_every_flipped_byte_of_the_head_is_found(log: Path) -> None:
    content = head_path(log).read_bytes()
    for position in range(len(content)):
        altered = bytearray(content)
        altered[position] ^= 0x01
        head_path(log).write_bytes(altered)
        broken_at(log)


def test_every_truncation_is_found(log: Path) -> None:
    content = log.read_bytes()
    for size in range(len(content)):
        log.write_bytes(content[:size])
        assert broken_at(log).line == content.count(b"\n", 0, size) + 1


@pytest.mark.parametrize("index", range(len(RECORDS)))
def test_every_removed_doubled_and_inserted_line_is_found(log: Path, tmp_path: Path, index: int) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    other = write_log(tmp_path / "other.jsonl", *(changed(DECISION, id=f"o{n}") for n in range(6)))
    strange = other.read_bytes().splitlines(keepends=True)
    for other_lines, line in (
        (lines[:index] + lines[index + 1 :], index + 1),
        (lines[: index + 1] + lines[index:], index + 2),
        ([*lines[:index], strange[index], *lines[index:]], index + 1),
        ([*lines[:index], strange[index], *lines[index + 1 :]], index + 1),
        ([*lines[:index], b"\n", *lines[index:]], index + 1),
    ):
        log.write_bytes(b"".join(other_lines))
        # A first record of another log is only known by what follows it, or by the head.
        assert broken_at(log).line in ({1, 2} if index == 0 else {line})


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(range(len(RECORDS)), 2)))
def test_every_swap_is_found(log: Path, first: int, second: int) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    lines[first], lines[second] = lines[second], lines[first]
    log.write_bytes(b"".join(lines))
    assert broken_at(log).line == first + 1


def test_a_record_added_without_the_gateway_by_its_own_rules_is_not_found(log: Path) -> None:
    """The limit that docs/audit.md states: there is no secret in the files."""
    head = head_path(log).read_bytes()
    write_log(log, OUTCOME)
    head_path(log).write_bytes(head)
    assert isinstance(verify(log), Whole)


def test_the_first_bad_record_is_named(log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([lines[0], *lines[2:]]))
    assert str(broken_at(log)) == "line 2 (record 3, id e1): record 2 is missing before it, or it was moved"
    log.write_bytes(b"".join([*lines[:2], lines[2].replace(b'"rows":3', b'"rows":4'), lines[3]]))
    assert str(broken_at(log)) == ("line 3 (record 3, id e1): it was altered: its hash is not that of its content")


def test_missing_records_at_the_end_are_counted(log: Path) -> None:
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    assert str(broken_at(log)) == "line 2 (record 2): 3 records are missing at the end"


@pytest.mark.parametrize("name", ["nothing.jsonl", "."])
def test_what_cannot_be_read_is_an_audit_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(AuditError):
        verify(tmp_path / name)


def test_while_a_gateway_appends(log: Path) -> None:
    sink = FileSink(log, durability="written")
    for _ in range(200):
        keep(sink, DECISION)
        assert isinstance(verify(log), Whole)
    sink.close()


def test_memory_stays_flat(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = FileSink(path, durability="written")
    for _ in range(200):
        keep(sink, changed(DECISION, text="x" * 400_000))
    sink.close()
    assert path.stat().st_size > 80_000_000
    program = (
        "import pathlib, resource, sys\nfrom nlsql_gateway.audit import verify\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(type(verify(pathlib.Path(sys.argv[1]))).__name__)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    output = subprocess.run([sys.executable, "-c", program, path], capture_output=True, check=True, text=True).stdout
    kind, grown = output.split()
    assert kind == "Whole"
    assert int(grown) < 20_000  # KiB


def test_the_documents_own_program_agrees(log: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
    program = text.split("```python\n")[1].split("```")[0]
    run = subprocess.run([sys.executable, "-c", program], cwd=log.parent, capture_output=True, text=True, check=True)
    assert isinstance(whole := verify(log), Whole)
    assert run.stdout.split()[:2] == [str(whole.records), whole.head]
    log.write_bytes(log.read_bytes().replace(b'"user":"ada"', b'"user":"eve"', 1))
    run = subprocess.run([sys.executable, "-c", program], cwd=log.parent, capture_output=True, text=True, check=False)
    assert "AssertionError: 1" in run.stderr
