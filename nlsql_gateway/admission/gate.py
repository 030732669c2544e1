"""The gate: one class, read from ``admit_now`` and ``admit`` downwards. See the package's docstring for the picture."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from nlsql_gateway.admission import table_function
from nlsql_gateway.admission.asking import Asked, Asking
from nlsql_gateway.admission.cost import within
from nlsql_gateway.admission.elsewhere import LARGE, Elsewhere, Read
from nlsql_gateway.admission.figures import Figures
from nlsql_gateway.admission.looking import Looking
from nlsql_gateway.admission.reading import failed, judge_batch, judged, versions_of
from nlsql_gateway.admission.remembered import Context, Remembered
from nlsql_gateway.admission.standing import Standings
from nlsql_gateway.admission.telling import tell
from nlsql_gateway.admission.values import Admitted, Client, Database, Judgement, Outcome, Refused
from nlsql_gateway.admission.wording import explanation, notice
from nlsql_gateway.ask import Answer, Dialogue, Problem, normal
from nlsql_gateway.audit import DecisionRecord, ExecutionRecord, OutcomeRecord, Record, Sink
from nlsql_gateway.errors import GatewayError, LimitError, UpstreamError
from nlsql_gateway.policy import Policy, Reason
from nlsql_gateway.sql import Catalog, Kind, Question, classify
from nlsql_gateway.sql.table_function import parameters, possible

REFRESH_PAUSE = 1.0
"""Seconds between two readings of a catalog that unknown names may cause: a client cannot make us read it all day."""


@dataclass(slots=True)
class Admission:
    """The gate. One for a gateway; every part is handed in by ``app.py``."""

    policy: Callable[[], Policy]
    "The policy in force; a statement uses the one that it read to its end."
    database: Callable[[str], Database]
    sink: Sink
    asking: Asking
    "What makes SQL of questions."
    clock: Callable[[], int]
    "Nanoseconds since the epoch."
    monotonic: Callable[[], float]
    new_id: Callable[[], str]
    elsewhere: Elsewhere | None = None
    "Where large texts are read; None: here, and everybody waits meanwhile."
    figures: Figures = field(default_factory=Figures)
    remembered: Remembered = field(default_factory=Remembered)
    _refreshed: dict[str, float] = field(default_factory=dict)
    _kept: Callable[[], Awaitable[None]] | None = None
    _standings: Standings = field(init=False)

    def __post_init__(self) -> None:
        self._standings = Standings(self.clock)

    def admit_now(self, text: str, client: Client) -> Admitted | Refused | None:
        """Admit ``text`` without awaiting anything; None when that cannot be: then call ``admit``."""
        began = self.monotonic()
        standing = self._standings.of(client, self.policy(), self.database)
        if not standing.is_known:
            return None
        client = standing.client
        known = self.remembered.get(standing.context, text)
        if known is not None:
            return self._record(text, client, known[0], known[1], began, standing.context)
        if self.elsewhere is not None and len(text) > LARGE:
            return None
        if self.policy().limits_of(client.principal).cost is not None or possible(text):
            return None  # the server, or the model, is asked
        judgement = self._judge_now(text, client)
        return None if judgement is None else self._record(text, client, judgement, judgement.sql, began)

    async def admit(self, text: str, client: Client, dialogue: Dialogue | None = None) -> Admitted | Refused:
        """Admit ``text``. Cancel the task to cancel a question; that is recorded too. ``dialogue``: the session's."""
        began = self.monotonic()
        client = self._standings.of(client, self.policy(), self.database).client
        try:
            judgement = await self._judge(text, client, dialogue or Dialogue())
        except asyncio.CancelledError:
            cancelled = Judgement("error", sqlstate="57014", reason="cancelled", question=_words(text))
            self._record(text, client, cancelled, "", began)
            raise
        return self._record(text, client, judgement, judgement.sql, began)

    def current(self, admitted: Admitted, client: Client) -> bool:
        """Whether policy and catalog that admitted this are in force, and the roles count; if not, admit it again."""
        context = self._standings.of(client, self.policy(), self.database).context
        return admitted.versions is context or admitted.versions == context

    def asks_later(self, text: str, client: Client) -> bool:
        """Whether ``text`` has a question that is a parameter: it can be admitted when that is known, at Bind."""
        catalog = self.database(client.database).catalog()
        return bool(parameters(text)) and not (catalog is not None and table_function.is_taken(catalog))

    def passes(self) -> bool:
        """Whether every text is let through as it is: then nothing depends on how it was read."""
        return self.policy().pass_through

    def executing(self, admitted: Admitted, client: Client, parameters: Sequence[str | None]) -> str:
        """Record that a prepared statement is about to run; the id of that record, for ``close``."""
        record_id = self.new_id()
        self._add(
            ExecutionRecord(
                record_id,
                self.clock(),
                admitted.record_id,
                client.connection,
                client.principal.name,
                tuple(parameters),
            )
        )
        return record_id

    def close(self, record_id: str, client: Client, outcome: Outcome) -> None:
        """Record how a run ended."""
        self.figures.ran(outcome)
        self._add(
            OutcomeRecord(
                record_id,
                self.clock(),
                client.connection,
                outcome.sqlstate,
                outcome.rows,
                outcome.bytes,
                outcome.duration * 1000,
                outcome.limit,
            )
        )

    def wait_with(self, kept: Callable[[], Awaitable[None]]) -> None:
        """``kept`` waits until all records so far are kept, or raises AuditError: whoever calls ``flush`` gives it."""
        self._kept = kept

    def flush(self) -> None:
        """Keep all records; until this has returned nothing that they admit may go upstream.

        Raises AuditError: none is kept. So there must be one caller, who knows everybody who waits for a record.
        """
        self.figures.keep(self.sink.flush, self.monotonic)

    async def judge(self, text: str, client: Client) -> Judgement:
        """The judgement on ``text``, questions answered and the catalog read where needed; records nothing.

        Of a gate that nobody waits with: so the data are not looked at either.
        """
        return await self._judge(text, self._standings.of(client, self.policy(), self.database).client, Dialogue())

    async def _judge(self, text: str, client: Client, dialogue: Dialogue) -> Judgement:
        """``judge``; ``client`` as its standing has it, here and below."""
        standing = self._standings.of(client, self.policy(), self.database)
        context = (*standing.context[:2], client.principal.known_as)
        known = self.remembered.get(context, text) if standing.is_known else None
        if known is not None:
            return known[0] if known[0].sql == known[1] else replace(known[0], sql=known[1])
        judgement = await self._judge_calls(text, client, dialogue) or await self._judge_read(text, client, dialogue)
        if judgement.verdict == "allow" and judgement.limits.cost is not None:
            judgement = await within(judgement, self.database(client.database))
            if judgement.verdict == "allow" and judgement.question is None:
                self.remembered.put_exact((*judgement.versions, client.principal.known_as), text, judgement)
        return judgement

    async def _judge_read(self, text: str, client: Client, dialogue: Dialogue | None = None) -> Judgement:
        """``judge`` for what is not remembered; but for its cost, and for questions inside it."""
        database = self.database(client.database)
        final = self.monotonic() - self._refreshed.get(client.database, -REFRESH_PAUSE) < REFRESH_PAUSE
        if self.elsewhere is not None and len(text) > LARGE:
            judgement = await self._judge_elsewhere(text, client, self.elsewhere, final=final)
        else:
            judgement = self._judge_now(text, client, final=final)
        if judgement is not None:
            return judgement
        policy = self.policy()
        try:
            question = classify(text)
            if isinstance(question, Question):
                catalog = database.catalog() or await database.refresh()
                return await self._answer(question, client, policy, catalog, dialogue or Dialogue())
            self._refreshed[client.database] = self.monotonic()
            catalog = await database.refresh()
            if self.elsewhere is not None and len(text) > LARGE:
                answer = await self._read_elsewhere(text, client, self.elsewhere, policy, catalog, with_sample=False)
                assert answer.judgement is not None, "it is no question"
                return answer.judgement
            return judge_batch(text, question, client.principal, policy, catalog)
        except GatewayError as error:
            return failed(error, question=_words(text), versions=versions_of(policy, database.catalog()))

    def _judge_now(self, text: str, client: Client, *, final: bool = False) -> Judgement | None:
        """None: a question, no catalog yet, or (unless ``final``) a name that a fresher catalog may have."""
        policy = self.policy()
        catalog = None if policy.pass_through else self.database(client.database).catalog()
        if catalog is None and not policy.pass_through:
            return None
        judgement = judged(text, client.principal, policy, catalog)
        if judgement is not None and judgement.reason == Reason.UNKNOWN_NAME.value:
            return judgement if final else None
        if judgement is not None and judgement.limits.cost is None:  # else the literals count: see ``judge``
            context = (*versions_of(policy, catalog), client.principal.known_as)
            self.remembered.put(
                context,
                text,
                judgement,
                lambda sample: judged(sample, client.principal, policy, catalog),
                blind=policy.pass_through,
            )
        return judgement

    async def _judge_elsewhere(
        self, text: str, client: Client, elsewhere: Elsewhere, *, final: bool
    ) -> Judgement | None:
        """As ``_judge_now``, while others are served."""
        policy = self.policy()
        catalog = None if policy.pass_through else self.database(client.database).catalog()
        if catalog is None and not policy.pass_through:
            return None
        context = (*versions_of(policy, catalog), client.principal.known_as)
        wanted = self.remembered.wants_sample(context, text)
        judgement, sample = await self._read_elsewhere(text, client, elsewhere, policy, catalog, with_sample=wanted)
        if judgement is not None and judgement.reason == Reason.UNKNOWN_NAME.value:
            return judgement if final else None
        if judgement is not None and judgement.limits.cost is None:
            self.remembered.put(context, text, judgement, lambda _: sample, blind=policy.pass_through)
        return judgement

    async def _read_elsewhere(
        self,
        text: str,
        client: Client,
        elsewhere: Elsewhere,
        policy: Policy,
        catalog: Catalog | None,
        *,
        with_sample: bool,
    ) -> Read:
        try:
            return await elsewhere.judge(text, client.principal, policy, catalog, with_sample=with_sample)
        except LimitError as error:
            versions = versions_of(policy, catalog)
            return Read(failed(error, verdict="deny", reason=Reason.LIMIT.value, versions=versions), None)

    async def _answer(
        self, question: Question, client: Client, policy: Policy, catalog: Catalog, dialogue: Dialogue
    ) -> Judgement:
        """A question becomes SQL, decided on like any other text. Raises AskError, UpstreamError, AuditError."""
        if not question.is_for_the_model:
            return await tell(
                question, client, policy, catalog, lambda text: self._judge(text, client, dialogue), self.asking.python
            )
        today, words = self._today(), question.words
        asked = Asked(words, client, policy, catalog, today, question.more, dialogue.topic, dialogue.tell)
        answer = await self._asked(asked)
        judgement = replace(self._judge_answer(answer.sql, client, policy, catalog), question=words, answer=answer)
        if judgement.verdict != "allow":
            return judgement
        judgement = replace(judgement, topic=asked.topic_of(answer))
        if question.explain:
            shown = explanation(judgement)
            return replace(judgement, sql=shown, source=shown, statements=())
        return replace(judgement, source=answer.sql, notices=(notice(judgement, answer),))

    async def _asked(self, asked: Asked) -> Answer:
        """SQL that passed parse, policy and EXPLAIN. Raises as ``_answer``."""
        client, policy, catalog = asked.client, asked.policy, asked.catalog
        database, looking = self.database(client.database), self._looking(client, policy, catalog)

        async def check(sql: str) -> Problem | None:
            judgement = self._judge_answer(sql, client, policy, catalog)
            if judgement.verdict != "allow":
                return Problem(judgement.message, judgement.position)
            try:
                await database.explain(judgement.sql)
            except UpstreamError as error:
                if error.sqlstate[:2] in ("08", "57"):
                    raise  # the server, not the SQL
                return Problem(error.message, None)
            return None

        look = None if looking is None else looking.on_behalf_of(asked.words)
        values = None if looking is None else looking.values
        return await self.asking.answer(
            asked, check, look, lambda: None if values is None else values(client.principal, policy, catalog)
        )

    async def _judge_calls(self, text: str, client: Client, dialogue: Dialogue) -> Judgement | None:
        """For a text with ``ask('…')`` in FROM; None: it has none."""
        policy, database = self.policy(), self.database(client.database)
        try:
            found = await table_function.found(text)
            if found is None:
                return None
            catalog = database.catalog() or await database.refresh()
            if table_function.is_taken(catalog):
                return None

            async def answer(words: str) -> Answer:
                asked = Asked(words, client, policy, catalog, self._today(), tell=dialogue.tell)
                return await dialogue.once((normal(words), *asked.under, catalog.version), lambda: self._asked(asked))

            return await table_function.judged(*found, answer, lambda whole: self._judge_read(whole, client))
        except GatewayError as error:
            return failed(error, versions=versions_of(policy, database.catalog()))

    def _looking(self, client: Client, policy: Policy, catalog: Catalog) -> Looking | None:
        """None: the data are not looked at. Whoever's queries may cost only so much is spared further ones."""
        kept, seconds = self._kept, self.asking.look_seconds
        if kept is None or not seconds or policy.limits_of(client.principal).cost is not None:
            return None
        return Looking(
            judge=lambda sql: self._judge_answer(sql, client, policy, catalog),
            record=lambda sql, found: self._record(sql, client, found, found.sql, None).record_id,
            close=lambda record_id, outcome: self.close(record_id, client, outcome),
            kept=kept,
            in_force=lambda: self.policy() is policy,
            monotonic=self.monotonic,
            seconds=seconds,
            database=self.database(client.database),
        )

    def _judge_answer(self, sql: str, client: Client, policy: Policy, catalog: Catalog) -> Judgement:
        """Untrusted text from a model: exactly one SELECT, then decided on as if a person had typed it."""
        versions = versions_of(policy, catalog)
        context = (*versions, client.principal.known_as)
        known = self.remembered.get(context, sql)
        if known is not None and [one.kind for one in known[0].statements] == [Kind.SELECT]:
            return replace(known[0], sql=known[1])
        try:
            batch = classify(sql)
        except GatewayError as error:
            return failed(error, verdict="deny", reason=Reason.NOT_UNDERSTOOD.value, versions=versions)
        if isinstance(batch, Question) or [statement.kind for statement in batch.statements] != [Kind.SELECT]:
            return Judgement(
                "deny",
                reason=Reason.STATEMENT_KIND.value,
                sqlstate="42501",
                message="the model's answer is not one SELECT statement",
                hint="ask for something that can be read from the tables",
                versions=versions,
            )
        judgement = judge_batch(sql, batch, client.principal, policy, catalog)
        if judgement.limits.cost is None:
            self.remembered.put_exact(context, sql, judgement)
        return judgement

    def _today(self) -> date:
        return datetime.fromtimestamp(self.clock() / 1e9, UTC).date()

    def _add(self, record: Record) -> None:
        self.sink.add(record)
        self.figures.added(self.monotonic)

    def _record(
        self,
        text: str,
        client: Client,
        judgement: Judgement,
        sql: str,
        began: float | None,
        versions: Context | None = None,
    ) -> Admitted | Refused:
        """``sql`` is what an allowing judgement says of this very text; its own ``sql`` may be that of another one.

        ``began``: when it came; None: a look of our own. ``versions`` are those of a judgement that was remembered.
        """
        record_id = self.new_id()
        allowed = judgement.verdict == "allow"
        sent = sql if allowed else None
        self._add(DecisionRecord(record_id, self.clock(), text, sent, client.origin, judgement.ruling))
        seconds = None if began is None else self.monotonic() - began
        self.figures.decided(judgement, seconds, remembered=versions is not None)
        if allowed:
            return Admitted(
                record_id,
                sql,
                judgement.statements,
                judgement.source or text,
                judgement.notices,
                versions or (*judgement.versions, client.principal.known_as),
                sql != text,
                judgement.limits,
                judgement.topic,
                judgement.only_reads,
            )
        return Refused(
            record_id, judgement.sqlstate, judgement.message, judgement.detail, judgement.hint, judgement.position
        )


def _words(text: str) -> str | None:
    """The question in ``text``; None when it is none."""
    try:
        question = classify(text)
    except GatewayError:
        return None
    return question.words if isinstance(question, Question) and question.is_for_the_model else None
