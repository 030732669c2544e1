"""The way from pairs to a served adapter, on tiny random models and a CPU: `make test-torch`.

Each step is the command that docs/training.md names, run by the Python of that virtual environment.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nlsql_gateway.embedded.triton import CACHE

TORCH = CACHE.expanduser() / "torch"
"The virtual environment of `make test-torch`."

pytestmark = pytest.mark.skipif(
    not ((TORCH / ".installed").exists() and list(TORCH.glob("lib/python*/site-packages/peft"))),
    reason="no torch, or no peft: make test-torch",
)

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SMALL = ["--row", "700", "--rows", "1", "--epochs", "3", "3", "--rates", "0.02", "0.01", "--keep-every", "2"]


def python(*arguments: object, fails: bool = False) -> str:
    """Its output; with ``fails`` its error."""
    done = subprocess.run(
        [str(TORCH / "bin" / "python"), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "HOME": str(Path.home()),
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
        },
        timeout=120,
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stderr if fails else done.stdout


def training(*arguments: object, fails: bool = False) -> str:
    return python("-m", "nlsql_gateway.training", *arguments, fails=fails)


def row(number: int) -> dict[str, Any]:
    difficulty = ("easy", "medium", "hard", "extra")[number % 4]
    more = " WHERE id > 3 GROUP BY name" if difficulty in ("hard", "extra") else ""
    return {
        "id": f"p{number}",
        "source": "made up" if number % 2 else "another",
        "database": "shop",
        "difficulty": difficulty,
        "answerable": number != 4,
        "messages": [
            {"role": "system", "content": "You write PostgreSQL queries."},
            {
                "role": "user",
                "content": f"CREATE TABLE shop_{number} (id integer, name text);\n\nQuestion: é {number}?",
            },
        ],
        "completion": "UNANSWERABLE" if number == 4 else f"SELECT count(*) FROM shop_{number}{more}",
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row(number)) + "\n" for number in range(12)))
    for architecture, kind in (("qwen2", "Q8_0"), ("qwen2", "F32"), ("llama", "F32")):
        python(HERE / "tiny.py", folder / f"{architecture}-{kind}.gguf", architecture, kind)
    return folder


def fit(folder: Path, run: str, base: str, *more: object) -> tuple[list[dict[str, Any]], str]:
    """The log's lines and what was said."""
    said = training("fit", folder / "pairs.jsonl", folder / run, "--base", folder / base, *SMALL, *more)
    return [json.loads(line) for line in (folder / run / "log.jsonl").read_text().splitlines()], said


def weights(run: Path) -> bytes:
    return (run / "adapter" / "adapter_model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def exported(folder: Path, run: Path) -> Path:
    """The adapter of ``run``."""
    out = folder / "whole.gguf"
    assert "14 matrices changed" in training("export", run / "adapter", out, "--base", folder / "qwen2-Q8_0.gguf")
    return out


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    """A run on the quantized model, from the first step to the last."""
    fit(folder, "whole", "qwen2-Q8_0.gguf", "--validation", folder / "pairs.jsonl")
    return folder / "whole"


def test_the_loss_falls_in_both_stages(run: Path) -> None:
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    steps = [line for line in log if "loss" in line]
    assert [line["step"] for line in steps] == list(range(1, len(steps) + 1))
    for stage in (1, 2):
        losses = [line["loss"] for line in steps if line["stage"] == stage]
        assert len(losses) >= 2
        assert losses[-1] < losses[0]
    assert all(line["tokens_per_second"] > 0 and 0 < line["learnt"] < line["read"] <= line["tokens"] for line in steps)
    assert any(line["read"] < line["tokens"] for line in steps)
    assert log[-1]["validation_loss"] < steps[0]["loss"]
    assert [folder.name for folder in sorted((run / "checkpoints").iterdir())] == [
        f"{number:06}" for number in range(len(steps) - 2 + len(steps) % 2, len(steps) + 1, 2)
    ][-2:]


def test_a_run_that_was_stopped_gives_the_same_weights(folder: Path, run: Path) -> None:
    """Dropout is on: chance goes on where it was."""
    more = ("--validation", folder / "pairs.jsonl")
    stopped, said = fit(folder, "stopped", "qwen2-Q8_0.gguf", "--minutes", 0.00001, *more)
    assert len(stopped) == 1
    assert "stopped after step 1 of" in said
    assert not (folder / "stopped" / "adapter").exists()
    log, said = fit(folder, "stopped", "qwen2-Q8_0.gguf", *more)
    assert "going on after step 1" in said
    assert weights(folder / "stopped") == weights(run)
    whole = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line.get("loss") for line in log] == [line.get("loss") for line in whole]

    error = training(
        "fit", folder / "pairs.jsonl", run, "--base", folder / "qwen2-Q8_0.gguf", *SMALL, "--seed", 2, fails=True
    )
    assert "was begun with another settings" in error


