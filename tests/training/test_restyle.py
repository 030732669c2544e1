"""Golds as people want them: what is rewritten, what stays, what is dropped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from nlsql_gateway.training.prepare_layout import Pair, lines
from nlsql_gateway.training.restyle import command, first_way, written
from tests.ask.shop import catalog, table

SHOP = catalog(
    table("singer", "singer_id integer, name text, age integer, country text"),
    table("concert", "concert_id integer, hall text, held_on date, seats integer, sold integer"),
    table("singer_in_concert", "concert_id integer, singer_id integer", "singer_id singer(singer_id)", key=False),
)


def pair(question: str, sql: str, notes: str = "") -> Pair:
    return Pair("1", "own", "own.shop", "train", question, sql, notes)


@pytest.mark.parametrize(
    ("question", "sql", "restyled"),
    [
        # Grouping keys and what is ordered by are shown.
        (
            "How many singers does each country have?",
            "SELECT COUNT(*) FROM singer GROUP BY country",
            "SELECT country, COUNT(*) FROM singer GROUP BY country",
        ),
        (
            "Which country has the most singers?",
            "SELECT T1.country FROM singer AS T1 GROUP BY T1.country ORDER BY COUNT(*) DESC LIMIT 1",
            "SELECT country, COUNT(*) FROM singer GROUP BY country ORDER BY COUNT(*) DESC LIMIT 1",
        ),
        (
            "Who is the oldest singer?",
            "SELECT country FROM singer ORDER BY age DESC NULLS LAST LIMIT 1",
            "SELECT name, country, age FROM singer ORDER BY age DESC LIMIT 1",
        ),
        (
            "Which singer is the youngest?",
            "SELECT name FROM singer WHERE age = (SELECT MIN(age) FROM singer)",
            "SELECT name, age FROM singer WHERE age = (SELECT MIN(age) FROM singer)",
        ),
        (
            "How many singers does each country have, and how old are they on average?",
            "SELECT COUNT(*), AVG(age), country FROM singer GROUP BY country ORDER BY country ASC",
            "SELECT country, COUNT(*), AVG(age) FROM singer GROUP BY country ORDER BY country",
        ),
        (
            "How many concerts were there in each month?",
            "SELECT DATE_TRUNC('month', held_on), COUNT(*) FROM concert AS T1 GROUP BY DATE_TRUNC('month', held_on)",
            "SELECT DATE_TRUNC('month', held_on), COUNT(*) FROM concert GROUP BY DATE_TRUNC('month', held_on)",
        ),
        # Names beside other columns, but not where ids are asked for.
        (
            "List the singer ids.",
            "SELECT singer_id FROM singer",
            "SELECT singer_id FROM singer",
        ),
        # Names as the question writes them.
        (
            "How old is Ida Moos?",
            "SELECT age FROM singer WHERE name = 'IDA MOOS'",
            "SELECT name, age FROM singer WHERE name ILIKE 'Ida Moos'",
        ),
        # Ratios.
        (
            "What share of the seats was sold?",
            "SELECT CAST(SUM(sold) AS DOUBLE PRECISION) / SUM(seats) FROM concert",
            "SELECT CAST(SUM(sold) AS DECIMAL) / NULLIF(SUM(seats), 0) FROM concert",
        ),
        # What a CASE counts, INNER, aliases, joins for nothing.
        (
            "How many singers are from Chad?",
            "SELECT SUM(CASE WHEN T1.country = 'Chad' THEN 1 ELSE 0 END) FROM singer AS T1",
            "SELECT COUNT(*) FROM singer WHERE country = 'Chad'",
        ),
        (
            "Who sang in the Old Hall?",
            (
                "SELECT T1.name, T3.hall FROM singer AS T1 INNER JOIN singer_in_concert AS T2 "
                "ON T1.singer_id = T2.singer_id INNER JOIN concert AS T3 ON T2.concert_id = T3.concert_id "
                "WHERE T3.hall = 'Old Hall'"
            ),
            (
                "SELECT s.name, c.hall FROM singer AS s JOIN singer_in_concert AS sic ON s.singer_id = sic.singer_id "
                "JOIN concert AS c ON sic.concert_id = c.concert_id WHERE c.hall = 'Old Hall'"
            ),
        ),
        (
            "What is the average age of singers from Chad?",
            (
                "SELECT AVG(T1.age) FROM singer AS T1 JOIN singer_in_concert AS T2 ON T1.singer_id = T2.singer_id "
                "JOIN concert AS T3 ON T2.concert_id = T3.concert_id WHERE T1.country = 'Chad'"
            ),
            "SELECT AVG(age) FROM singer WHERE country = 'Chad'",
        ),
        # Each SELECT has names of its own; what refers outwards says to which table.
        (
            "Which singers were in no concert?",
            (
                "SELECT T1.name FROM singer AS T1 WHERE NOT EXISTS "
                "(SELECT 1 FROM singer_in_concert AS T2 WHERE T2.singer_id = T1.singer_id)"
            ),
            (
                "SELECT s.name FROM singer AS s WHERE NOT EXISTS"
                "(SELECT 1 FROM singer_in_concert WHERE singer_id = s.singer_id)"
            ),
        ),
        (
            "Show the concerts that have a singer.",
            "SELECT T1.* FROM concert AS T1 JOIN singer_in_concert AS T2 ON T1.concert_id = T2.concert_id",
            "SELECT c.* FROM concert AS c JOIN singer_in_concert AS sic ON c.concert_id = sic.concert_id",
        ),
    ],
)
def test_rewritten(question: str, sql: str, restyled: str) -> None:
    row = first_way(pair(question, sql), SHOP)
    assert (row["sql"], row["dropped"]) == (restyled, "")


def test_the_last_way_leaves_what_is_asked_alone() -> None:
    sql = "SELECT T1.age FROM singer AS T1 WHERE T1.name = 'IDA' ORDER BY T1.age"
    assert written(sql, 2, pair("How old is Ida?", sql), SHOP) == (
        "SELECT age FROM singer WHERE name = 'IDA' ORDER BY age",
        ["aliases"],
    )


@pytest.mark.parametrize(
    ("question", "sql", "reason"),
    [
        ("Who is from Chad?", "SELECT name FROM singer WHERE country = 'Peru'", "a text in it is not in the question"),
        ("Who is from TD?", "SELECT name FROM singer WHERE country = 'D'", "a text in it is not in the question"),
        ("Who is older than 30?", "SELECT name FROM singer WHERE age > 40", "a number in it is not in the question"),
        (
            "Concerts of May 2024?",
            "SELECT hall FROM concert WHERE held_on > '2021-05-01'",
            "a date in it is not in the question",
        ),
        (
            "How many singers per country?",
            "SELECT COUNT(*) FROM singer",
            "it gives one total where one for each is asked for",
        ),
        (
            "How many countries are there?",
            "SELECT country FROM singer",
            "it shows texts where a number is asked for",
        ),
        ("Which singer is the oldest?", "SELECT name FROM singer", "it ranks nothing where the most is asked for"),
        ("Which singers sing?", "SELECT 1 FROM singer", "it shows a constant"),
        ("Halls and singers?", "SELECT s.name, c.hall FROM singer s, concert c", "its tables are not joined"),
        ("Which countries over 5?", "SELECT name FROM singer WHERE country > '5'", "it compares texts as numbers"),
        ("Is this broken?", "SELECT FROM (", "it cannot be read"),
        ("Yes, please.", "SELECT name FROM singer", "its question says nothing"),
    ],
)
def test_dropped(question: str, sql: str, reason: str) -> None:
    assert first_way(pair(question, sql), SHOP)["dropped"] == reason


@pytest.mark.parametrize(
    ("question", "sql"),
    [
        ("Who is older than three?", "SELECT name FROM singer WHERE age > 3"),
        ("Who is at least 30?", "SELECT name FROM singer WHERE age >= 30"),
        ("Which three singers are oldest?", "SELECT name FROM singer ORDER BY age DESC LIMIT 3"),
        ("Concerts of May 2024?", "SELECT hall FROM concert WHERE held_on >= '2024-05-01' AND held_on < '2024-06-01'"),
    ],
)
def test_what_the_question_says_is_no_doubt(question: str, sql: str) -> None:
    assert first_way(pair(question, sql), SHOP)["dropped"] == ""


def test_notes_say_what_a_constant_means() -> None:
    asked = pair("Who is from Chad?", "SELECT name FROM singer WHERE country = 'TD'", "Chad refers to country = 'TD'")
    assert first_way(asked, SHOP)["dropped"] == ""


def test_the_command_counts_and_writes(prepared: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(prepared, tmp_path / "folder")
    CliRunner().invoke(command, [str(folder)], catch_exceptions=False)
    rows = {row["id"]: row for row in lines(folder / "restyled.jsonl")}
    assert rows["own-1"]["sql"] == (
        "SELECT g.name, COUNT(*) FROM plot AS p JOIN gardener AS g ON p.gardener_id = g.gardener_id GROUP BY g.name"
    )
    assert rows["own-7"]["sql"] is None
    told = json.loads((folder / "report.json").read_text())["restyle"]
    assert told["pairs"] == len(rows)
    assert told["passes that changed a gold"]["aliases"] >= 1
    assert not (folder / "restyled.jsonl.kept").exists()
