from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest

from nlsql_gateway.audit import Broken, FileSink, Whole, last, verify
from nlsql_gateway.audit.head import head_path
from nlsql_gateway.audit.sink import LOOK_S
from nlsql_gateway.errors import AuditError
from tests.audit.records import DECISION, OUTCOME, RECORDS, TIME, changed, decision, keep, write_log


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Writing past ``size`` bytes of a file fails (EFBIG), as on a full disk: the part before is written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


def opened(path: Path, durability: Literal["written", "fsync"] = "written") -> FileSink:
    return FileSink(path, durability=durability, clock=lambda: TIME)


@pytest.mark.parametrize("durability", ["written", "fsync"])
def test_makes_folder_and_files_and_appends(tmp_path: Path, durability: Literal["written", "fsync"]) -> None:
    path = tmp_path / "a" / "b" / "audit.jsonl"
    sink = opened(path, durability)
    for record in RECORDS:
        keep(sink, record)
    sink.close()
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [line["kind"] for line in lines] == ["decision", "execution", "outcome", "decision"]
    assert [line["prev"] for line in lines] == ["0" * 64, *(line["hash"] for line in lines[:-1])]
    assert path.stat().st_mode & 0o777 == 0o600
    assert head_path(path).stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert verify(path) == Whole(4, lines[-1]["hash"])


def test_continues_the_chain(tmp_path: Path) -> None:
    path = write_log(tmp_path / "audit.jsonl")
    write_log(path)
    assert isinstance(whole := verify(path), Whole)
    assert whole.records == 8


def test_continues_after_a_record_longer_than_a_block(tmp_path: Path) -> None:
    path = write_log(tmp_path / "audit.jsonl", OUTCOME, changed(DECISION, text="x" * 300_000))
    write_log(path, OUTCOME)
    assert isinstance(whole := verify(path), Whole)
    assert whole.records == 3


def test_a_second_writer_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = opened(path)
    with pytest.raises(AuditError, match="another gateway is writing to it"):
        opened(path)
    keep(sink, OUTCOME)
    sink.close()
    opened(path).close()


def test_a_killed_writer_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    program = (
        "import pathlib, sys, time\nfrom nlsql_gateway.audit import FileSink\n"
        "sink = FileSink(pathlib.Path(sys.argv[1]), durability='written')\nprint('ready', flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(AuditError, match="another gateway"):
            opened(path)
        process.kill()
    opened(path).close()


@pytest.mark.parametrize("durability", ["written", "fsync"])
def test_what_was_acknowledged_before_a_kill_is_there(tmp_path: Path, durability: str) -> None:
    """Killed with SIGKILL at whatever it is doing, again and again; the log is whole and continued each time."""
    path = tmp_path / "audit.jsonl"
    program = (
        "import pathlib, sys\nfrom nlsql_gateway.audit import FileSink\n"
        "from tests.audit.records import DECISION, changed\n"
        "sink = FileSink(pathlib.Path(sys.argv[1]), durability=sys.argv[2])\n"
        "for number in range(10**9):\n"
        "    sink.add(changed(DECISION, id=f'{sys.argv[3]}-{number}', text='x' * (number % 3000))); sink.flush()\n"
        "    print(f'{sys.argv[3]}-{number}', flush=True)\n"
    )
    acknowledged: list[str] = []
    for attempt in range(6):
        command = [sys.executable, "-c", program, str(path), durability, str(attempt)]
        root = Path(__file__).parents[2]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root, text=True) as process:
            assert process.stdout is not None
            acknowledged.extend(process.stdout.readline().strip() for _ in range(50 + 37 * attempt))
            process.kill()
            acknowledged.extend(line.strip() for line in process.stdout if line.endswith("\n"))
    opened(path).close()
    assert isinstance(whole := verify(path), Whole)
    assert set(acknowledged) <= {record["id"] for record in last(path, whole.records)}


@pytest.mark.parametrize("path", ["/dev/full", "/dev/null", "/proc/nothing/audit.jsonl"])
def test_what_is_no_file_is_refused(path: str) -> None:
    with pytest.raises(AuditError, match=path):
        opened(Path(path))


