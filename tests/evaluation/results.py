"""Results as a run makes them, made up."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from nlsql_gateway.evaluation.questions import Question
from nlsql_gateway.evaluation.score import Gold, Reply, Result, score
from nlsql_gateway.evaluation.tables import table
from nlsql_gateway.sql.difficulty import LEVELS

ONE = table(1, [(1,)])
GOLD = Gold("SELECT 1", ONE)


def question(name: str, words: str = "How many?", *, gold: str = "SELECT 1", **more: str) -> Question:
    parts = {"set": "own", "db": "shops", "category": "where", "instructions": "", **more}
    return Question(id=name, words=words, gold=gold, **parts)


def right(name: str, *, seconds: float = 1.0, confidence: float | None = None, **more: str) -> Result:
    return score(question(name, **more), Reply(seconds, ONE, sql="SELECT 1", confidence=confidence), [GOLD])


def wrong(name: str, *, seconds: float = 1.0, confidence: float | None = None, **more: str) -> Result:
    rows = table(1, [(2,)])
    return score(question(name, **more), Reply(seconds, rows, sql="SELECT 2", confidence=confidence), [GOLD])


def refused(name: str, sqlstate: str = "NL001", *, seconds: float = 1.0, **more: str) -> Result:
    asked = question(name, **more)
    return score(asked, Reply(seconds, None, sqlstate, "cannot be answered"), [GOLD] if asked.answerable else [])


def many(seed: int, count: int = 150) -> tuple[Result, ...]:
    """A run of ``count`` questions, the same ones for every seed."""
    random, names = Random(seed), Random(0)
    found = []
    for number in range(count):
        category = names.choice(["date", "group by", "join", "order by", "ratio", "where"])
        asked = {"category": category, "set": names.choice(["own", "other"]), "db": names.choice(["shops", "library"])}
        difficulty = names.choice(LEVELS)
        confidence, seconds = random.random(), random.lognormvariate(0.7, 0.8)
        if number % 6 == 5:
            made = refused if random.random() < 0.6 else None
            name, gold = f"none-{number}", {"gold": "", "set": "unanswerable"}
            found.append(
                refused(name, seconds=seconds, **{**asked, **gold})
                if made
                else score(question(name, **{**asked, **gold}), Reply(seconds, ONE, sql="SELECT 1", confidence=0.2), [])
            )
            continue
        make = right if random.random() < confidence else wrong
        one = make(f"q-{number}", seconds=seconds, confidence=round(confidence, 1), **asked)
        if random.random() < 0.1:
            one = refused(f"q-{number}", random.choice(["NL001", "NL003", "57014"]), seconds=seconds, **asked)
        found.append(replace(one, difficulty=difficulty))
    return tuple(found)


ABOUT = {
    "name": "out",
    "file": "questions.jsonl",
    "written": "2026-01-02T03:04:05+00:00",
    "gateway": "1.0",
    "models": ["double 7"],
    "user": "ada",
    "golds": "direct",
    "concurrency": 1,
    "processors": 2,
}
