"""``ask('…')`` in FROM: each question becomes a query in the function's place, and the whole is decided on as one.

docs/asking.md, "Inside SQL".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from nlsql_gateway.admission.elsewhere import LARGE
from nlsql_gateway.admission.values import Judgement
from nlsql_gateway.admission.wording import notice
from nlsql_gateway.ask import Answer
from nlsql_gateway.errors import LimitError, StatementError
from nlsql_gateway.sql import Batch, Catalog, classify
from nlsql_gateway.sql.table_function import NAME, Call, calls, possible, replaced

MOST = 8
"""Questions in one text: a model answers some a minute."""


async def found(text: str) -> tuple[Batch, tuple[Call, ...]] | None:
    """The calls in ``text``; None when there are none. Raises StatementError, LimitError."""
    if not possible(text):
        return None
    try:
        # In a thread: large texts are read nowhere where everybody waits for them.
        batch = await asyncio.to_thread(classify, text) if len(text) > LARGE else classify(text)
    except (StatementError, LimitError):
        return None  # whoever decides on it words the error
    if not isinstance(batch, Batch):
        return None
    asked = calls(batch)
    if len(asked) > MOST:
        raise LimitError(f"the statement asks more than {MOST} questions", hint="send it in several parts")
    return (batch, asked) if asked else None


def is_taken(catalog: Catalog) -> bool:
    """Whether the database has a function of this name that statements find without a schema: then it is meant."""
    return any(function.schema in catalog.search_path for function in catalog.functions.get(NAME, ()))


async def judged(
    batch: Batch,
    asked: Sequence[Call],
    answer: Callable[[str], Awaitable[Answer]],
    judge: Callable[[str], Awaitable[Judgement]],
) -> Judgement:
    """The judgement on the whole, once ``answer`` has given each query. Raises AskError, StatementError."""
    for call in asked:
        if call.parameter:
            raise StatementError(
                f"the question of ask(${call.parameter}) is not known yet", hint="write it as a constant: ask('…')"
            )
    answers = [await answer(call.words) for call in asked]
    whole = replaced(batch, [(call, given.sql) for call, given in zip(asked, answers, strict=True)])
    judgement = await judge(whole)
    return replace(
        judgement,
        question="; ".join(call.words for call in asked),
        answer=_together(answers),
        source=whole,
        position=None,  # in a text that nobody typed
        notices=tuple(notice(judgement, given) for given in answers) if judgement.verdict == "allow" else (),
    )


def _together(answers: Sequence[Answer]) -> Answer:
    """For the record: what several answers have in common."""
    if len(answers) == 1:
        return answers[0]
    sure = [one.confidence for one in answers if one.confidence is not None]
    return replace(
        answers[0],
        sql="; ".join(one.sql for one in answers),
        attempts=sum(one.attempts for one in answers),
        confidence=min(sure, default=None),
        cached=all(one.cached for one in answers),
        doubt="; ".join(one.doubt for one in answers if one.doubt),
    )
