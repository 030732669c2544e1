"""Candidates -> the one that may run, or why none may.

The order of the candidates is the preference: the text as code mended it, then the model's own. The first that passes
the check is taken. Agreement of several completions and confidence have their place here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nlsql_gateway.ask.values import Check, Problem


@dataclass(frozen=True, slots=True)
class Candidate:
    sql: str
    problem: Problem | None = None
    "What is known to be wrong with it already; said in the place of the check's words, which know less of the schema."


@dataclass(frozen=True, slots=True)
class Chosen:
    sql: str


@dataclass(frozen=True, slots=True)
class Failed:
    sql: str
    problem: Problem


async def choose(candidates: Sequence[Candidate], check: Check) -> Chosen | Failed:
    """The first of ``candidates`` (at least one) that passes ``check``, else what is wrong with the first."""
    failed: list[Failed] = []
    seen: set[str] = set()
    for candidate in candidates:
        if candidate.sql in seen:
            continue
        seen.add(candidate.sql)
        problem = await check(candidate.sql)
        if problem is None:
            return Chosen(candidate.sql)
        failed.append(Failed(candidate.sql, candidate.problem or problem))
    return failed[0]
