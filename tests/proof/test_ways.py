"""The same comparison by every way in: prepared, in binary, by cursors and COPY; behind PgBouncer; with workers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.proof.comparing import Ground, Report, differ
from tests.proof.ways import POOLED, WAYS
from tests.server.bouncer import PROGRAM


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("ways")
    with EmbeddedPostgres(folder, durable=False, settings={"autovacuum": "off"}) as postgres:
        yield Ground(postgres)


@pytest.mark.parametrize(("behind", "seed"), [("", 46), ("workers", 30), ("pgbouncer", 17)])
def test_every_way_in_gives_what_is_seen(ground: Ground, behind: str, seed: int) -> None:
    if behind == "pgbouncer" and PROGRAM is None:
        assert os.environ.get("CI") != "true", "CI installs pgbouncer"  # noqa: TID251
        pytest.skip("pgbouncer is not installed")
    report = Report()
    with ground.pooled() if behind == "pgbouncer" else contextlib.nullcontext(ground) as place:
        ways = POOLED if behind == "pgbouncer" else tuple(WAYS)
        for number in range(2):
            workers = 2 if behind == "workers" else 1
            differ(
                place, seed + number, 32, report, trees=number == 1, enriched=number == 1, ways=ways, workers=workers
            )
    assert not report.faults, report.faults[0]
    assert report.same > 0.6, report.lines()
    assert set(ways) - {"EXPLAIN"} <= set(report.constructs), report.lines()
    assert report.verdicts["EXPLAIN refused"], report.lines()
