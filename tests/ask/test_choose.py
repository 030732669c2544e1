"""The first candidate that passes, or what is wrong with the first."""

from __future__ import annotations

import asyncio

from nlsql_gateway.ask import Problem
from nlsql_gateway.ask.choose import Candidate, Chosen, Failed, choose
from tests.ask.shop import checker


def test_the_first_that_passes_is_taken() -> None:
    check = checker({"one": "no one"})
    assert asyncio.run(choose([Candidate("one"), Candidate("two"), Candidate("three")], check)) == Chosen("two")


def test_what_is_known_of_the_schema_is_said_before_what_the_check_says() -> None:
    check = checker({"one": "no one", "two": "no two"})
    known = Problem("column x does not exist in y; y has: z", unknown=True)
    assert asyncio.run(choose([Candidate("one", known), Candidate("two")], check)) == Failed("one", known)
    assert asyncio.run(choose([Candidate("one"), Candidate("two")], check)) == Failed("one", Problem("no one"))


def test_what_is_known_is_not_held_against_a_candidate_that_passes() -> None:
    assert asyncio.run(choose([Candidate("one", Problem("looks odd"))], checker({}))) == Chosen("one")


def test_the_same_text_is_checked_once() -> None:
    seen: list[str] = []

    async def check(sql: str) -> Problem | None:
        seen.append(sql)
        return Problem("no")

    asyncio.run(choose([Candidate("one"), Candidate("one")], check))
    assert seen == ["one"]
