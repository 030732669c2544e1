"""The gate: one class, read from ``admit_now`` and ``admit`` downwards. See the package's docstring for the picture."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from nlsql_gateway.admission.asking import Asked, Asking
from nlsql_gateway.admission.cost import within
from nlsql_gateway.admission.elsewhere import LARGE, Answer, Elsewhere
from nlsql_gateway.admission.reading import failed, judge_batch, judged, versions_of
from nlsql_gateway.admission.remembered import Context, Remembered
from nlsql_gateway.admission.values import Admitted, Client, Database, Judgement, Outcome, Refused
from nlsql_gateway.admission.wording import explanation, forgotten, notice
from nlsql_gateway.ask import MAX_ROWS, Look, Problem, Rows, Source, Topic
from nlsql_gateway.audit import DecisionRecord, ExecutionRecord, Origin, OutcomeRecord, Sink
from nlsql_gateway.errors import AskTimeout, GatewayError, LimitError, UpstreamError
from nlsql_gateway.policy import Policy, Reason, legible
from nlsql_gateway.sql import Catalog, Kind, Question, classify

VALUES = "(values that questions may name)"
"""In the place of a question, in the records of what is read for no single one."""

PRESENCES = 10_000
"""Connections whose person has other roles than at login, that are kept in mind."""

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
    _remembered: Remembered = field(default_factory=Remembered)
    _refreshed: dict[str, float] = field(default_factory=dict)
    _kept: Callable[[], Awaitable[None]] | None = None
    _presences: dict[tuple[Origin, str, str], Client] = field(default_factory=dict)
    "So that what records have in common is encoded once for a connection, whatever roles count."

    def admit_now(self, text: str, client: Client) -> Admitted | Refused | None:
        """Admit ``text`` without awaiting anything; None when that cannot be: then call ``admit``."""
        client = self._present(client)
        context = self._context(client)
        if context is None:
            return None
        known = self._remembered.get(context, text)
        if known is not None:
            return self._record(text, client, known[0], known[1])
        if self.elsewhere is not None and len(text) > LARGE:
            return None
        if self.policy().limits_of(client.principal).cost is not None:
            return None  # the server is asked
        judgement = self._judge_now(text, client)
        return None if judgement is None else self._record(text, client, judgement, judgement.sql)

    async def admit(self, text: str, client: Client, topic: Topic | None = None) -> Admitted | Refused:
        """Admit ``text``. Cancel the task to cancel a question; the cancelled question is recorded too.

        ``topic`` is that of the session's last admitted question.
        """
        client = self._present(client)
        try:
            judgement = await self._judge(text, client, topic)
        except asyncio.CancelledError:
            words = _words(text)
            cancelled = Judgement("error", sqlstate=AskTimeout.default_sqlstate, reason="cancelled", question=words)
            self._record(text, client, cancelled, "")
            raise
        return self._record(text, client, judgement, judgement.sql)

    def current(self, admitted: Admitted, client: Client) -> bool:
        """Whether policy and catalog that admitted this are still in force, and the person's roles still count.

        If not: admit the text again.
        """
        policy = self.policy()
        catalog = self.database(client.database).catalog()
        versions = versions_of(policy, None if policy.pass_through else catalog)
        return admitted.versions == (*versions, self._present(client).principal.known_as)

    def passes(self) -> bool:
        """Whether every text is let through as it is: then nothing depends on how it was read."""
        return self.policy().pass_through

    def executing(self, admitted: Admitted, client: Client, parameters: Sequence[str | None]) -> str:
        """Record that a prepared statement is about to run; the id of that record, for ``close``."""
        record_id = self.new_id()
        self.sink.add(
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
        self.sink.add(
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
        self.sink.flush()

    async def judge(self, text: str, client: Client) -> Judgement:
        """The judgement on ``text``, questions answered and the catalog read where needed; records nothing.

        Of a gate that nobody waits with: so the data are not looked at either.
        """
        return await self._judge(text, self._present(client))

    async def _judge(self, text: str, client: Client, topic: Topic | None = None) -> Judgement:
        """``judge``; ``client`` as ``_present`` has it, here and below."""
        context = self._context(client)
        known = self._remembered.get(context, text) if context is not None else None
        if known is not None:
            return known[0] if known[0].sql == known[1] else replace(known[0], sql=known[1])
        judgement = await self._judge_new(text, client, topic)
        if judgement.verdict == "allow" and judgement.limits.cost is not None:
            judgement = await within(judgement, self.database(client.database))
            if judgement.verdict == "allow" and judgement.question is None:
                self._remembered.put_exact((*judgement.versions, client.principal.known_as), text, judgement)
        return judgement

    async def _judge_new(self, text: str, client: Client, topic: Topic | None) -> Judgement:
        """``judge`` for what is not remembered; but for its cost."""
        database = self.database(client.database)
        final = not self._may_refresh(client.database)
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
                return await self._answer(question, client, policy, catalog, topic)
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
            self._remembered.put(
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
        wanted = self._remembered.wants_sample(context, text)
        judgement, sample = await self._read_elsewhere(text, client, elsewhere, policy, catalog, with_sample=wanted)
        if judgement is not None and judgement.reason == Reason.UNKNOWN_NAME.value:
            return judgement if final else None
        if judgement is not None and judgement.limits.cost is None:
            self._remembered.put(context, text, judgement, lambda _: sample, blind=policy.pass_through)
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
    ) -> Answer:
        try:
            return await elsewhere.judge(text, client.principal, policy, catalog, with_sample=with_sample)
        except LimitError as error:
            versions = versions_of(policy, catalog)
            return Answer(failed(error, verdict="deny", reason=Reason.LIMIT.value, versions=versions), None)

    async def _answer(
        self, question: Question, client: Client, policy: Policy, catalog: Catalog, topic: Topic | None
    ) -> Judgement:
        """A question becomes SQL, decided on like any other text. Raises AskError, UpstreamError, AuditError."""
        if question.reset:
            return forgotten(versions_of(policy, catalog))
        database = self.database(client.database)

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

        asked = Asked(question.words, client, policy, catalog, self._today(), question.more, topic)
        look = self._looking(question.words, client, policy, catalog)
        answer = await self.asking.answer(asked, check, look, lambda: self._source(client, policy, catalog))
        judgement = replace(
            self._judge_answer(answer.sql, client, policy, catalog), question=question.words, answer=answer
        )
        if judgement.verdict != "allow":
            return judgement
        judgement = replace(judgement, topic=asked.topic_of(answer))
        if question.explain:
            shown = explanation(judgement)
            return replace(judgement, sql=shown, source=shown, statements=())
        return replace(judgement, source=answer.sql, notices=(notice(judgement, answer),))

    def _source(self, client: Client, policy: Policy, catalog: Catalog) -> Source | None:
        """How this person's values are read; None: not at all."""
        look = self._looking(VALUES, client, policy, catalog, MAX_ROWS)
        if look is None:
            return None
        told = legible(catalog, client.principal, policy)
        return Source(look, self.database(client.database).statistics, told.shown, told.whole)

    def _looking(
        self, words: str, client: Client, policy: Policy, catalog: Catalog, most: int | None = None
    ) -> Look | None:
        """How an answer to ``words`` is met with the data: statements of ours, decided on and recorded like the
        person's; None: not at all. Whoever's queries may cost only so much is spared further ones.
        """
        kept, seconds, database = self._kept, self.asking.look_seconds, self.database(client.database)
        if kept is None or not seconds or policy.limits_of(client.principal).cost is not None:
            return None

        async def look(sql: str) -> Rows | None:
            judgement = replace(self._judge_answer(sql, client, policy, catalog), question=words)
            if judgement.verdict != "allow" or self.policy() is not policy:
                return None
            record_id = self._record(sql, client, judgement, judgement.sql).record_id
            await kept()
            started, outcome = self.monotonic(), Outcome(AskTimeout.default_sqlstate)
            try:
                rows = await database.look(judgement.sql, seconds, most)
                outcome = Outcome(rows=len(rows))
            except UpstreamError as error:
                outcome = Outcome(error.sqlstate)
                if error.sqlstate[:2] == "08" or error.sqlstate[:3] == "57P":
                    raise  # the server, not the SQL
                return None
            finally:
                self.close(record_id, client, outcome._replace(duration=self.monotonic() - started))
            return rows

        return look

    def _judge_answer(self, sql: str, client: Client, policy: Policy, catalog: Catalog) -> Judgement:
        """Untrusted text from a model: exactly one SELECT, then decided on as if a person had typed it."""
        versions = versions_of(policy, catalog)
        context = (*versions, client.principal.known_as)
        known = self._remembered.get(context, sql)
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
            self._remembered.put_exact(context, sql, judgement)
        return judgement

    def _present(self, client: Client) -> Client:
        """``client`` with the roles and attributes that the policy in force gives at this moment, from this address."""
        policy = self.policy()
        name = client.principal.name
        if policy.depends_on_presence:
            principal = policy.present(name, client.host, datetime.fromtimestamp(self.clock() / 1e9, UTC))
        else:
            principal = policy.users.get(name) or policy.principal(name)
        if principal is client.principal or principal == client.principal:
            return client
        key = (client.origin, policy.version, principal.known_as)
        found = self._presences.get(key)
        if found is None:
            if len(self._presences) >= PRESENCES:
                self._presences.clear()
            self._presences[key] = found = replace(client, principal=principal)
        return found

    def _today(self) -> date:
        return datetime.fromtimestamp(self.clock() / 1e9, UTC).date()

    def _may_refresh(self, database: str) -> bool:
        return self.monotonic() - self._refreshed.get(database, -REFRESH_PAUSE) >= REFRESH_PAUSE

    def _context(self, client: Client) -> Context | None:
        """What a judgement depends on besides the text; None: the catalog was never read."""
        policy = self.policy()
        if policy.pass_through:
            return (policy.version, "", client.principal.known_as)
        catalog = self.database(client.database).catalog()
        return None if catalog is None else (policy.version, catalog.version, client.principal.known_as)

    def _record(self, text: str, client: Client, judgement: Judgement, sql: str) -> Admitted | Refused:
        """``sql`` is what an allowing judgement says of this very text; its own ``sql`` may be that of another one."""
        record_id = self.new_id()
        allowed = judgement.verdict == "allow"
        sent = sql if allowed else None
        self.sink.add(DecisionRecord(record_id, self.clock(), text, sent, client.origin, judgement.ruling))
        if allowed:
            return Admitted(
                record_id,
                sql,
                judgement.statements,
                judgement.source or text,
                judgement.notices,
                (*judgement.versions, client.principal.known_as),
                sql != text,
                judgement.limits,
                judgement.topic,
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
    return question.words if isinstance(question, Question) else None
