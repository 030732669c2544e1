"""Mutated attacks against the canaries: 40,000 here, longer by ``python -m tests.attacks SECONDS``."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from tests.attacks.fuzzing import Fuzzer, fuzzing
from tests.attacks.house import House, traces
from tests.attacks.mutate import PLAIN


def test_the_detector_sees(house: House) -> None:
    """Of boss, who may read all, the same statements do show secrets."""
    with house.client("boss") as wire:
        shown = sum(bool(traces(wire.simple(text).raw, text)) for text in PLAIN)
        assert shown >= 12
        for secret in ("secret", "reverse(secret)", "md5(secret)", "encode(secret::bytea, 'base64')", "secret::bytea"):
            text = f"SELECT {secret} FROM canary LIMIT 1"
            assert traces(wire.simple(text).raw, text), secret


@pytest.fixture(scope="module")
def fuzzer(house: House) -> Iterator[Fuzzer]:
    with fuzzing(house) as found:
        yield found


@settings(max_examples=1600, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.integers(0, 2**40))
@example(0)
def test_no_mutation_leaks_or_changes_anything(fuzzer: Fuzzer, seed: int) -> None:
    """25 statements each; the seed of a failing batch and its statements are in the message."""
    fuzzer.batch(seed)


def test_the_fuzzer_reaches_the_database(fuzzer: Fuzzer) -> None:
    """What is refused at once proves little: a part must run."""
    before = Counter(fuzzer.counts)
    for seed in range(40):
        fuzzer.batch(seed)
    more = fuzzer.counts - before
    assert more["ran"] > more["statements"] / 50
    assert more["closed"] < 5


@pytest.mark.parametrize("timeout", ["transaction_timeout", "idle_session_timeout"])
def test_a_client_that_ends_its_own_session_is_no_finding(fuzzer: Fuzzer, timeout: str) -> None:
    """Mutations may come to set such a timeout; PostgreSQL then ends the session, as it would without the gateway."""
    before = fuzzer.counts["closed"]
    for text in (f"SET {timeout} = 20", "SELECT count(*) FROM generate_series(1, 3000000)"):
        fuzzer.one(random.Random(3), text, 0)
        time.sleep(0.1)
    fuzzer.one(random.Random(3), "SELECT 1", 0)
    assert fuzzer.counts["closed"] == before + 1


def test_a_connection_that_anything_else_closes_is_one(house: House, fuzzer: Fuzzer) -> None:
    fuzzer.one(random.Random(3), "SELECT 1", 0)
    house.outside.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'attacked'")
    with pytest.raises(AssertionError, match="no timeout of the client's own"):
        fuzzer.one(random.Random(3), "SELECT 1", 0)
