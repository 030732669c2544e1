"""A run written and read again is the same run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.evaluation.report import render
from nlsql_gateway.evaluation.written import Run, as_json, read
from tests.evaluation.results import ABOUT, many

RUN = Run(ABOUT, many(1, 20))


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(as_json(RUN)))
    assert read(path) == RUN


def test_what_stands_there() -> None:
    data = as_json(RUN)
    assert data["run"] == ABOUT
    assert data["totals"]["all"]["questions"] == len(data["questions"]) == 20
    for groups in ("set", "category", "database"):
        assert sum(found["questions"] for found in data["totals"][groups].values()) == 20
    assert (
        sum(found["questions"] for found in data["totals"]["difficulty"].values())
        == data["totals"]["all"]["answerable"]
    )
    assert {"threshold", "coverage", "precision"} == set(data["thresholds"][0])


def test_an_older_file(tmp_path: Path) -> None:
    """Without what came later; the name of a run is that of its folder."""
    data = json.loads(json.dumps(as_json(RUN)))
    del data["run"]["name"]
    for one in data["questions"]:
        del one["source"]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(data))
    run = read(path)
    assert run.about["name"] == tmp_path.name
    assert {result.source for result in run.results} == {""}
    assert "Side by side" in render(RUN, [run])


@pytest.mark.parametrize("change", [{"version": 2}, {"questions": [{}]}, {"questions": None}, {"run": 1}, {"run": {}}])
def test_what_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps({**as_json(RUN), **change}))
    with pytest.raises(ConfigError, match=r"results\.json"):
        read(path)
