"""Asker: from a question to checked SQL, within a deadline.

link ──► prompt ──► model ──► extract ──► repair by code ──► check ──► Answer
           ▲                     │                             │
           └───── the error, at most ``repairs`` times ◄───────┘
"""

from __future__ import annotations

import asyncio
from datetime import date
from time import monotonic
from typing import Literal

from nlsql_gateway.ask.choose import Candidate, Chosen, choose
from nlsql_gateway.ask.extract import extract
from nlsql_gateway.ask.followups import Topic
from nlsql_gateway.ask.generator import Completion, Generator, Sampling
from nlsql_gateway.ask.linking import link
from nlsql_gateway.ask.prompt import Attempt, cost, describe, family, write
from nlsql_gateway.ask.repair import mend
from nlsql_gateway.ask.semantics_hints import NO_HINTS, Hints
from nlsql_gateway.ask.values import Answer, Check, Problem
from nlsql_gateway.errors import AskTimeout, NoValidSql, Unanswerable
from nlsql_gateway.sql.catalog import Catalog

MAX_QUESTION = 4000
"""Characters: a question is a sentence or a few, and the prompt has a budget."""
MAX_ERROR = 400
"""Characters of an error that the model is shown."""
HINT_NAMES = 12
"""Tables named in a hint."""


class Asker:
    """Answers questions with one model. Immutable but for the generator's connection; any number of tasks may ask."""

    def __init__(
        self,
        generator: Generator,
        *,
        prompt: Literal["auto", "chatml", "sqlcoder"],
        repairs: int,
        max_tokens: int,
        max_prompt_tokens: int,
    ) -> None:
        self._generator = generator
        self._family = family(prompt, generator.model)
        self._repairs = repairs
        self._max_tokens = max_tokens
        self._max_prompt_tokens = max_prompt_tokens

    @property
    def model(self) -> str:
        """Its name, as configured."""
        return self._generator.model

    async def serving(self) -> str:
        """See Generator."""
        return await self._generator.serving()

    async def answer(
        self,
        question: str,
        schema: Catalog,
        check: Check,
        *,
        today: date,
        timeout: float,
        hints: Hints = NO_HINTS,
        before: Topic | None = None,
    ) -> Answer:
        """SQL for ``question`` that passed ``check``.

        ``schema`` holds only what the person may see: no other name gets into the prompt, a repair or an error.
        ``today`` is the person's date; ``timeout`` is in seconds; ``hints`` are what the operator says of the
        question's words; ``before`` is what it goes on from. Cancelling the task cancels the model's request.
        Raises the AskError family, and what ``check`` raises.
        """
        question = " ".join(question.split())
        if not question:
            raise Unanswerable("the question is empty", hint="write it behind ask:")
        if len(question) > MAX_QUESTION:
            raise Unanswerable(f"the question is longer than {MAX_QUESTION} characters", hint="ask something shorter")
        if not schema.relations:
            raise Unanswerable("there is no table here that you may read", hint="ask for access, or another database")
        try:
            async with asyncio.timeout(timeout):
                return await self._answer(question, schema, check, today, monotonic() + timeout, hints, before)
        except TimeoutError as error:
            raise AskTimeout(
                f"the question was not answered within {timeout:g} s",
                hint="ask something simpler, or raise ask.deadline",
            ) from error

    async def _answer(
        self, question: str, schema: Catalog, check: Check, today: date, end: float, hints: Hints, before: Topic | None
    ) -> Answer:
        budget = self._max_prompt_tokens - cost(question) - sum(map(cost, hints.lines))
        looked_for = hints.spelt_out(question)
        if before is not None:
            budget -= cost(before.question) + cost(before.sql)
            looked_for = f"{before.question} {before.sql} {looked_for}"
        # In a thread: with thousands of tables this takes long enough to be felt by the other connections.
        relations = await asyncio.to_thread(
            link, looked_for, schema, budget, lambda relation: cost(describe(relation, schema))
        )
        failed: Attempt | None = None
        problem = Problem("the model gave no SQL")
        for attempt in range(1, self._repairs + 2):
            prompt = write(
                self._family, question, relations, schema, today=today, failed=failed, notes=hints.lines, before=before
            )
            completion = await self._generator.generate(
                prompt.text, Sampling(self._max_tokens, stop=prompt.stop), timeout=max(0.001, end - monotonic())
            )
            try:
                sql = extract(completion.text)
            except Unanswerable as error:
                raise Unanswerable(error.message, hint=_names_hint(schema), detail=_detail(failed)) from error
            except NoValidSql as error:
                problem, failed = Problem(error.message), Attempt(completion.text.strip()[:MAX_ERROR], error.message)
                continue
            mended = await asyncio.to_thread(mend, sql, schema)
            chosen = await choose((Candidate(mended.sql, mended.problem), Candidate(sql)), check)
            if isinstance(chosen, Chosen):
                return _answered(chosen.sql, completion, attempt)
            problem = chosen.problem
            again = failed is not None and failed.sql == chosen.sql
            failed = Attempt(chosen.sql, _short(problem.message))
            if mended.strange or again:
                # What is not there at all is no error to mend: asked again, a small model answers something else. And
                # one that repeats itself will do so a third time, for it decodes greedily.
                break
        if problem.unknown:
            missing, _, _ = problem.message.partition(";")  # behind it is what there is, which the hint says shorter
            raise Unanswerable(
                f"the tables you may see do not answer this: {_short(missing)}",
                hint=_names_hint(schema),
                detail=_detail(failed),
            )
        raise NoValidSql(
            f"no valid SQL was found: {_short(problem.message)}",
            hint="say it in other words, name the tables or columns you mean, or write SQL",
            detail=_detail(failed),
        )


def _answered(sql: str, completion: Completion, attempts: int) -> Answer:
    return Answer(sql, completion.model, completion.version, attempts)


def _names_hint(schema: Catalog) -> str:
    names = sorted({relation.name for relation in schema.relations.values()})
    more = ", …" if len(names) > HINT_NAMES else ""
    return f"ask about what these tables hold: {', '.join(names[:HINT_NAMES])}{more}"


def _detail(failed: Attempt | None) -> str:
    return f"The last attempt was: {failed.sql}" if failed is not None else ""


def _short(message: str) -> str:
    """One line for the model and the person, whatever came before."""
    line = " ".join(message.split())
    return line if len(line) <= MAX_ERROR else f"{line[:MAX_ERROR]}…"
