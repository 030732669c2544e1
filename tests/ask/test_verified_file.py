"""An entry put into a semantics file: only lines are added."""

from __future__ import annotations

import difflib
from datetime import date

import pytest
import yaml

from nlsql_gateway.ask import load_semantics
from nlsql_gateway.ask.verified_file import added
from nlsql_gateway.errors import ConfigError

ENTRY = {
    "question": "how many: orders?",
    "sql": "SELECT count(*)\nFROM orders  -- all",
    "verified_by": "ada: lovelace",
    "verified_on": date(2026, 11, 23),
}

WHOLE = """\
# our words
version: 1
databases:
    shop:  # the shop's
        questions:
        # the first
        - question: "x"   # quoted
          sql: >-
              SELECT
                1

          verified_by: eva
          verified_on: 2026-01-01
        # the end

        metrics: {a: sum(b.c)}   # flow

    'other shop':
        glossary:
            a: |
                b

# end
"""


def check(before: str, database: str) -> str:
    """What is added loads, and nothing else changed."""
    after = added(before, database, ENTRY, "s.yaml")
    changes = [line[0] for line in difflib.ndiff(before.splitlines(), after.splitlines())]
    assert set(changes) <= {" ", "+"}
    question = load_semantics(after, "s.yaml").of(database).questions[-1]
    assert (question.wordings, question.sql, question.by, question.on) == (
        ("how many: orders?",),
        ENTRY["sql"],
        "ada: lovelace",
        date(2026, 11, 23),
    )
    return after


def test_behind_the_questions_that_are_there() -> None:
    after = check(WHOLE, "shop")
    assert after.index("how many") < after.index("metrics:")
    assert len(yaml.safe_load(after)["databases"]["shop"]["questions"]) == 2
    twice = added(after, "shop", {**ENTRY, "question": "another"}, "s.yaml")
    assert len(yaml.safe_load(twice)["databases"]["shop"]["questions"]) == 3


def test_in_a_database_without_questions_and_in_a_new_one() -> None:
    check(WHOLE, "other shop")
    check(WHOLE, "third")
    check("version: 1\ndatabases:\n  a:\n    joins:\n    - a.b = c.d", "a")
    check("version: 1\ndatabases:\n  a:\n    joins:\n    - a.b = c.d", "on")


def test_an_empty_file_becomes_a_whole_one() -> None:
    assert check("", "shop") == (
        "version: 1\n"
        "databases:\n"
        "  shop:\n"
        "    questions:\n"
        "      - question: 'how many: orders?'\n"
        "        sql: |-\n"
        "          SELECT count(*)\n"
        "          FROM orders  -- all\n"
        "        verified_by: 'ada: lovelace'\n"
        "        verified_on: 2026-11-23\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\ndatabases: {shop: {questions: []}}\n",
        "version: 1\ndatabases:\n  shop: {}\n",
        "version: 1\ndatabases:\n  shop:\n    questions: []\n",
        "{version: 1, databases: {}}\n",
    ],
)
def test_a_file_in_flow_style_is_left_alone_and_the_lines_are_shown(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        added(text, "shop", ENTRY, "s.yaml")
    assert "s.yaml: written in a form that is not added to" in caught.value.message
    assert yaml.safe_load(caught.value.detail) == [ENTRY]
