"""What the model itself gets right, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nlsql_gateway.ask.generator import Completion, Sampling
from nlsql_gateway.errors import AskTimeout, ModelUnavailable
from nlsql_gateway.training import check, restyle
from nlsql_gateway.training.check_running import running
from nlsql_gateway.training.prepare_catalogs import databases_in
from nlsql_gateway.training.sample import Chance, command, sample
from tests.evaluation.house import Answers

LINDEN = "SELECT name FROM gardener WHERE village = 'Linden'"


@pytest.fixture(scope="module")
def folder(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shutil.copytree(prepared, tmp_path_factory.mktemp("sampled") / "folder")
    CliRunner().invoke(restyle.command, [str(folder)], catch_exceptions=False)
    CliRunner().invoke(check.command, [str(folder), "--no-count-tokens"], catch_exceptions=False)
    return folder


class Scripted:
    """A Generator: sample n gives the nth text, its logarithm -n."""

    model = "scripted"

    def __init__(self, *texts: str | Exception) -> None:
        self.texts = texts
        self.asked: list[tuple[str, Sampling]] = []

    async def generate(self, prompt: str, sampling: Sampling, *, timeout: float) -> Completion:
        self.asked.append((prompt, sampling))
        assert sampling.seed is not None
        text = self.texts[sampling.seed - 1]
        if isinstance(text, Exception):
            raise text
        return Completion(text, self.model, "1", logprob=-float(sampling.seed))

    async def ready(self) -> None: ...

    async def serving(self) -> str:
        return ""

    async def aclose(self) -> None: ...


OTHER = "SELECT name, village FROM gardener WHERE village ILIKE 'linden'"
THIRD = "SELECT g.name FROM gardener g WHERE g.village LIKE 'Lin%'"
BY_NAME, BACKWARDS = "SELECT name FROM gardener ORDER BY name", "SELECT name FROM gardener ORDER BY name DESC"

CASES: dict[str, tuple[str, str, tuple[str | Exception, ...]]] = {
    "kept once": (
        LINDEN,
        "Who?",
        (
            "select \"name\"  from gardener where village = 'Linden'",  # the gold again
            "SELECT name FROM gardener",  # too many rows
            f"{OTHER};\n```",
            OTHER.replace("SELECT", "select"),  # the same
            "SELECT nme FROM gardener",
            "UNANSWERABLE",
            AskTimeout("late"),
            THIRD,
            "SELECT g.name FROM gardener g WHERE g.village LIKE 'Lind%'",  # one too many
        ),
    ),
    "the gold": (LINDEN, "Who?", (LINDEN,)),
    "wrong": (LINDEN, "Who?", ("SELECT village FROM gardener WHERE village = 'Linden'",)),
    "refused": (LINDEN, "Who?", ("UNANSWERABLE",)),
    "nothing": ("SELECT name FROM gardener WHERE village = 'Atlantis'", "Who?", ("SELECT name FROM gardener LIMIT 0",)),
    "broken": ("SELECT nme FROM gardener", "Who?", (LINDEN,)),
    "in order": (BY_NAME, "Who is there, sorted by name?", (BACKWARDS,)),
    "in any order": (BY_NAME, "Who is there?", (BACKWARDS,)),
    "gone": (LINDEN, "Who?", (ModelUnavailable("gone"), LINDEN)),
}
"The gold, the question, and the samples, the most probable first."


@pytest.fixture(scope="module")
def results(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of each case; one PostgreSQL for all of them."""
    garden = databases_in(folder / "databases.jsonl")["own.garden"]

    async def main() -> dict[str, dict[str, Any]]:
        results: dict[str, dict[str, Any]] = {}
        async with running(tmp_path_factory.mktemp("golds")) as golds:
            await golds.load(garden, [], 1)
            for name, (gold, question, texts) in CASES.items():
                row = {"messages": [{"role": "user", "content": "x"}], "completion": gold, "question": question}
                generator = Scripted(*texts)
                chance = Chance(len(texts), 2, 0.8, 1, 5.0, 3)
                try:
                    results[name] = await sample(row, garden.catalog, golds, generator, chance)
                except ModelUnavailable as error:
                    results[name] = {"error": error.message}
                assert all(sampling.temperature == 0.8 for _, sampling in generator.asked)
        return results

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("case", "right", "why"),
    [
        ("kept once", [OTHER, THIRD], ""),
        ("the gold", [], "nothing but the gold"),
        ("wrong", [], "no answer was right"),
        ("refused", [], "no answer could be read"),
        ("nothing", [], "the gold gives nothing"),
        ("broken", [], "the gold: it does not run: UndefinedColumnError"),
        ("in order", [], "no answer was right"),
        ("in any order", [BACKWARDS], ""),
    ],
)
def test_what_gives_the_gold_s_rows_is_kept(
    results: dict[str, dict[str, Any]], case: str, right: list[str], why: str
) -> None:
    assert results[case] == {"right": right, "dropped": why}


def test_a_model_that_is_gone_ends_it(results: dict[str, dict[str, Any]]) -> None:
    assert results["gone"] == {"error": "gone"}


def test_the_command(folder: Path) -> None:
    other = "SELECT g.name FROM gardener g WHERE g.village LIKE 'Lin%'"
    with Answers({"Linden": f"{other}\n```", "": "SELECT 1"}).served() as url:
        CliRunner().invoke(command, [str(folder), "--url", url, "--samples", "2"], catch_exceptions=False)
    lines = [json.loads(line) for line in (folder / "sampled.jsonl").read_text().splitlines()]
    assert [(line["id"], line["source"], line["completion"]) for line in lines] == [
        ("own-2-sample-1", "own, sampled", other)
    ]
    trained = {row["id"]: row for row in map(json.loads, (folder / "train.jsonl").read_text().splitlines())}
    assert lines[0]["messages"] == trained["own-2"]["messages"]
    told = json.loads((folder / "report.json").read_text())["sample"]
    assert told["pairs"] == told["sources"]["own"]["kept"] == 1
    assert told["sources"]["own"]["in"] == sum(row["proof"] == "real" for row in trained.values())
