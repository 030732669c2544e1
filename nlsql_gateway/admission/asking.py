"""Asking: from a question to SQL, by whoever knows it first: a verified question, an earlier answer, the model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from nlsql_gateway.admission.values import Client
from nlsql_gateway.ask import (
    VERIFIED,
    Answer,
    AnswerCache,
    Asker,
    Check,
    Key,
    Meanings,
    Semantics,
    normal,
    relevant,
    verified,
    with_joins,
)
from nlsql_gateway.errors import AskTimeout, ModelUnavailable
from nlsql_gateway.policy import Policy, rights, visible
from nlsql_gateway.sql import Catalog


@dataclass(slots=True)
class Asking:
    """One for a gateway; every part is handed in by ``serving.py``."""

    asker: Asker | None
    "None: only verified questions are answered; others are refused with NL002."
    deadline: float
    "Seconds from a question to its SQL."
    answers: AnswerCache
    "What the model answered before."
    semantics: Callable[[], Semantics] = Semantics
    "What words mean, as the operator says."

    async def answer(
        self, words: str, client: Client, policy: Policy, catalog: Catalog, check: Check, today: date
    ) -> Answer:
        """SQL for the question ``words`` that passed ``check``; it is untrusted text all the same.

        Raises AskError, and what ``check`` raises. Cancelling the task cancels the model's request.
        """
        try:
            async with asyncio.timeout(self.deadline):
                return await self._answer(words, client, policy, catalog, check, today)
        except TimeoutError as error:
            raise AskTimeout(
                f"the question was not answered within {self.deadline:g} s",
                hint="ask something simpler, or raise ask.deadline",
            ) from error

    async def _answer(
        self, words: str, client: Client, policy: Policy, catalog: Catalog, check: Check, today: date
    ) -> Answer:
        semantics = self.semantics()
        meanings = semantics.of(client.database)

        def schema() -> Catalog:
            return with_joins(visible(catalog, client.principal, policy), meanings)

        answer = await _verified(words, meanings, schema, check, today)
        if answer is not None:
            return answer
        if self.asker is None:
            raise ModelUnavailable(
                "questions are not answered here", hint="set ask.backend in gateway.yaml, or write SQL"
            )
        key = Key(
            normal(words),
            client.database,
            rights(client.principal, policy),
            policy.version,
            catalog.version,
            semantics.version,
            self.asker.model,
            today,
        )
        answer = self.answers.get(key)
        if answer is None:
            seen = schema()
            hints = relevant(meanings, words, seen)
            answer = await self.asker.answer(words, seen, check, today=today, timeout=self.deadline, hints=hints)
            self.answers.put(key, answer)
        return answer


async def _verified(
    words: str, meanings: Meanings, schema: Callable[[], Catalog], check: Check, today: date
) -> Answer | None:
    """What somebody has verified. Who may not run it, and who asks when the tables have changed, asks the model: that
    there is such a question is not told to whoever may not have its answer.
    """
    found = verified.match(words, meanings, schema, today)
    if found is None or await check(found.sql) is not None:
        return None
    by = f"by {found.verified.by} on {found.verified.on.isoformat()}"
    return Answer(found.sql, VERIFIED, by, 0, wording=found.wording)
