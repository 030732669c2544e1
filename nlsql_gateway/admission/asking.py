"""Asking: from a question to SQL, by whoever knows it first: a verified question, an earlier answer, the model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from time import monotonic
from typing import Final

from nlsql_gateway.admission.values import Client
from nlsql_gateway.admission.vocabularies import Vocabularies, Whose
from nlsql_gateway.ask import (
    VERIFIED,
    Answer,
    AnswerCache,
    Asker,
    Check,
    Key,
    Look,
    Meanings,
    Semantics,
    Source,
    Suggestion,
    Tell,
    Topic,
    Vocabulary,
    followups,
    nobody,
    normal,
    read_vocabulary,
    read_wanted,
    relevant,
    verified,
    with_joins,
)
from nlsql_gateway.errors import AskError, AskTimeout, ModelUnavailable, Unanswerable
from nlsql_gateway.policy import Policy, rights, visible
from nlsql_gateway.sql import Catalog

LOOK_S: Final = 1.0
"""Seconds between two looks at which version of the model serves, and how long one may take."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, and what its answer depends on."""

    words: str
    client: Client
    policy: Policy
    catalog: Catalog
    today: date
    more: bool = False
    "The person says that it goes on from the last question."
    topic: Topic | None = None
    "Of the session's last question."
    tell: Tell = nobody
    "Told how far the answer is."

    @property
    def under(self) -> tuple[str, str]:
        return (self.policy.version, rights(self.client.principal, self.policy))

    @property
    def known_topic(self) -> Topic | None:
        """What may be gone on from: under another policy, or with other rights, nothing that was said before."""
        topic = self.topic
        return topic if topic is not None and topic.question and topic.under == self.under else None

    def topic_of(self, answer: Answer) -> Topic:
        return followups.topic(self.words, answer.sql, self.known_topic if answer.goes_on else None, self.under)


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
    look_seconds: float = 0.0
    "Of one look into the data on behalf of the person who asks; 0: none."
    vocabularies: Vocabularies = field(default_factory=lambda: Vocabularies(0, 0))
    "What people's columns hold."
    verified: int = 0
    "How many questions were answered from what somebody has verified."
    _looked: float = -LOOK_S
    _serving: str = ""
    "What serves, as it last said."

    async def answer(
        self,
        asked: Asked,
        check: Check,
        look: Look | None = None,
        source: Callable[[], Source | None] = lambda: None,
    ) -> Answer:
        """SQL for a question that passed ``check``; it is untrusted text all the same.

        ``look`` reads as the person; ``source`` says how his columns' values are read.

        Raises AskError, and what ``check`` raises. Cancelling the task cancels the model's request.
        """
        try:
            async with asyncio.timeout(self.deadline):
                return await self._answer(asked, check, look, source)
        except TimeoutError as error:
            raise AskTimeout(
                f"the question was not answered within {self.deadline:g} s",
                hint="ask something simpler, or raise ask.deadline",
            ) from error

    async def python(self, text: str) -> Suggestion:
        """Code that ``text``, which is JSON, asks for. Raises StatementError, AskError."""
        return await self._model().python(read_wanted(text), timeout=self.deadline)

    def _model(self) -> Asker:
        if self.asker is None:
            raise ModelUnavailable(
                "questions are not answered here", hint="set ask.backend in gateway.yaml, or write SQL"
            )
        return self.asker

    async def _answer(
        self, asked: Asked, check: Check, look: Look | None, source: Callable[[], Source | None]
    ) -> Answer:
        semantics = self.semantics()
        meanings = semantics.of(asked.client.database)

        def schema() -> Catalog:
            return with_joins(visible(asked.catalog, asked.client.principal, asked.policy), meanings)

        before = asked.known_topic
        if asked.more:
            if before is None:
                raise Unanswerable("there is no question before this one", hint="ask it whole")
        else:
            answer = await _verified(asked, meanings, schema, check)
            if answer is not None:
                self.verified += 1
                return answer
            if before is not None and not followups.goes_on(asked.words, lambda: followups.nouns(schema())):
                before = None
        asker = self._model()
        key = Key(
            normal(asked.words),
            asked.client.database,
            rights(asked.client.principal, asked.policy),
            asked.policy.version,
            asked.catalog.version,
            semantics.version,
            f"{asker.model} {await self._version(asker)}".rstrip(),
            asked.today,
            (before.question, before.sql) if before is not None else ("", ""),
        )
        answer = self.answers.get(key)
        if answer is None:
            seen = schema()
            hints = relevant(meanings, f"{before.question} {asked.words}" if before is not None else asked.words, seen)
            answer = await asker.answer(
                asked.words,
                seen,
                check,
                today=asked.today,
                timeout=self.deadline,
                hints=hints,
                before=before,
                look=look,
                vocabulary=await self._vocabulary(asked, seen, source),
                tell=asked.tell,
            )
            self.answers.put(key, answer)
        return replace(answer, goes_on=before is not None)

    async def _vocabulary(self, asked: Asked, seen: Catalog, source: Callable[[], Source | None]) -> Vocabulary | None:
        how = source()
        if how is None:
            return None
        version, of = asked.under
        whose = Whose(asked.client.database, of, version, asked.catalog.version)
        return await self.vocabularies.of(whose, lambda: read_vocabulary(seen, how, self.vocabularies.largest))

    async def _version(self, asker: Asker) -> str:
        """What serves now: another version of the model may answer otherwise."""
        if self.answers.is_off or monotonic() - self._looked < LOOK_S:
            return self._serving
        self._looked = monotonic()
        try:
            async with asyncio.timeout(LOOK_S):
                self._serving = await asker.serving()
        except (AskError, TimeoutError):
            pass  # what was said before is still good; who asks something new is told what is wrong
        return self._serving


async def _verified(asked: Asked, meanings: Meanings, schema: Callable[[], Catalog], check: Check) -> Answer | None:
    """What somebody has verified. Who may not run it, and who asks when the tables have changed, asks the model: that
    there is such a question is not told to whoever may not have its answer.
    """
    found = verified.match(asked.words, meanings, schema, asked.today)
    if found is None or await check(found.sql) is not None:
        return None
    by = f"by {found.verified.by} on {found.verified.on.isoformat()}"
    return Answer(found.sql, VERIFIED, by, 0, wording=found.wording)
