"""Made-up schemas, rows and questions: the same for a seed, and right when they are run."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from nlsql_gateway.training.check import command as check
from nlsql_gateway.training.prepare_catalogs import databases_in
from nlsql_gateway.training.prepare_held_out import held_out
from nlsql_gateway.training.prepare_layout import lines, pairs_in
from nlsql_gateway.training.restyle import command as restyle
from nlsql_gateway.training.synthesise import TEMPLATES, command, database_tables, made
from nlsql_gateway.training.synthesise_asking import Maker, NothingToAsk
from nlsql_gateway.training.synthesise_domains import domains
from nlsql_gateway.training.synthesise_refusals import missing_trait
from nlsql_gateway.training.synthesise_rows import fill
from nlsql_gateway.training.synthesise_schema import schema

TODAY = date(2026, 5, 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    asked = [str(folder), "--schemas", "12", "--validation", "0.3", "--seed", "2"]
    for step, more in ((command, asked), (restyle, [str(folder)]), (check, [str(folder), "--no-count-tokens"])):
        CliRunner().invoke(step, more, catch_exceptions=False)
    return folder


def test_a_seed_gives_the_same_again() -> None:
    assert made(3, 1, TODAY, 42, 0.1) == made(3, 1, TODAY, 42, 0.1)
    assert made(3, 1, TODAY, 42, 0.1) != made(3, 2, TODAY, 42, 0.1)


def test_golds_run_and_give_rows(folder: Path) -> None:
    pairs = pairs_in(folder, "synthetic-pairs.jsonl")
    kept = [row for split in ("train", "validation") for row in lines(folder / f"{split}.jsonl")]
    assert len(kept) > 0.93 * len(pairs)
    categories = Counter(row["category"] for row in kept)
    assert set(categories) == set(TEMPLATES)
    assert min(categories.values()) > 0.7 * max(categories.values())
    assert all(row["answerable"] == (row["category"] != "unanswerable") for row in kept)


def test_a_database_is_in_one_split(folder: Path) -> None:
    train = {row["database"] for row in lines(folder / "train.jsonl")}
    validation = {row["database"] for row in lines(folder / "validation.jsonl")}
    assert train
    assert validation
    assert not train & validation


def test_schemas_differ_in_style_and_half_declare_no_keys(folder: Path) -> None:
    databases = databases_in(folder / "synthetic-databases.jsonl").values()
    declared = [any(relation.foreign_keys for relation in database.relations) for database in databases]
    assert sum(declared) == len(declared) // 2
    names = " ".join(relation.name for database in databases for relation in database.relations)
    assert names != names.lower()
    assert "_" in names


@pytest.mark.parametrize("number", range(60))
def test_no_made_up_schema_resembles_a_held_out_one(number: int) -> None:
    database, _ = made(number, 5, TODAY, 7, 0)
    assert held_out(database.id, database_tables(database)) == ""


def test_each_template_finds_a_schema_that_it_can_ask_about() -> None:
    asked = set()
    for number in range(80):
        chance = random.Random(number)
        one = schema(number, chance)
        fill(one, TODAY, chance)
        for templates in TEMPLATES.values():
            for template in templates:
                try:
                    template(Maker(one, chance, TODAY))
                except NothingToAsk:
                    continue
                asked.add(template)
    assert asked == {template for templates in TEMPLATES.values() for template in templates}


def test_what_is_missing_is_in_no_column() -> None:
    chance = random.Random(1)
    for number in range(40):
        one = schema(number, chance)
        fill(one, TODAY, chance)
        try:
            question = missing_trait(Maker(one, chance, TODAY)).question.lower()
        except NothingToAsk:
            continue
        held = {words for table in one.tables.values() for words in table.traits}
        missing = {trait.words for table in one.tables.values() for trait in table.missing} - held
        assert any(words.removesuffix(" on").removesuffix(" at") in question for words in missing), question


def test_things_belong_to_things_that_are_there() -> None:
    for things in domains().values():
        known: set[str] = set()
        for thing in things.values():
            assert set(thing.of) <= known
            known.add(thing.one)
