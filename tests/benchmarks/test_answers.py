"""A small run: every figure is there, and the model was not asked for them."""

from __future__ import annotations

import json

from click.testing import CliRunner

from benchmarks.answers import main


def test_measures_every_way() -> None:
    done = CliRunner().invoke(main, ["--rounds", "3"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert set(found) == {"typed", "cached", "verified"}
    assert all(0 < times["p50"] <= times["p99"] for times in found.values())
