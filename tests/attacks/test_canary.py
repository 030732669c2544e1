"""Mutated attacks against the canaries: 40,000 here, longer by ``python -m tests.attacks SECONDS``."""

from __future__ import annotations

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
