"""No expression of the person's is computed on a row that the filter hides, however the server plans the query."""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from tests.attacks import house as house_of
from tests.attacks.hidden import query
from tests.attacks.house import House, traces

PLANS = [
    "",
    "enable_hashjoin=off enable_mergejoin=off",
    "enable_nestloop=off enable_hashjoin=off",
    "enable_seqscan=off enable_sort=off enable_hashagg=off",
    "debug_parallel_query=on parallel_setup_cost=0 parallel_tuple_cost=0 min_parallel_table_scan_size=0",
    "enable_material=off enable_memoize=off join_collapse_limit=1 from_collapse_limit=1",
]


def attack(house: House, plan: str, first: int, count: int) -> Counter[str]:
    """Raises AssertionError with the query whose error a hidden row has made."""
    for setting in plan.split():
        name, value = setting.split("=")
        house.outside.execute(f"ALTER ROLE attacked SET {name} = '{value}'")
    states: Counter[str] = Counter()
    try:
        with house.client() as wire:
            wire.socket.settimeout(60)
            wire.simple("SET statement_timeout = '10s'")
            for seed in range(first, first + count):
                text = query(random.Random(seed))
                answer = wire.simple(text)
                states[answer.states[0] if answer.states else "ran"] += 1
                assert answer.states != ["22012"], (seed, plan, text)
                assert not traces(answer.raw, text), (seed, plan, text)
    finally:
        house.outside.execute("ALTER ROLE attacked RESET ALL")
    return states


def test_the_error_means_something(house: House) -> None:
    """Without the filter about as many queries fail as could."""
    failed = 0
    for seed in range(200):
        try:
            house.outside.execute(query(random.Random(seed)))
        except Exception as error:  # noqa: BLE001 - any
            failed += "division by zero" in str(error)
    assert failed > 80


@pytest.mark.parametrize("plan", PLANS)
def test_no_hidden_row_is_computed(house: House, plan: str) -> None:
    count = 200 if "parallel" in plan else 500  # starting workers takes its time
    states = attack(house, plan, 1000 * PLANS.index(plan), count)
    assert states["ran"] > count / 2, states


def main(count: str = "100000", seed: str = "1000000") -> None:
    """``python -m tests.attacks.test_hidden QUERIES [SEED]``."""
    with tempfile.TemporaryDirectory(prefix="nlsql-attacks-") as folder, house_of.running(Path(folder)) as running:
        for number, plan in enumerate(PLANS):
            each = int(count) // len(PLANS)
            print(plan or "as it is", dict(attack(running, plan, int(seed) + number * each, each)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
