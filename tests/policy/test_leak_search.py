"""Random statements on poisoned tables; 20,000 on each server by ``python -m tests.policy.leak_search``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.policy.leak_search import Server, find, servers

COUNT = 320


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    with servers(tmp_path_factory.mktemp("leaks")) as found:
        yield dict(found)


@pytest.mark.parametrize("name", ["PostgreSQL 18", "PostgreSQL 15"])
def test_no_answer_depends_on_a_hidden_row(running: dict[str, Server], name: str) -> None:
    if name not in running:
        pytest.skip("needs Debian's PostgreSQL 15")
    report = asyncio.run(find(running[name], 1, COUNT))
    assert not report.leaks, report.leaks[0]
    assert report.statements == COUNT
    assert report.open > COUNT * 0.15, report.lines()
    assert report.ran > COUNT * 0.4, report.lines()


def test_without_fences_the_search_finds_hidden_rows(running: dict[str, Server]) -> None:
    """So that the test above means something."""
    report = asyncio.run(find(running["PostgreSQL 18"], 1, 120, fences=False))
    assert len(report.leaks) > 5, report.lines()
