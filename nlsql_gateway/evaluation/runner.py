"""All questions of a run, several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from nlsql_gateway.errors import GatewayError
from nlsql_gateway.evaluation.asking import Asking
from nlsql_gateway.evaluation.questions import Question
from nlsql_gateway.evaluation.score import Result


async def run(
    questions: Sequence[Question], asking: Asking, *, concurrency: int, done: Callable[[Result], None]
) -> None:
    """Ask each of ``questions``, ``concurrency`` at a time; ``done`` gets each result as it comes.

    Raises UpstreamError before anything is asked when a database cannot be logged in to, later when golds can no
    longer be run.
    """
    await asking.try_logins(sorted({question.db for question in questions}))
    left = iter(questions)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(_work(left, asking, done))
    except* GatewayError as several:
        raise _first(several) from several


async def _work(left: Iterator[Question], asking: Asking, done: Callable[[Result], None]) -> None:
    for question in left:
        done(await asking.result(question))


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = several
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
