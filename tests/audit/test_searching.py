from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlsql_gateway.audit import chain_path
from nlsql_gateway.audit.searching import Entry, Wanted, entry, search
from nlsql_gateway.errors import AuditError
from tests.audit.records import DECISION, EXECUTION, OUTCOME, TIME, changed, decision, write_log

SECOND = 10**9


def ids(entries: list[Entry]) -> list[str]:
    return [one.record["id"] for one in entries]


def every(path: Path, wanted: Wanted, **bounds: int) -> list[str]:
    """All pages."""
    found: list[str] = []
    cursor: tuple[int, ...] | None = None
    for _ in range(1000):
        page = search(path, wanted, cursor, **bounds)
        found += ids(page.entries)
        if page.older is None:
            return found
        cursor = page.older
    raise AssertionError("it comes to no end")


def test_the_newest_first_a_page_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for n in range(120):
        write_log(path, changed(DECISION, id=f"d{n}"), changed(OUTCOME, id=f"d{n}"))
    first = search(path, Wanted(), most=50)
    assert ids(first.entries) == [f"d{n}" for n in range(119, 69, -1)]
    write_log(path, changed(DECISION, id="later"))
    assert first.older is not None
    assert ids(search(path, Wanted(), first.older, most=2).entries) == ["d69", "d68"]
    assert every(path, Wanted()) == ["later", *(f"d{n}" for n in range(119, -1, -1))]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(user="ADA"), ["refused", "asked", "d0"]),
        (Wanted(user="ad"), []),
        (Wanted(relation="CUSTOM"), ["asked", "d0"]),
        (Wanted(verdict="deny"), ["refused"]),
        (Wanted(verdict="shadow"), ["asked"]),
        (Wanted(words="how many"), ["asked"]),
        (Wanted(words="hidden"), ["refused"]),
        (Wanted(since=datetime.fromtimestamp(TIME / SECOND + 60, UTC)), ["refused"]),
        (Wanted(until=datetime.fromtimestamp(TIME / SECOND + 60, UTC)), ["other", "asked", "d0"]),
    ],
)
def test_what_is_wanted(tmp_path: Path, wanted: Wanted, found: list[str]) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(
        path,
        changed(DECISION, id="d0"),
        decision(id="asked", question="How many?", shadow="rows"),
        decision(id="other", user="petra", relations=("public.staff",)),
        decision(id="refused", verdict="deny", reason="hidden", relations=(), time=TIME + 90 * SECOND),
    )
    assert every(path, wanted) == found


def test_chains_are_merged_by_time(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for n in range(30):
        write_log(chain_path(path, n % 3 + 1), changed(DECISION, id=f"d{n}", time=TIME + n * SECOND))
    assert every(path, Wanted(), most=4) == [f"d{n}" for n in range(29, -1, -1)]


def test_a_log_that_is_torn_damaged_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    assert search(path, Wanted()).entries == []
    write_log(path, DECISION)
    path.write_bytes(b'{"kind":"decision" damaged}\n' + path.read_bytes() + b'{"kind":"decision","id":"torn"')
    assert every(path, Wanted()) == ["d1"]
    assert search(path, Wanted(), (10**12,)).entries[0].record["id"] == "d1"
    assert search(path, Wanted(), (1, 2, 3)).entries[0].record["id"] == "d1"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 600), min_size=1, max_size=12), st.integers(1, 4), st.integers(1, 3000))
def test_bounds_lose_nothing(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], most: int, budget: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "audit.jsonl"
    for n, size in enumerate(sizes):
        write_log(path, changed(DECISION, id=f"d{n}", text="x" * size), changed(OUTCOME, id=f"d{n}"))
    assert every(path, Wanted(), most=most, budget=budget) == [f"d{n}" for n in range(len(sizes) - 1, -1, -1)]


def test_what_is_too_old_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for n in range(20):
        write_log(path, changed(DECISION, id=f"d{n}", time=TIME + n * SECOND))
    since = datetime.fromtimestamp(TIME / SECOND, UTC) + timedelta(seconds=15, milliseconds=500)
    found = search(path, Wanted(since=since))
    assert (ids(found.entries), found.older) == (["d19", "d18", "d17", "d16"], None)
    assert found.oldest.startswith("2026-03-01T12:30:30")


def test_an_entry_with_what_followed(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    write_log(path, DECISION, changed(DECISION, id="d2"), EXECUTION, changed(OUTCOME, id="d2"), OUTCOME)
    (_, first) = search(path, Wanted()).entries
    assert [(one["kind"], one["id"]) for one in entry(path, first.chain, first.offset)] == [
        ("decision", "d1"), ("execution", "e1"), ("outcome", "e1"),
    ]  # fmt: skip


@pytest.mark.parametrize("where", [{"chain": 1}, {"chain": -1}, {"offset": 1}, {"offset": -1}, {"offset": 10**9}])
def test_no_such_entry(tmp_path: Path, where: dict[str, Any]) -> None:
    path = write_log(tmp_path / "audit.jsonl", DECISION, OUTCOME)
    second = path.read_bytes().index(b"\n") + 1
    for place in ({"chain": 0, "offset": 0, **where}, {"chain": 0, "offset": second}):
        with pytest.raises(AuditError, match="no such entry"):
            entry(path, **place)
