"""``nlsql-gateway eval`` as a person runs it, on a gateway that runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.evaluation.command import Options, evaluate
from tests.e2e.harness import PASSWORDS
from tests.evaluation.house import Answers, running

COMMAND = Path(sys.executable).parent / "nlsql-gateway"
COUNT = "SELECT count(*) FROM numbers"


@pytest.fixture
def model() -> Answers:
    return Answers({"slow": COUNT, "wrong": "SELECT 7", "": COUNT}, pauses={"slow": 120})


@pytest.fixture
def config(postgres: EmbeddedPostgres, model: Answers, tmp_path: Path) -> Iterator[Path]:
    """Of a gateway that runs."""
    if postgres.execute("SELECT 1 FROM pg_database WHERE datname = 'numbers'") != "1":
        postgres.execute("CREATE DATABASE numbers")
        postgres.execute("CREATE TABLE numbers AS SELECT generate_series(1, 5) AS n", "numbers")
    with running(tmp_path, postgres, model, "numbers") as gateway:
        settings = yaml.safe_load(gateway.config.read_text())
        settings["listen"]["port"] = gateway.port
        gateway.config.write_text(yaml.safe_dump(settings))
        yield gateway.config


def questions(folder: Path, *words: str) -> Path:
    path = folder / "numbers.jsonl"
    lines = [
        {"id": str(number), "db": "numbers", "category": "c", "question": text, "gold": f"{COUNT}; SELECT 5"}
        for number, text in enumerate(words)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def command(file: Path, config: Path, *more: str) -> list[str]:
    out = file.parent / "out"
    return [str(COMMAND), "eval", str(file), "-c", str(config), "--as", "ada", "--out", str(out), *more]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PGPASSWORD": PASSWORDS["ada"], **more}  # noqa: TID251 - handed on, not read


def run(file: Path, config: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(file, config, *more), capture_output=True, text=True, timeout=60, env=environment())


def found(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "out" / "results.json").read_text())
    return data


def test_a_run_and_another_one_beside_it(config: Path, model: Answers, tmp_path: Path) -> None:
    file = questions(tmp_path, "How many?", "how many, wrong?")
    done = run(file, config)
    assert done.returncode == 0, done.stderr
    assert "right        1 of 2 (50.0%)" in done.stdout
    data = found(tmp_path)
    assert data["totals"]["all"]["strict_accuracy"] == 0.5
    assert data["totals"]["category"]["c"]["questions"] == 2
    assert [one["stage"] for one in data["questions"]] == ["right", "wrong rows"]
    assert data["run"]["models"] == ["double 7"]
    assert PASSWORDS["ada"] not in json.dumps(data["run"])
    assert "<h2>All questions</h2>" in (tmp_path / "out" / "report.html").read_text()
    (tmp_path / "out" / "results.json").rename(tmp_path / "old.json")
    model.answers = {"": COUNT}
    done = run(file, config, "--fresh", "--compare", str(tmp_path / "old.json"))
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "out" / "report.html").read_text()
    assert "Got right: 0" in report  # the wrong answer is in the gateway's cache
    assert found(tmp_path)["totals"]["all"]["cached"] == 2


def test_a_run_that_is_stopped_goes_on_where_it_was(config: Path, model: Answers, tmp_path: Path) -> None:
    file = questions(tmp_path, "One?", "Two?", "Three, slow?", "Four?")
    for stop in (signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(
            command(file, config, "--limit", "4"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        answers = tmp_path / "out" / "answers.jsonl"
        deadline = time.monotonic() + 100
        while not (answers.exists() and answers.read_text().count("\n") >= 3) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.2)
        process.send_signal(stop)
        _, said = process.communicate(timeout=120)
        if stop == signal.SIGINT:
            assert process.returncode == 1, said
            assert "stopped: 2 questions were not asked" in said
            assert found(tmp_path)["totals"]["all"]["right"] == 2
    model.pauses = {}
    before = len(model.asked)
    done = run(file, config)
    assert done.returncode == 0, done.stderr
    assert [one["stage"] for one in found(tmp_path)["questions"]] == ["right"] * 4
    assert [prompt for prompt in model.asked[before:] if "One?" in prompt or "Two?" in prompt] == []


def test_another_setup_needs_fresh(config: Path, tmp_path: Path) -> None:
    file = questions(tmp_path, "How many?")
    assert run(file, config).returncode == 0
    config.write_text(config.read_text().replace("repairs: 1", "repairs: 0"))
    done = run(file, config)
    assert done.returncode == 2
    assert "another setup (ask)" in done.stderr
    assert "--fresh" in done.stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"compare": (Path("none.json"),)}, r"none\.json: No such file"),
        ({"compare": (Path(__file__),)}, "not the results.json of an evaluation"),
        ({"sets": ("nothing",)}, "no question to ask"),
        ({"config": None}, "no gateway is named"),
        ({"start": Path("none"), "skip_missing": True}, "no file for any of the databases"),
        ({"start": Path("none")}, r"no file for numbers\.sql"),
    ],
)
def test_faults_that_are_told_before_anything_is_asked(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    options = Options(questions(tmp_path, "How many?"), tmp_path / "out", None)
    with pytest.raises(ConfigError, match=message):
        evaluate(replace(options, **more), lambda _: pytest.fail("asked"), lambda _: None)


def test_neither_a_gateway_nor_start() -> None:
    done = subprocess.run([COMMAND, "eval", __file__], capture_output=True, text=True)
    assert done.returncode == 2
    assert "--start" in done.stderr


def test_a_gateway_that_is_not_there(tmp_path: Path, config: Path) -> None:
    settings = yaml.safe_load(config.read_text())
    settings["listen"]["port"] = 1
    config.write_text(yaml.safe_dump(settings))
    done = run(questions(tmp_path, "How many?"), config)
    assert done.returncode == 1
    assert "no gateway answers" in done.stderr
