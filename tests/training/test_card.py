"""The model card: what was run and measured, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest
from click.testing import CliRunner

from nlsql_gateway.embedded.model import EMBEDDED
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.evaluation import written
from nlsql_gateway.evaluation.score import Result
from nlsql_gateway.training.card import command
from nlsql_gateway.training.export import BASE_KEY, WEIGHTS_KEY
from nlsql_gateway.training.fit_data import digest
from tests.evaluation.results import right, wrong

SETTINGS = {
    "base": {"file": EMBEDDED.file, "sha256": EMBEDDED.sha256},
    "pairs": {
        "sha256": "5" * 64,
        "sources": {"spider": 1200, "made up": 300},
        "difficulties": {"easy": 900, "hard": 600},
        "answerable": {"yes": 1400, "no": 100},
        "licences": {"spider": "CC BY-SA 4.0"},
        "pairs": 1500,
        "too long": 7,
        "tokens": 1_234_567,
        "learnt tokens": 90_000,
    },
    "settings": {"seed": 1, "rates": [1e-4, 5e-5], "rank": 16, "alpha": 32.0, "onto": ""},
}


def step(number: int, stage: int, loss: float) -> dict[str, Any]:
    known = {"step": number, "of": 4, "stage": stage, "loss": loss, "tokens": 30_000, "seconds": 10.0}
    return {**known, "device": "a device"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    (run / "adapter").mkdir(parents=True)
    (run / "settings.json").write_text(json.dumps(SETTINGS))
    log = [step(1, 1, 0.9), step(2, 1, 0.7), step(3, 2, 0.8), step(4, 2, 0.6), {"step": 4, "validation_loss": 0.65}]
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    (run / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    return run


@pytest.fixture
def file(run: Path) -> Path:
    """As export writes it, without the tensors."""
    path = run.parent / "adapter-1.gguf"
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_string(BASE_KEY, EMBEDDED.sha256)
    writer.add_string(WEIGHTS_KEY, digest(run / "adapter" / "adapter_model.safetensors"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def results(path: Path, model: str, *found: Result) -> Path:
    about = {"name": path.stem, "file": "questions.jsonl", "models": [model], "gateway": "1", "written": "2026-01-01"}
    made = written.Run(about, tuple(replace(one, model=model) for one in found))
    path.write_text(json.dumps(written.as_json(made)))
    return path


def write(run: Path, file: Path, *more: object) -> str:
    """The card's text. Raises ConfigError."""
    out = run.parent / "card.md"
    licences = run.parent / "licences.yaml"
    licences.write_text("made up: Apache-2.0\n")
    arguments = [run, file, out, "--licence", "CC BY-SA 4.0", "--licences", licences, *more]
    told = CliRunner().invoke(command, list(map(str, arguments)))
    if isinstance(told.exception, ConfigError):
        raise told.exception
    assert told.exit_code == 0, told.output
    return out.read_text()


def test_what_stands_in_it(run: Path, file: Path) -> None:
    text = write(run, file)
    for fact in (
        f"SHA-256 `{EMBEDDED.sha256}`, Apache-2.0",
        f"`adapter-1.gguf`, 0.0 MB, SHA-256 `{digest(file)}`",
        "| licence | CC BY-SA 4.0 |",
        "| spider | 1,200 | CC BY-SA 4.0 |",
        "| made up | 300 | Apache-2.0 |",
        "1,500 pairs: 900 easy, 600 hard; 100 have no answer.",
        "7 more pairs were too long.",
        "| rates | 0.0001, 5e-05 |",
        "4 steps, 120,000 tokens in 0.7 minutes of steps on a device: 3,000 tokens a second.",
        "Stage 1: the loss went from 0.900 to 0.700 in 2 steps.",
        "Stage 2: the loss went from 0.800 to 0.600 in 2 steps.",
        "On validation pairs it was 0.650 at the end.",
        "Its accuracy has not been measured. It must not be shipped.",
    ):
        assert fact in text


def test_the_figures_are_those_of_the_evaluations(run: Path, file: Path) -> None:
    adapted = f"qwen2 cc32+{digest(file)[:12]}"
    before = results(run.parent / "before.json", "qwen2 cc32", right("a"), wrong("b"), wrong("c"), wrong("d"))
    after = results(run.parent / "after.json", adapted, right("a"), right("b"), wrong("c"), right("d"))
    text = write(run, file, "--measured", before, after)
    assert "| questions.jsonl | right, strictly | 25.0 % | 75.0 % |" in text
    assert "It answers more questions right in all of these sets." in text
    same = results(run.parent / "same.json", adapted, right("a"), wrong("b"), wrong("c"), wrong("d"))
    text = write(run, file, "--measured", before, after, "--measured", before, same)
    assert "It does not answer more questions right in questions.jsonl: it must not be shipped." in text


def test_evaluations_of_something_else_are_refused(run: Path, file: Path) -> None:
    plain = results(run.parent / "plain.json", "qwen2 cc32", right("a"))
    other = results(run.parent / "other.json", "qwen2 cc32+000000000000", right("a"))
    adapted = results(run.parent / "adapted.json", f"qwen2 cc32+{digest(file)[:12]}", right("a"))
    fewer = results(run.parent / "fewer.json", f"qwen2 cc32+{digest(file)[:12]}", right("b"))
    for before, after, message in (
        (plain, other, "was not answered with this adapter"),
        (plain, plain, "was not answered with this adapter"),
        (other, adapted, "was answered with an adapter, too"),
        (plain, fewer, "did not ask the same questions"),
    ):
        with pytest.raises(ConfigError, match=message):
            write(run, file, "--measured", before, after)


def test_what_is_not_there_is_not_made_up(run: Path, file: Path) -> None:
    def changed(path: tuple[str, ...], value: object) -> None:
        settings = json.loads((run / "settings.json").read_text())
        place = settings
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        (run / "settings.json").write_text(json.dumps(settings))

    changed(("pairs", "licences"), {})
    with pytest.raises(ConfigError, match="the licence of spider is not known"):
        write(run, file)
    changed(("pairs", "licences"), {"spider": "CC BY-SA 4.0"})
    changed(("base", "sha256"), "0" * 64)
    with pytest.raises(ConfigError, match="was not exported from"):
        write(run, file)
    log = (run / "log.jsonl").read_text().splitlines()
    (run / "log.jsonl").write_text("\n".join(log[:3]) + "\n")
    with pytest.raises(ConfigError, match="has not come to its end"):
        write(run, file)
    with pytest.raises(ConfigError, match="no directory of a run"):
        write(run.parent, file)


def test_a_file_that_export_did_not_write_is_refused(run: Path) -> None:
    path = run.parent / "another.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(ConfigError, match="not a GGUF file"):
        write(run, path)
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ConfigError, match="does not say what it was made from"):
        write(run, path)
