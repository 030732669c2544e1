"""One completion tried out: read, put right by code, met with the data, checked; and whether to believe it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nlsql_gateway.ask.choose import Candidate, Chosen, choose
from nlsql_gateway.ask.extract import extract
from nlsql_gateway.ask.generator import Completion
from nlsql_gateway.ask.grounding import Grounded, Look, Rows, ground
from nlsql_gateway.ask.rehoming import rehome
from nlsql_gateway.ask.rework import rework
from nlsql_gateway.ask.values import Check, Problem
from nlsql_gateway.ask.vocabulary import Vocabulary
from nlsql_gateway.errors import LimitError, NoValidSql, StatementError, Unanswerable
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.habits import shows_words_only

MAX_SHOWN = 400
"""Characters of an answer without SQL that the model is shown again."""


@dataclass(frozen=True, slots=True)
class Tried:
    sql: str
    "What passed the check, or what failed first."
    problem: Problem | None
    "None: it passed."
    completion: Completion
    strange: bool = False
    "It names what nothing in the schema is called: no matter of spelling."
    unmet: tuple[str, ...] = ()
    "Texts that it compares with columns which do not hold them."
    rows: Rows | None = None
    "What it gives; None: not looked at."

    @property
    def passed(self) -> bool:
        return self.problem is None

    @property
    def is_void(self) -> bool:
        """No rows, or one of nulls and zeros: what an aggregate of nothing gives. False where nothing was looked at."""
        rows = self.rows
        return rows is not None and (
            not rows or (len(rows) == 1 and all(value is None or value == 0 for value in rows[0]))
        )

    @property
    def sureness(self) -> float | None:
        """Mean natural logarithm of the tokens' probabilities; None where the model tells none."""
        given, tokens = self.completion.logprob, self.completion.tokens
        return given / tokens if given is not None and tokens else None


async def try_out(
    completion: Completion,
    question: str,
    schema: Catalog,
    check: Check,
    look: Look | None,
    vocabulary: Vocabulary | None = None,
) -> Tried:
    """The best that code makes of ``completion``. Raises Unanswerable (the model refuses), and as ``check`` does."""
    try:
        sql = extract(completion.text)
    except NoValidSql as error:
        return Tried(completion.text.strip()[:MAX_SHOWN], Problem(error.message), completion)
    if _speaks_itself(sql):
        raise Unanswerable("the model answers in its own words: the tables you may see do not hold this")
    # In a thread: a schema of thousands of tables has a large join graph.
    mended = await asyncio.to_thread(rework, sql, question, schema)
    grounded = await ground(mended.sql, schema, look) if look is not None else Grounded(mended.sql)
    if vocabulary is not None and grounded.unmet:
        grounded = await asyncio.to_thread(rehome, grounded, schema, vocabulary)
    candidates = (Candidate(grounded.sql, mended.problem), Candidate(mended.sql, mended.problem), Candidate(sql))
    chosen = await choose(candidates, check)
    if not isinstance(chosen, Chosen):
        return Tried(chosen.sql, chosen.problem, completion, mended.strange, grounded.unmet)
    rows = await look(chosen.sql) if look is not None else None
    return Tried(chosen.sql, None, completion, unmet=grounded.unmet, rows=rows)


def _speaks_itself(sql: str) -> bool:
    try:
        return shows_words_only(sql)
    except (StatementError, LimitError):
        return False