def test_a_full_disk_takes_the_half_line_back_and_later_writes_work(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = opened(path)
    keep(sink, DECISION)
    size = path.stat().st_size
    for room in (0, 1, 100):
        with file_size_limit(size + room), pytest.raises(AuditError, match="cannot be written"):
            keep(sink, DECISION)
        assert path.stat().st_size == size
        assert verify(path) == Whole(1, last(path, 1)[0]["hash"])
    keep(sink, OUTCOME)
    sink.close()
    assert isinstance(whole := verify(path), Whole)
    assert whole.records == 2


def test_a_head_that_cannot_be_written_takes_the_line_back(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = opened(path)
    keep(sink, DECISION)
    size = path.stat().st_size
    readable = os.open(head_path(path), os.O_RDONLY)
    sink._head, writable = readable, sink._head
    with pytest.raises(AuditError, match="cannot be written"):
        keep(sink, DECISION)
    sink._head = writable
    os.close(readable)
    assert path.stat().st_size == size
    keep(sink, OUTCOME)
    sink.close()
    assert isinstance(whole := verify(path), Whole)
    assert whole.records == 2


def test_a_value_that_is_no_json_is_an_audit_error(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = opened(path)
    with pytest.raises(AuditError, match="JSON"):
        keep(sink, changed(OUTCOME, duration_ms=float("inf")))
    keep(sink, OUTCOME)
    sink.close()
    assert isinstance(verify(path), Whole)


def test_a_closed_sink_refuses(tmp_path: Path) -> None:
    sink = opened(tmp_path / "audit.jsonl")
    sink.close()
    sink.close()
    with pytest.raises(AuditError):
        keep(sink, OUTCOME)


def test_a_file_deleted_or_changed_meanwhile_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = opened(path)
    keep(sink, OUTCOME)
    with path.open("ab") as other:
        other.write(b"x")
    with pytest.raises(AuditError, match="changed by somebody else"):
        keep(sink, OUTCOME)
    os.truncate(path, path.stat().st_size - 1)
    keep(sink, OUTCOME)
    aside = path.rename(tmp_path / "elsewhere.jsonl")
    time.sleep(LOOK_S)
    with pytest.raises(AuditError, match="was moved or deleted"):
        keep(sink, OUTCOME)
    aside.rename(path)
    keep(sink, OUTCOME)
    path.unlink()
    with pytest.raises(AuditError, match="was moved or deleted"):
        keep(sink, OUTCOME)
    sink.close()
    assert str(verify(path)) == "line 1 (record 1): the log is gone; its head file knows 3 records"


def test_a_torn_last_line_is_moved_aside_and_written_down(tmp_path: Path) -> None:
    path = write_log(tmp_path / "audit.jsonl")
    for number, torn in ((1, b'{"half'), (2, b"\x00" * 200_000)):
        with path.open("ab") as log:
            log.write(torn)
        assert isinstance(verify(path), Broken)
        opened(path).close()
        side = path.with_name(f"audit.jsonl.torn-{number}")
        assert side.read_bytes() == torn
        assert side.stat().st_mode & 0o777 == 0o600
        repaired = last(path, 1)[0]
        assert (repaired["kind"], repaired["torn_file"], repaired["torn_bytes"]) == ("repaired", side.name, len(torn))
        assert (repaired["end"], repaired["lost"]) == ("whole", 0)
    assert isinstance(whole := verify(path), Whole)
    assert whole.records == 6


def test_a_first_line_that_was_never_finished(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    opened(path).close()
    path.write_bytes(b'{"half')
    opened(path).close()
    assert isinstance(whole := verify(path), Whole)
    assert whole.records == 1


def test_a_crash_between_append_and_head_is_no_loss(tmp_path: Path) -> None:
    path = write_log(tmp_path / "audit.jsonl")
    before = head_path(path).read_bytes()
    write_log(path, OUTCOME)
    head_path(path).write_bytes(before)
    assert isinstance(verify(path), Whole)
    write_log(path, OUTCOME)
    assert isinstance(whole := verify(path), Whole)
    assert whole.records == 6


def test_a_head_far_behind_is_no_loss(tmp_path: Path) -> None:
    """A power cut: the disk has the log's records and an old head."""
    path = write_log(tmp_path / "audit.jsonl")
    before = head_path(path).read_bytes()
    write_log(path)
    head_path(path).write_bytes(before)
    write_log(path, OUTCOME)
    assert isinstance(whole := verify(path), Whole)
    assert whole.records == 9


@pytest.mark.parametrize("length", [4, 5, 6])
def test_a_log_written_anew_stays_known_after_a_restart(tmp_path: Path, length: int) -> None:
    """The head is left alone by who does not know of it, however long the other log is."""
    path = write_log(tmp_path / "audit.jsonl")
    other = write_log(tmp_path / "other.jsonl", *[decision(user="eve")] * length)
    path.write_bytes(other.read_bytes())
    write_log(path, OUTCOME)
    assert isinstance(broken := verify(path), Broken)
    assert (broken.line, broken.id) == (length + 1, f"repaired-{length + 1}")


def test_a_start_that_cannot_write_down_a_loss_keeps_the_evidence(tmp_path: Path) -> None:
    path = write_log(tmp_path / "audit.jsonl")
    head = head_path(path).read_bytes()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    with file_size_limit(path.stat().st_size + 10), pytest.raises(AuditError):
        opened(path)
    assert head_path(path).read_bytes() == head
    opened(path).close()
    assert last(path, 1)[0]["lost"] == 2


@pytest.mark.parametrize("removed", [1, 3, 4])
def test_records_removed_at_the_end_stay_known_after_a_restart(tmp_path: Path, removed: int) -> None:
    path = write_log(tmp_path / "audit.jsonl")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-removed]))
    write_log(path, OUTCOME)
    assert last(path, 2)[0]["lost"] == removed
    broken = verify(path)
    assert isinstance(broken, Broken)
    assert broken.line == 5 - removed
    assert "missing when the gateway started" in broken.reason


@pytest.mark.parametrize("content", [None, b"", b"garbage", f"{4:020} {'f' * 64}\n".encode()])
def test_a_head_that_is_gone_or_differs_stays_known_after_a_restart(tmp_path: Path, content: bytes | None) -> None:
    path = write_log(tmp_path / "audit.jsonl")
    if content is None:
        head_path(path).unlink()
    else:
        head_path(path).write_bytes(content)
    assert isinstance(verify(path), Broken)
    write_log(path, OUTCOME)
    assert isinstance(broken := verify(path), Broken)
    assert (broken.line, broken.id) == (5, "repaired-5")


def test_an_altered_last_record_is_not_built_upon(tmp_path: Path) -> None:
    path = write_log(tmp_path / "audit.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"id":"d2"', b'"id":"d3"'))
    with pytest.raises(AuditError, match="the last record is damaged: it was altered"):
        opened(path)
