from __future__ import annotations

from pathlib import Path

from nlsql_gateway.server.headcount import Headcount, make, strike


def test_alone() -> None:
    count = Headcount()
    count.clients += 2
    count.clients -= 1
    assert (count.clients, count.total) == (1, 1)
    count.close()


def test_workers_see_each_other_and_a_dead_one_is_struck_off(tmp_path: Path) -> None:
    path = tmp_path / "headcount"
    make(path, 3)
    counts = [Headcount(path, worker, 3) for worker in range(3)]
    for worker, count in enumerate(counts):
        count.clients += worker + 1
    assert [count.clients for count in counts] == [1, 2, 3]
    assert [count.total for count in counts] == [6, 6, 6]
    strike(path, 1)
    assert counts[0].total == 4
    for count in counts:
        count.close()
