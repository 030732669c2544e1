"""Asker: from a question to checked SQL, within a deadline.

notes ──► link ──► prompt ──► model ──► try out: extract, repair by code, meet with data, check ──► Answer
                     ▲           ▲                         │
                     │           └── doubtful: samples, and the one that most agree with
                     └────────────── none passes: the error, at most ``repairs`` times
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from time import monotonic

from nlsql_gateway.ask.confidence import Signals, confidence, unspoken
from nlsql_gateway.ask.dialogue import Stage, Tell, nobody
from nlsql_gateway.ask.followups import Topic
from nlsql_gateway.ask.generator import Generator, Sampling
from nlsql_gateway.ask.grounding import Look
from nlsql_gateway.ask.linking import link
from nlsql_gateway.ask.notes import concerning
from nlsql_gateway.ask.prompt import Attempt, Choice, Prompt, cost, describe, family, write
from nlsql_gateway.ask.python import Suggestion, Wanted, suggest
from nlsql_gateway.ask.semantics_hints import NO_HINTS, Hints
from nlsql_gateway.ask.trying import Tried, try_out
from nlsql_gateway.ask.values import Answer, Check, Problem
from nlsql_gateway.ask.vocabulary import Met, Vocabulary
from nlsql_gateway.ask.vocabulary import hints as value_lines
from nlsql_gateway.ask.voting import elect, is_doubtful, is_settled
from nlsql_gateway.errors import AskError, AskTimeout, GatewayError, LowConfidence, NoValidSql, Unanswerable
from nlsql_gateway.sql.catalog import Catalog, Relation

MAX_QUESTION = 4000
"""Characters: a question is a sentence or a few, and the prompt has a budget."""
MAX_ERROR = 400
"""Characters of an error that the model is shown."""
HINT_NAMES = 12
"""Tables named in a hint."""
TEMPERATURE, TOP_P = 0.7, 0.95
"""Of samples: enough to differ, not so much that names are invented."""


class Asker:
    """Answers questions with one model. Immutable but for the generator's connection; any number of tasks may ask."""

    def __init__(
        self,
        generator: Generator,
        *,
        prompt: Choice,
        repairs: int,
        samples: int,
        max_tokens: int,
        max_prompt_tokens: int,
        max_pruned_tokens: int | None = None,
        patience: float = math.inf,
        threshold: float = 0.0,
        refuses: bool = True,
        value_hints: int = 0,
    ) -> None:
        """``patience``: seconds after which the first answer that passed is taken and no further one is asked for; half
        as many are left in any case when the first answer has come.

        ``value_hints``: lines of a prompt that say which columns hold what the question names.
        ``threshold``: an answer of less confidence is refused with LowConfidence, or else given with a doubt.
        """
        self._generator = generator
        self._family = family(prompt, generator.model)
        self._repairs = repairs
        self._samples = samples
        self._max_tokens = max_tokens
        self._max_prompt_tokens = max_prompt_tokens
        self._max_pruned_tokens = max_pruned_tokens
        self._patience = patience
        self._threshold = threshold
        self._refuses = refuses
        self._value_hints = value_hints

    @property
    def generator(self) -> Generator:
        """As handed in."""
        return self._generator

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
        look: Look | None = None,
        vocabulary: Vocabulary | None = None,
        tell: Tell = nobody,
    ) -> Answer:
        """SQL for ``question`` that passed ``check``.

        ``schema`` holds only what the person may see: no other name gets into the prompt, a repair or an error.
        ``today`` is the person's date; ``timeout`` is in seconds; ``hints`` are what the operator says of the
        question's words; ``before`` is what it goes on from; ``look`` reads as the person does, None: no data are
        looked at; ``vocabulary`` is of what the person may read; ``tell`` is called with each stage. Cancelling
        the task cancels the model's request.
        Raises the AskError family, and what ``check`` raises.
        """
        if len(question) > MAX_QUESTION:
            raise Unanswerable(f"the question is longer than {MAX_QUESTION} characters", hint="ask something shorter")
        question = concerning(question)
        if not question:
            raise Unanswerable("the question is empty", hint="write it behind ask:")
        if not schema.relations:
            raise Unanswerable("there is no table here that you may read", hint="ask for access, or another database")
        end = monotonic() + timeout
        tell(Stage.LINKING)
        try:
            async with asyncio.timeout(timeout):
                # In a thread: a vocabulary may have tens of thousands of values.
                met: tuple[Met, ...] = ()
                if vocabulary is not None:
                    met = await asyncio.to_thread(vocabulary.named, question)
                    schema = replace(schema, overlaps=vocabulary.overlaps)
                notes = (*hints.lines, *value_lines(met, self._value_hints))
                return await self._answer(
                    _Asked(
                        question, schema, check, today, timeout, end, hints, before, look, vocabulary, met, notes, tell
                    )
                )
        except TimeoutError as error:
            raise AskTimeout(
                f"the question was not answered within {timeout:g} s",
                hint="ask something simpler, or raise ask.deadline",
            ) from error

    async def python(self, wanted: Wanted, *, timeout: float) -> Suggestion:
        """Code over the rows of an answer. Raises the AskError family."""
        return await suggest(self._generator, self._family, wanted, max_tokens=self._max_tokens, timeout=timeout)

    async def _answer(self, asked: _Asked) -> Answer:
        hints, before = asked.hints, asked.before
        budget = self._max_prompt_tokens - cost(asked.question) - sum(map(cost, asked.notes))
        looked_for = hints.spelt_out(asked.question)
        if before is not None:
            budget -= cost(before.question) + cost(before.sql)
            looked_for = f"{before.question} {before.sql} {looked_for}"
        # In a thread: with thousands of tables this takes long enough to be felt by the other connections.
        relations = await asyncio.to_thread(
            link,
            looked_for,
            asked.schema,
            budget,
            lambda relation: cost(describe(relation, asked.schema)),
            self._max_pruned_tokens,
            [[key for key, _ in met.places] for met in asked.met],
        )
        try:
            first = await self._try(asked, self._write(asked, relations), Sampling(self._max_tokens))
        except Unanswerable as error:
            raise Unanswerable(error.message, hint=_names_hint(asked.schema), detail=error.detail) from error
        if self._is_cut(first):
            raise _cut_short(first, self._max_tokens)
        tried = [first]
        # A first answer that took long has read the schema for the first time: those behind it are quick.
        late = max(asked.end - asked.timeout + self._patience, monotonic() + self._patience / 2)
        if self._samples and is_doubtful(first) and not first.strange and monotonic() < late:
            tried += await self._sample(asked, self._write(asked, relations), first, late)
        failed = first
        while (elected := elect(tried)) is None:
            if len(tried) > self._samples + self._repairs or failed.strange or monotonic() > late:
                # What is not there at all is no error to mend: asked again, a small model answers something else.
                raise _given_up(failed, asked.schema)
            attempt = Attempt(failed.sql, _short(failed.problem.message if failed.problem is not None else ""))
            again = await self._try(asked, self._write(asked, relations, attempt), Sampling(self._max_tokens))
            tried.append(again)
            if self._is_cut(again):
                raise _given_up(failed, asked.schema)
            if again.sql == failed.sql and not again.passed:
                raise _given_up(again, asked.schema)  # it will repeat itself a third time, for it decodes greedily
            failed = again
        chosen, agreement = elected
        missing, share = await asyncio.to_thread(unspoken, asked.question, chosen.sql, asked.schema)
        signals = Signals(
            chosen.sureness,
            agreement,
            sampled=len(tried) > 1,
            void=chosen.is_void,
            unmet=len(chosen.unmet),
            unspoken=share,
        )
        sure, doubt = confidence(signals), ""
        if sure < self._threshold:
            doubt = _doubt(chosen, missing)
            if self._refuses:
                raise LowConfidence(
                    f"the answer is too doubtful to be given: {doubt}",
                    hint="name what you mean as the tables do, or write SQL",
                    detail=f"It would have been: {chosen.sql}",
                )
        completion = chosen.completion
        return Answer(chosen.sql, completion.model, completion.version, len(tried), sure, doubt=doubt)

    def _write(self, asked: _Asked, relations: Sequence[Relation], failed: Attempt | None = None) -> Prompt:
        return write(
            self._family,
            asked.question,
            relations,
            asked.schema,
            today=asked.today,
            failed=failed,
            notes=asked.notes,
            before=asked.before,
        )

    async def _try(self, asked: _Asked, prompt: Prompt, sampling: Sampling) -> Tried:
        asked.tell(Stage.MODEL)
        completion = await self._generator.generate(
            prompt.text, replace(sampling, stop=prompt.stop), timeout=max(0.001, asked.end - monotonic())
        )
        asked.tell(Stage.CHECKS)
        return await try_out(completion, asked.question, asked.schema, asked.check, asked.look, asked.vocabulary)

    def _is_cut(self, tried: Tried) -> bool:
        """It failed and has no end: asked again the model mostly loses itself again, at full length."""
        return not tried.passed and tried.completion.tokens >= self._max_tokens

    async def _sample(self, asked: _Asked, prompt: Prompt, first: Tried, late: float) -> list[Tried]:
        """Further answers, asked side by side: the server reads their common prompt once.

        None is waited for that cannot change what is given, nor, when it is ``late``, if one passed.
        """

        async def one(seed: int) -> Tried | GatewayError:
            sampling = Sampling(self._max_tokens, temperature=TEMPERATURE, top_p=TOP_P, seed=seed)
            try:
                return await self._try(asked, prompt, sampling)
            except GatewayError as error:
                return error

        heard: list[Tried] = []
        async with asyncio.TaskGroup() as tasks:
            running = {tasks.create_task(one(seed)) for seed in range(1, self._samples + 1)}
            while running:
                left = late - monotonic()
                done, running = await asyncio.wait(
                    running, timeout=left if 0 < left < math.inf else None, return_when=asyncio.FIRST_COMPLETED
                )
                for result in (task.result() for task in done):
                    if isinstance(result, Tried):
                        heard.append(result)
                    elif not isinstance(result, AskError):
                        raise result
                answers = [first, *heard]
                if is_settled(answers, len(running)) or (monotonic() >= late and elect(answers) is not None):
                    for task in running:
                        task.cancel()
                    break
        return heard


