"""The tools that need no environment of their own: the same through the gateway as without, but for known.yaml."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.bi import known
from tests.bi.running import run
from tests.bi.tool import Tool
from tests.bi.tools import TOOLS
from tests.bi.world import World, world

QUICK = [tool for tool in TOOLS if not (tool.requirements.exists() or tool.asks)]


@pytest.fixture(scope="module")
def both() -> Iterator[World]:
    with world() as running:
        yield running


@pytest.mark.parametrize("tool", QUICK, ids=lambda tool: tool.name)
def test_the_same_as_without_the_gateway(tool: Tool, both: World) -> None:
    if missing := tool.needs():
        assert os.environ.get("CI") != "true", missing  # noqa: TID251 - of the tests
        pytest.skip(f"needs {missing}")
    entries = known.read()
    done = run(tool, both)
    assert done.version
    assert sum(step.outcome == "same" for step in done.steps) > 20
    faults = [step for step in done.steps if step.outcome != "same" and known.why(tool.name, step, entries) is None]
    assert not faults, "\n".join(f"{step.person}, {step.name}: {step.outcome}\n{step.told()}" for step in faults)
    assert not known.stale([tool.name], [(tool.name, step) for step in done.steps], entries)
