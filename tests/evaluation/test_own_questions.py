"""The project's own questions: every database loads, every gold runs and answers something."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

import psycopg
import pytest
from rapidfuzz import fuzz

import nlsql_gateway.evaluation
from nlsql_gateway.embedded import retail
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.evaluation.golds import asks_for_order, expand
from nlsql_gateway.evaluation.questions import Question, read

FOLDER = Path(nlsql_gateway.evaluation.__file__).with_name("questions")
QUESTIONS = read(FOLDER)
ANSWERABLE = [one for one in QUESTIONS if one.answerable]
DATABASES = ("retail", "library", "freight", "grid")
DAYS = {"retail": date(2026, 11, 1), "retail later": date(2027, 3, 9)}
"The demonstration's data hang on the day of loading: its golds must do on any day."

Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("questions"), durable=False) as server:
        server.execute(f"CREATE ROLE {retail.ROLE} LOGIN PASSWORD 'secret'")
        for file in sorted((FOLDER / "databases").glob("*.sql")):
            server.execute(f"CREATE DATABASE {file.stem}")
            with file.open("rb") as lines:
                server.load(lines, file.stem)
        yield server


@pytest.fixture(scope="module", params=(*DAYS, *DATABASES[1:]))
def database(request: pytest.FixtureRequest, postgres: EmbeddedPostgres) -> Iterator[tuple[str, psycopg.Connection]]:
    """Its name and a connection to it."""
    name = request.param.partition(" ")[0]
    if request.param in DAYS:
        retail.load(postgres, today=DAYS[request.param], password="secret")
    with psycopg.connect(postgres.conninfo(name), autocommit=True) as connection:
        yield name, connection


def test_the_set_is_what_it_promises() -> None:
    assert {one.db for one in QUESTIONS} == set(DATABASES)
    assert {one.set for one in QUESTIONS} == {"own", "unanswerable"}
    assert all(one.answerable == (one.set == "own") for one in QUESTIONS)
    assert len(QUESTIONS) - len(ANSWERABLE) >= 40
    categories = Counter(one.category for one in ANSWERABLE)
    assert set(categories) == {"date", "group_by", "order_by", "ratio", "join", "where"}
    assert min(categories.values()) >= 20
    assert min(Counter(one.db for one in ANSWERABLE).values()) >= 30
    assert {one.category for one in QUESTIONS if not one.answerable} == {"no_such_column", "no_such_entity"}


def test_no_two_questions_are_alike() -> None:
    for first, second in combinations(QUESTIONS, 2):
        assert fuzz.token_sort_ratio(first.words.lower(), second.words.lower()) < 90, (first.words, second.words)


def test_what_asks_for_an_order_is_seen_to_ask() -> None:
    """The scorer counts the order only then; and every gold of that category has one."""
    for one in ANSWERABLE:
        if one.category == "order_by":
            assert asks_for_order(one.words), one.words
            assert all("ORDER BY" in sql for gold in expand(one.gold) for sql in gold), one.id


def test_the_databases_are_of_the_promised_size(database: tuple[str, psycopg.Connection]) -> None:
    _, connection = database
    tables = run(connection, "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 2200")
    assert 5 <= len(tables) <= 20
    for (table,) in tables:
        assert run(connection, f"SELECT count(*) FROM {table}")[0][0] > 0, table


def test_every_gold_answers_something(database: tuple[str, psycopg.Connection]) -> None:
    name, connection = database
    for one in ANSWERABLE:
        if one.db == name:
            for gold in expand(one.gold):
                check(connection, one, gold)


def check(connection: psycopg.Connection, one: Question, gold: tuple[str, ...]) -> None:
    """Which columns of the braces are chosen changes nothing about the number of rows, nor do ties."""
    counts = set()
    for sql in gold:
        rows = run(connection, sql)
        counts.add(len(rows))
        assert any(value is not None for row in rows for value in row), (one.id, sql)
        assert all(row[-1] is not None for row in rows), (one.id, sql)
        if len(rows) == 1 and len(rows[0]) == 1:
            assert rows[0][0] != 0, (one.id, "nought is what a wrong query says too")
        tied, limited = re.subn(r" LIMIT (\d+)$", r" FETCH FIRST \1 ROWS WITH TIES", sql)
        if limited:
            assert len(run(connection, tied)) == len(rows), (one.id, sql)
    assert len(counts) == 1, (one.id, counts)
    assert 1 <= counts.pop() <= 500, one.id


def test_golds_of_one_question_agree(database: tuple[str, psycopg.Connection]) -> None:
    """They differ in the columns only: the rows of the one with fewer columns are within those of the other."""
    name, connection = database
    for one in ANSWERABLE:
        golds = expand(one.gold)
        if one.db == name and len(golds) > 1:
            answers = [columns(run(connection, gold[-1])) for gold in golds]
            fewest = min(answers, key=len)
            assert all(column in answer for answer in answers for column in fewest), one.id


def columns(rows: Rows) -> list[list[str]]:
    return [sorted(map(str, column)) for column in zip(*rows, strict=True)]


def run(connection: psycopg.Connection, sql: str) -> Rows:
    return list(connection.execute(sql.encode()).fetchall())