@dataclass(frozen=True, slots=True)
class _Asked:
    """What ``Asker.answer`` was called with."""

    question: str
    schema: Catalog
    check: Check
    today: date
    timeout: float
    "Seconds."
    end: float
    "Of them, monotonic."
    hints: Hints
    before: Topic | None
    look: Look | None
    vocabulary: Vocabulary | None
    met: tuple[Met, ...]
    "The values that the question names."
    notes: tuple[str, ...]
    "For the prompt."
    tell: Tell


def _given_up(failed: Tried, schema: Catalog) -> AskError:
    problem = failed.problem or Problem("the model gave no SQL")
    detail = f"The last attempt was: {failed.sql}"
    if problem.unknown:
        missing, _, _ = problem.message.partition(";")  # behind it is what there is, which the hint says shorter
        return Unanswerable(
            f"the tables you may see do not answer this: {_short(missing)}", hint=_names_hint(schema), detail=detail
        )
    return NoValidSql(
        f"no valid SQL was found: {_short(problem.message)}",
        hint="say it in other words, name the tables or columns you mean, or write SQL",
        detail=detail,
    )


def _cut_short(failed: Tried, tokens: int) -> NoValidSql:
    return NoValidSql(
        f"no valid SQL was found: the model's answer came to no end within {tokens} tokens",
        hint="ask for less at a time, or raise ask.max_tokens",
        detail=f"It began with: {failed.sql}",
    )


def _doubt(chosen: Tried, missing: Sequence[str]) -> str:
    """What is missing, in the question's words and the answer's."""
    if chosen.unmet:
        return f"no value here is {_listed(chosen.unmet)}"
    if missing:
        return f"nothing here is called {_listed(missing)}"
    return "it would return nothing" if chosen.is_void else "the model is not sure"


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(f'"{_short(text)}"' for text in texts[:HINT_NAMES])


def _names_hint(schema: Catalog) -> str:
    names = sorted({relation.name for relation in schema.relations.values()})
    more = ", …" if len(names) > HINT_NAMES else ""
    return f"ask about what these tables hold: {', '.join(names[:HINT_NAMES])}{more}"


def _short(message: str) -> str:
    """One line for the model and the person, whatever came before."""
    line = " ".join(message.split())
    return line if len(line) <= MAX_ERROR else f"{line[:MAX_ERROR]}…"