@pytest.mark.parametrize(
    ("base", "precision", "within"),
    [("qwen2-F32", "f32", 0.01), ("qwen2-Q8_0", "", 0.05), ("llama-F32", "f16", 0.01)],
)
def test_what_is_served_is_what_was_trained(
    folder: Path, run: Path, exported: Path, base: str, precision: str, within: float
) -> None:
    out, adapter = exported, run / "adapter"
    if precision:
        fit(folder, f"run-{base}", f"{base}.gguf")
        out, adapter = folder / f"{base}-adapter.gguf", folder / f"run-{base}" / "adapter"
        training("export", adapter, out, "--base", folder / f"{base}.gguf", "--precision", precision)
    said = training("rehearse", folder / "pairs.jsonl", adapter, out, "--base", folder / f"{base}.gguf")
    found = json.loads(said)
    assert found["places"] == 16
    assert found["mean difference"] < within
    assert found["mean difference without the adapter"] > 0.5
    assert found["same first token"] >= 15


def test_its_card(folder: Path, run: Path, exported: Path) -> None:
    (folder / "licences.yaml").write_text("{made up: Apache-2.0, another: MIT}")
    given = [
        "--licence",
        "MIT",
        "--base",
        "a tiny one",
        "--base-licence",
        "none",
        "--licences",
        folder / "licences.yaml",
    ]
    training("card", run, exported, folder / "card.md", *given)
    text = (folder / "card.md").read_text()
    assert "| made up | 6 | Apache-2.0 |" in text
    assert "minutes of steps on cpu" in text
    assert "the base is not the embedded model" in training(
        "card", run, exported, folder / "other.md", "--licence", "MIT", fails=True
    )


def test_another_adapter_is_seen(folder: Path, run: Path, exported: Path) -> None:
    """What rehearse is there to find."""
    fit(folder, "other", "qwen2-Q8_0.gguf", "--seed", 2)
    other, base = folder / "other" / "adapter", folder / "qwen2-Q8_0.gguf"
    assert weights(folder / "other") != weights(run)
    error = training("rehearse", folder / "pairs.jsonl", other, exported, "--base", base, fails=True)
    assert re.search(r"they differ by \d\.\d+ on average, and 0\.1 is let pass", error)


def test_a_packed_row_is_its_examples(folder: Path) -> None:
    found = json.loads(python(HERE / "packed.py", folder / "qwen2-F32.gguf"))
    assert found["packed"] == pytest.approx(found["one by one"], rel=1e-5)
    assert found["in another order"] == pytest.approx(found["one by one"], rel=1e-5)
    assert found["gradients differ by"] < 1e-4


def test_training_goes_on_with_an_adapter(folder: Path, run: Path) -> None:
    log, _ = fit(folder, "onto", "qwen2-Q8_0.gguf", "--onto", run / "adapter")
    first = json.loads((run / "log.jsonl").read_text().splitlines()[0])
    assert log[0]["loss"] < 0.8 * first["loss"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"use_dora": True}, "a GGUF LoRA cannot say use_dora"),
        ({"bias": "all"}, "a GGUF LoRA cannot say bias"),
        ({"peft_type": "IA3"}, "peft_type is IA3, not LORA"),
    ],
)
def test_what_a_gguf_cannot_say_is_refused(
    folder: Path, run: Path, tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    adapter = tmp_path / "adapter"
    shutil.copytree(run / "adapter", adapter)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | changed))
    base = folder / "qwen2-Q8_0.gguf"
    assert message in training("export", adapter, tmp_path / "out.gguf", "--base", base, fails=True)
    assert list(tmp_path.iterdir()) == [adapter]


def test_an_adapter_for_another_model_is_refused(folder: Path, run: Path, tmp_path: Path) -> None:
    base = ROOT / "pyproject.toml"
    assert "not a GGUF file" in training("export", run / "adapter", tmp_path / "out.gguf", "--base", base, fails=True)
