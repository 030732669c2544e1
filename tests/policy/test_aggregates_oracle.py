"""Aggregates of protected columns against an oracle: random tables, joins, conditions and groups on a real server."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlsql_gateway.policy import Allow
from tests.policy.test_aggregates import Clinic, clinic

__all__ = ["clinic"]  # a fixture

_CONDITIONS = (
    "true",
    "s.id < {n}",
    "s.id <> {n}",
    "s.dept = 'd{n}'",
    "s.id % 3 = {n} % 3",
    "g = {n}",
    "s.id = {n} OR g = 1",
)
_SOURCES = (
    "staff s",
    "staff s CROSS JOIN (SELECT 1 AS g) g",
    "staff s JOIN generate_series(1, 3) g ON s.id % 2 = 0 OR g = 1",
    "staff s LEFT JOIN generate_series(1, 9) g ON g = s.id",
    "staff s RIGHT JOIN generate_series(1, 9) g ON g = s.id",
    "staff s FULL JOIN (SELECT id AS g FROM staff) t ON t.g = s.id + 1",
    "(staff s JOIN depts d ON s.dept = d.name) CROSS JOIN LATERAL (SELECT s.id % 4 AS g) g",
)
_GROUPS = (
    "s.dept",
    "s.id % 2",
    "g",
    "s.id",
    "ROLLUP (s.dept, g)",
    "GROUPING SETS ((g), (s.id % 2), ())",
    "generate_series(1, 5) / 4",
    "generate_series(1, s.id % 3)",
)


_PAIRS = [
    (source, group)
    for source in _SOURCES
    for group in (None, *_GROUPS)
    if source != "staff s" or not re.search(r"\bg\b", group or "")
]


@pytest.mark.parametrize(("source", "group"), _PAIRS)
@given(
    staff=st.lists(st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(-9, 9))), min_size=5, max_size=16),
    conditions=st.lists(st.tuples(st.sampled_from(_CONDITIONS), st.integers(0, 9)), max_size=1),
)
@settings(max_examples=4, deadline=None)
def test_every_row_is_of_enough_rows_that_each_count_once(
    clinic: Clinic,
    staff: list[tuple[int, int | None]],
    source: str,
    conditions: list[tuple[str, int]],
    group: str | None,
) -> None:
    """The oracle: which members each group has is computed on the bare tables, without the rewriting."""
    if source == "staff s":
        conditions = [one for one in conditions if "g " not in one[0]]
    where = " AND ".join(f"({text.format(n=n)})" for text, n in conditions) or "true"
    tail = f"FROM {source} WHERE {where}" + (f" GROUP BY {group}" if group else "")
    rewritten = clinic.decided(f"SELECT sum(s.pay), array_agg(s.id) {tail}")
    assert isinstance(rewritten, Allow), rewritten
    values = ", ".join(
        f"({n}, 'd{dept}', 'n', {'NULL' if pay is None else pay})" for n, (dept, pay) in enumerate(staff)
    )

    async def run() -> tuple[list[Any], list[Any]]:
        connection = await clinic.connect()
        try:
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute("DELETE FROM staff; DELETE FROM depts")
            await connection.execute(f"INSERT INTO staff (id, dept, name, pay) VALUES {values}")
            await connection.execute("INSERT INTO depts SELECT DISTINCT dept, 'c' FROM staff")
            got = await connection.fetch(rewritten.sql)
            everything = await connection.fetch(f"SELECT sum(s.pay), array_agg(s.id) {tail}")
            await transaction.rollback()
            return got, everything
        finally:
            await connection.close()

    got, everything = asyncio.run(run())

    def enough(members: list[int | None]) -> bool:
        present = [member for member in members if member is not None]
        return len(present) == len(set(present)) and sum(staff[member][1] is not None for member in present) >= 3

    def told(rows: list[Any]) -> list[str]:
        return sorted(repr((total, sorted(str(member) for member in members))) for total, members in rows)

    assert told(got) == told([row for row in everything if enough(row[1] or [])])
