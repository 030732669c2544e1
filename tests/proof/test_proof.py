"""500 random queries three ways, and what once was found; 20,000 by ``make proof``."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.proof import grouped, world
from tests.proof.comparing import SAME, Arena, Ground, Report, compare, differ, query_for

SEEDS = (1, 2, 3, 4, 5)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("proof")
    with EmbeddedPostgres(folder, durable=False, settings={"autovacuum": "off"}) as postgres:
        yield Ground(postgres)


def test_the_gateway_answers_as_row_security_and_as_filtered_copies(ground: Ground) -> None:
    report = Report()
    for seed in SEEDS:
        differ(ground, seed, 80, report, enriched=seed > 3)
    assert not report.faults, report.faults[0]
    assert report.verdicts["same"] > report.queries * 0.4, report.lines()
    assert not report.overblocked, report.lines()
    assert len(report.constructs) > 25, report.lines()


def test_queries_as_sqlsmith_writes_them(ground: Ground) -> None:
    report = Report()
    for seed in (6, 7, 16):
        differ(ground, seed, 60, report, trees=True, enriched=seed == 7)
    print(report.lines())
    assert not report.faults, report.faults[0]
    assert report.same > SAME, report.lines()
    assert report.ran > report.queries * 0.9, report.lines()
    assert not report.overblocked, report.lines()
    assert len(report.constructs) > 40, report.lines()


def test_columns_for_aggregates_only(ground: Ground) -> None:
    outcome = grouped.Outcome()
    grouped.compare(ground, 4023, 8, outcome)
    assert not outcome.faults, outcome.faults[0]
    assert outcome.counts["same"] > 20, outcome.counts
    assert outcome.counts["forbidden"] > 40, outcome.counts
    assert not any(name.startswith("blocked") for name in outcome.counts), outcome.counts


def test_a_gateway_that_shows_smaller_groups_is_found(ground: Ground) -> None:
    outcome = grouped.Outcome()
    grouped.compare(ground, 4, 10, outcome, loosened=True)
    assert outcome.faults


@pytest.mark.parametrize("key", ["rows", "masks"])
def test_a_gateway_that_forgets_a_rule_is_found(ground: Ground, key: str) -> None:
    """So that the comparison means something."""
    seed = 1 if key == "rows" else 2
    document = yaml.safe_load(world.build(seed).policy())
    for rules in (document, *document["roles"].values()):
        rules.pop(key, None)
    report = Report()
    differ(ground, seed, 30, report, yaml.safe_dump(document))
    assert report.faults


def test_hypothesis_writes_the_queries(ground: Ground) -> None:
    """As above; what fails is made small."""
    of = world.build(11)
    with ground.gateway(of) as running, contextlib.ExitStack() as stack:
        arena = Arena(of, "nora", running.conninfo("nora"), ground.postgres.conninfo(running.database))
        stack.callback(arena.close)

        @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.randoms(use_true_random=False))
        def holds(chance: random.Random) -> None:
            report = Report()
            compare(arena, query_for(of, "nora", 0, chance), report)
            assert not report.faults, report.faults[0]

        holds()
