"""Every target with its kept corpus, each crash of the past among it, and with a few new inputs."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import targets


@pytest.mark.parametrize("name", targets.TARGETS)
def test_the_kept_corpus_holds(name: str) -> None:
    inputs = targets.read(name)
    assert inputs, "a target has a corpus"
    for data in inputs:
        targets.TARGETS[name](data)


@pytest.mark.parametrize("name", targets.TARGETS)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=200))
def test_any_bytes_hold(name: str, data: bytes) -> None:
    targets.TARGETS[name](data)


def test_the_corpus_is_small_and_belongs_to_targets() -> None:
    files = list(targets.CORPUS.iterdir())
    assert {file.stem for file in files} == set(targets.TARGETS)
    assert sum(file.stat().st_size for file in files) < 1_000_000
