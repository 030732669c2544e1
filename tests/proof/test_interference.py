"""What is hidden changes no byte that the gateway sends, on PostgreSQL 18 and, where Debian's is installed, on 15."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.proof.comparing import Ground
from tests.proof.debian import Debian
from tests.proof.interference import interfere
from tests.server import debian_postgres

KEPT = 103
"""A world in which the long target once found a difference."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("interference")
    with EmbeddedPostgres(folder, durable=False, settings={"autovacuum": "off"}) as postgres:
        yield Ground(postgres)


@pytest.mark.parametrize(("seed", "enriched", "trees"), [(21, True, True), (KEPT, False, False)])
def test_what_is_hidden_changes_no_byte(ground: Ground, seed: int, enriched: bool, trees: bool) -> None:
    counts, faults = interfere(ground, seed, 40, enriched=enriched, trees=trees)
    assert not faults, faults[0]
    assert counts["rows"] > counts.total() / 5, counts  # most of PROVOKED fail, as they should
    assert counts["error"] > 0


def test_on_postgresql_15() -> None:
    programs = [program for program in debian_postgres.INSTALLED if "/15/" in str(program)]
    if not programs:
        assert os.environ.get("CI") != "true", "CI installs postgresql-15"  # noqa: TID251
        pytest.skip("postgresql-15 is not installed")
    with debian_postgres.running(programs[0], autovacuum="off") as port:
        counts, faults = interfere(Ground(Debian(port)), 22, 30, older=True, people=("nora",))
    assert not faults, faults[0]
    assert counts["rows"] > counts.total() / 5, counts
