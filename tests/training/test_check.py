"""Golds that are run: what holds, in which words, and as which prompt."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nlsql_gateway.ask.prompt import write
from nlsql_gateway.ask.templates import REFUSAL
from nlsql_gateway.embedded.model import find
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.training.check import How, command
from nlsql_gateway.training.check_contents import contents
from nlsql_gateway.training.check_tokens import caps, tokenizer, within
from nlsql_gateway.training.check_writing import Writer
from nlsql_gateway.training.prepare_catalogs import databases_in
from nlsql_gateway.training.prepare_layout import lines, write_lines
from nlsql_gateway.training.prepare_resume import Kept
from nlsql_gateway.training.restyle import command as restyle
from tests.ask.shop import SHOP


@pytest.fixture(scope="module")
def checked(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shutil.copytree(prepared, tmp_path_factory.mktemp("checked") / "folder")
    for step in (restyle, command):
        told = CliRunner().invoke(step, [str(folder), *(["--no-count-tokens"] if step is command else [])])
        assert told.exit_code == 0, told.output
    return folder


def rows(folder: Path, split: str = "train") -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in lines(folder / f"{split}.jsonl")}


def test_what_runs_and_gives_rows_is_kept(checked: Path) -> None:
    assert set(rows(checked)) == {"own-1", "own-2", "own-4", "own-5", "own-7"}
    assert set(rows(checked, "validation")) == {"own-12"}
    told = json.loads((checked / "report.json").read_text())["check"]
    assert told["sources"]["own"]["dropped"] == {
        "it gives nothing": 1,
        "it does not run: UndefinedColumnError": 1,
    }
    assert told["proof"] == {"real": 4, "unanswerable": 1, "made up": 1}


def test_an_example_is_asked_as_the_gateway_asks(checked: Path) -> None:
    found = rows(checked)["own-2"]
    system, user = found["messages"]
    text = f"<|im_start|>system\n{system['content']}<|im_end|>\n<|im_start|>user\n{user['content']}<|im_end|>\n"
    catalog_of_garden = _garden(checked)
    asked = write(
        "chatml",
        found["question"],
        list(catalog_of_garden.relations.values()),
        catalog_of_garden,
        today=date.fromisoformat(found["today"]),
    )
    assert asked.text == f"{text}<|im_start|>assistant\n```sql\n"
    assert found["completion"] == "SELECT name FROM gardener WHERE village = 'Linden'"
    assert (found["answerable"], found["difficulty"]) == (True, "easy")


def test_prompts_may_say_where_values_are(checked: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checked, tmp_path / "folder")
    asked = [str(folder), "--no-count-tokens", "--value-hints", "2"]
    CliRunner().invoke(command, asked, catch_exceptions=False)
    with_hints = {
        one for one, row in rows(folder).items() if "\n-- gardener.village = '" in row["messages"][1]["content"]
    }
    assert with_hints
    assert with_hints <= {"own-2", "own-5"}
    assert set(rows(folder)) == set(rows(checked))


@pytest.mark.parametrize("number", range(6))
def test_no_note_is_lost(checked: Path, number: int) -> None:
    writer = Writer(databases_in(checked / "databases.jsonl")["own.garden"])
    note = "Profit = income - cost; lime people refers to village = 'Linden';"
    row = dict.fromkeys(("source", "database", "category", "original", "licence", "today"), "")
    row |= {"id": f"own-{number}", "question": "Who are the lime people?", "notes": note}
    found = writer.example(row, {"sql": "SELECT name FROM gardener WHERE village = 'Linden'"})
    assert isinstance(found, dict)
    assert note in found["messages"][1]["content"]


def test_what_cannot_be_answered_is_refused(checked: Path) -> None:
    found = rows(checked)["own-7"]
    assert (found["answerable"], found["completion"]) == (False, REFUSAL)


def test_a_stopped_run_goes_on(checked: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checked, tmp_path / "folder")
    with Kept(folder / "checked.jsonl", [folder / "restyled.jsonl"], str(How(proven=False, hints=0))) as kept:
        kept.add({"key": "own-2", "dropped": "told before it was stopped"})
    with (folder / "checked.jsonl.kept").open("a") as file:
        file.write('{"key": "torn')
    CliRunner().invoke(command, [str(folder), "--no-count-tokens"], catch_exceptions=False)
    assert set(rows(folder)) == set(rows(checked)) - {"own-2"}
    told = json.loads((folder / "report.json").read_text())["check"]
    assert told["sources"]["own"]["dropped"]["told before it was stopped"] == 1


def test_what_was_kept_of_other_inputs_does_not_count(tmp_path: Path) -> None:
    source, result = tmp_path / "in", tmp_path / "out"
    source.write_text("one")
    with Kept(result, [source]) as kept:
        kept.add({"key": "a"})
    with Kept(result, [source]) as kept:
        assert set(kept.done) == {"a"}
    source.write_text("two")
    with Kept(result, [source]) as kept:
        assert not kept.done


def test_made_up_rows_meet_the_golds_conditions() -> None:
    gold = "SELECT c.name FROM customers c JOIN orders o ON c.id = o.customer_id WHERE c.city = 'Erlau' AND o.id > 40"
    made = list(contents(SHOP, [gold], 1))
    customer = next(row for table, row in made if table == "customers" and "'Erlau'" in row)
    assert "('1', " in customer
    assert any("VALUES ('41', '1', " in row for table, row in made if table == "orders")
    assert made == list(contents(SHOP, [gold], 1))


def test_tokens_are_the_served_models() -> None:
    if find() is None:
        pytest.skip("the embedded model is not here: `make test` fetches it")
    example = {
        "messages": [{"role": "system", "content": "Hi"}, {"role": "user", "content": "one\ntwo"}],
        "completion": "SELECT 1",
    }
    text = (
        "<|im_start|>system\nHi<|im_end|>\n<|im_start|>user\none\ntwo<|im_end|>\n"
        "<|im_start|>assistant\n```sql\nSELECT 1\n```<|im_end|>\n"
    )
    with tokenizer(None) as tokens:
        assert tokens.count(example) == tokens.of_text(text)


def test_a_budget_of_tokens_leaves_small_sources_whole(tmp_path: Path) -> None:
    assert caps({"a": 10, "b": 100, "c": 500}, 400) == {"a": 10, "b": 100, "c": 290}
    assert caps({"a": 300, "b": 300}, 400) == {"a": 200, "b": 200}
    path = tmp_path / "train.jsonl"
    write_lines(path, [{"id": f"{source}{n}", "source": source, "tokens": 10} for source in "ab" for n in range(9)])
    assert within(path, 100) == {"a": 50, "b": 50}
    assert len(list(lines(path))) == 10


def _garden(folder: Path) -> Catalog:
    return databases_in(folder / "databases.jsonl")["own.garden"].catalog
