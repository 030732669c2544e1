"""Several chains under one audit path: none may go without being missed, however the number of workers changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlsql_gateway.audit import Broken, FileSink, Held, Tail, Whole, chain_path, chains, verify_all
from nlsql_gateway.audit.chains import list_path
from nlsql_gateway.audit.head import head_path
from nlsql_gateway.errors import AuditError
from tests.audit.records import DECISION, TIME, decision, write_log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log" / "audit.jsonl"


def serve(path: Path, workers: int) -> None:
    """What a gateway of so many processes leaves behind, a record in each log."""
    with Held(path, workers):
        for log in [path] if workers == 1 else [chain_path(path, worker) for worker in range(1, workers + 1)]:
            write_log(log, DECISION)


def names(path: Path) -> list[str]:
    return [chain.name for chain in chains(path)]


def broken(path: Path) -> list[str]:
    return [chain.name for chain, result in verify_all(path).items() if isinstance(result, Broken)]


def remove(log: Path) -> None:
    log.unlink()
    head_path(log).unlink()


def test_one_process_keeps_one_log_and_no_list(path: Path) -> None:
    serve(path, 1)
    assert sorted(file.name for file in path.parent.iterdir()) == ["audit.jsonl", "audit.jsonl.head"]
    assert list(verify_all(path)) == [path]


@pytest.mark.parametrize("counts", [(3,), (1, 3), (3, 1), (2, 4, 1, 3), (1, 1, 12)])
def test_every_chain_that_there_was_is_verified(path: Path, counts: tuple[int, ...]) -> None:
    for workers in counts:
        serve(path, workers)
    results = verify_all(path)
    records = sum(result.records for result in results.values() if isinstance(result, Whole))
    assert broken(path) == []
    assert records == sum(counts)
    expected = [f"audit-{number}.jsonl" for number in range(1, max(counts) + 1) if max(counts) > 1]
    assert names(path) == ["audit.jsonl"] * (1 in counts) + expected


@pytest.mark.parametrize("name", ["audit.jsonl", "audit-1.jsonl", "audit-2.jsonl", "audit-3.jsonl"])
def test_a_chain_that_is_gone_is_missed_and_a_restart_does_not_wipe_that_away(path: Path, name: str) -> None:
    serve(path, 1)
    serve(path, 3)
    serve(path, 2)
    remove(path.with_name(name))
    assert broken(path) == [name]
    for workers in (1, 2, 3, 4):
        with pytest.raises(AuditError, match="gone"):
            Held(path, workers)
    assert broken(path) == [name]


def test_a_log_without_its_head_and_a_head_without_its_log_are_broken(path: Path) -> None:
    serve(path, 2)
    head_path(chain_path(path, 1)).unlink()
    chain_path(path, 2).unlink()
    assert broken(path) == ["audit-1.jsonl", "audit-2.jsonl"]


def test_the_list_is_missed_too(path: Path) -> None:
    serve(path, 2)
    list_path(path).unlink()
    assert broken(path) == ["audit.jsonl.chains"]
    for workers in (1, 2):
        with pytest.raises(AuditError, match="is missing"):
            Held(path, workers)


@pytest.mark.parametrize("content", ["audit-1.jsonl\n../other\n", "audit-1.jsonl", "audit-0.jsonl\n", "\n"])
def test_a_damaged_list_is_unreadable(path: Path, content: str) -> None:
    serve(path, 1)
    list_path(path).write_text(content)
    with pytest.raises(AuditError, match="damaged"):
        verify_all(path)
    with pytest.raises(AuditError, match="damaged"):
        Held(path, 1)


def test_all_moved_away_together_is_a_new_beginning(path: Path, tmp_path: Path) -> None:
    serve(path, 2)
    path.parent.rename(tmp_path / "old")
    serve(path, 3)
    assert broken(path) == []
    assert broken(tmp_path / "old" / path.name) == []


def test_other_files_are_no_chains(path: Path) -> None:
    serve(path, 2)
    for name in ("audit-2026.jsonl", "audit-x.jsonl", "audit-1.jsonl.torn-1", "audit-01.jsonl", "other-1.jsonl"):
        path.with_name(name).write_text("")
    assert names(path) == ["audit-1.jsonl", "audit-2.jsonl"]


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1), (2, 3), (3, 2), (2, 2)])
@pytest.mark.parametrize("before", [(), (1,), (2,), (1, 2)])
def test_a_second_gateway_is_refused(path: Path, before: tuple[int, ...], first: int, second: int) -> None:
    for workers in before:
        serve(path, workers)
    with Held(path, first):
        writer = FileSink(path, durability="written") if first == 1 else None
        with pytest.raises(AuditError, match="another gateway"):
            Held(path, second)
        if writer is not None:
            writer.close()
    with Held(path, second):
        pass


def test_nothing_there_is_unreadable_as_for_one_log(path: Path) -> None:
    with pytest.raises(AuditError):
        verify_all(path)


def test_a_path_without_a_suffix(tmp_path: Path) -> None:
    serve(tmp_path / "audit", 2)
    assert names(tmp_path / "audit") == ["audit-1", "audit-2"]
    assert broken(tmp_path / "audit") == []


def test_the_tail_of_all_is_merged_by_time(path: Path) -> None:
    def record(number: int) -> None:
        log = chain_path(path, number % 3 + 1)
        write_log(log, decision(id=f"d{number}", time=TIME + number * 10**9))

    with Held(path, 3):
        for number in range(10):
            record(number)
        tail = Tail(path)
        assert [one["id"] for one in tail.last(4)] == ["d6", "d7", "d8", "d9"]
        assert len(tail.last(100)) == 10
        assert tail.last(0) == []
        assert tail.new() == []
        for number in range(10, 14):
            record(number)
        assert [one["id"] for one in tail.new()] == ["d10", "d11", "d12", "d13"]
        assert tail.new() == []
