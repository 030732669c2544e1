"""Questions through a real gateway to a real PostgreSQL; the model is a dict."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.evaluation.asking import Asking
from nlsql_gateway.evaluation.questions import Question
from nlsql_gateway.evaluation.runner import run
from nlsql_gateway.evaluation.score import Result
from nlsql_gateway.evaluation.totals import totals
from tests.evaluation import house
from tests.evaluation.house import Answers

SHOPS = """
CREATE TABLE shops (id int PRIMARY KEY, name text, town text, revenue numeric, opened date);
INSERT INTO shops VALUES (1, 'A', 'Rome', 10, '2020-01-01'), (2, 'B', 'Oslo', 30, '2021-01-01'),
                         (3, 'C', 'Oslo', 30, '2022-01-01'), (4, 'D', 'Bern', 20, '2023-01-01');
"""
SHOPS_THERE = "How many shops are there?"
CASES = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text())


def question(words: str, gold: str = "", instructions: str = "") -> Question:
    return Question(words, "own", "shops", "", words, instructions, gold)


@pytest.fixture(scope="module")
def shops(postgres: EmbeddedPostgres) -> EmbeddedPostgres:
    postgres.execute("CREATE DATABASE shops")
    postgres.execute(SHOPS, "shops")
    return postgres


@pytest.fixture(scope="module")
def model() -> Answers:
    return Answers({case["question"]: case["model"] for case in CASES})


@pytest.fixture(scope="module")
def asking(shops: EmbeddedPostgres, model: Answers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with house.running(tmp_path_factory.mktemp("house"), shops, model, "shops") as gateway:
        yield house.asking(gateway, shops)


def results(asking: Asking, *questions: Question, concurrency: int = 1) -> dict[str, Result]:
    found: dict[str, Result] = {}
    asyncio.run(run(questions, asking, concurrency=concurrency, done=lambda result: found.update({result.id: result})))
    return found


def test_every_stage(asking: Asking) -> None:
    found = results(asking, *(question(case["question"], case.get("gold", "")) for case in CASES), concurrency=4)
    assert {name: result.stage for name, result in found.items()} == {case["question"]: case["stage"] for case in CASES}
    counted = totals(list(found.values()))
    assert (counted.questions, counted.answerable, counted.right, counted.unanswerable) == (17, 14, 6, 2)
    assert counted.refused == 0.5
    assert counted.wrongly_refused == round(2 / 14, 4)
    assert counted.always_empty == round(1 / 14, 4)
    assert (counted.abstentions, counted.right_abstentions) == (3, 1)
    assert counted.ran == round(10 / 14, 4)
    assert counted.precision == round(6 / 11, 4)


def test_what_a_result_tells(asking: Asking) -> None:
    found = results(asking, *(question(words, "SELECT 4") for words in (SHOPS_THERE, "Nonsense?", "Divide?")))
    count = found[SHOPS_THERE]
    assert count.sql == "SELECT count(id) FROM shops"
    assert (count.rows, count.gold_rows, count.model) == (1, 1, "double 7")
    assert (count.difficulty, count.seconds > 0, count.right, count.ran) == ("easy", True, True, True)
    invalid = found["Nonsense?"]
    assert (invalid.sqlstate, invalid.abstained, invalid.ran) == ("NL003", True, False)
    assert invalid.message.startswith("no valid SQL")
    assert found["Divide?"].sqlstate == "2201F"
    again = results(asking, question(SHOPS_THERE, "SELECT 4"), question(f"{SHOPS_THERE} Say it now.", "SELECT 5"))
    assert [(one.source, one.attempts) for one in again.values()] == [("cache", None), ("model", 1)]


def test_words_cannot_leave_the_comment(asking: Asking, model: Answers) -> None:
    """Neither by its end nor by a newline; and the model gets what was asked."""
    words = "How many shops are there? */ SELECT 1; /* /*/ \n; DROP TABLE shops; -- '\r\n*/"
    found = results(asking, question(words, "SELECT 4"))
    assert found[words].stage == "right", found[words]
    assert "* / SELECT 1; / * / * / ; DROP TABLE shops; -- ' * /" in model.asked[-1].replace("\n", " ")


def test_instructions_are_a_part_of_the_question(asking: Asking, model: Answers) -> None:
    results(asking, question(SHOPS_THERE, "SELECT 4", "Count\nall of them."))
    assert f"{SHOPS_THERE} Count all of them." in model.asked[-1]
    results(asking, question(SHOPS_THERE, "", "Say that you cannot."))
    assert "Say that" not in model.asked[-1]


def test_a_database_that_is_not_there_is_told_before_anything_is_asked(asking: Asking, model: Answers) -> None:
    before = len(model.asked)
    with pytest.raises(UpstreamError, match="database nowhere"):
        results(
            asking, question(SHOPS_THERE, "SELECT 4"), Question("x", "own", "nowhere", "", "How many?", "", "SELECT 1")
        )
    assert len(model.asked) == before
