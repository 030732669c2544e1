"""What goes into the gate and what comes out: frozen values, and the one seam to an upstream database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Literal, NamedTuple, Protocol

from nlsql_gateway.ask import Answer, Place, Statistic, Topic
from nlsql_gateway.audit import Origin, Ruling
from nlsql_gateway.policy import Applied, Principal
from nlsql_gateway.policy.limits import NONE, Limits
from nlsql_gateway.sql import Catalog, Kind, Statement


class Database(Protocol):
    """One upstream database, as admission needs it. ``server/postgres.py`` implements it."""

    def catalog(self) -> Catalog | None:
        """The current picture; None when it must be read first."""

    async def refresh(self) -> Catalog:
        """Read the picture again. Raises UpstreamError."""

    async def explain(self, sql: str) -> None:
        """Plan ``sql`` without running it, read only. Raises UpstreamError with PostgreSQL's message and SQLSTATE."""

    async def look(self, sql: str, seconds: float, rows: int | None = None) -> Sequence[Sequence[object]]:
        """The first rows of the one query ``sql``, read only. Raises as ``explain``, 57014 past ``seconds``."""

    async def statistics(self, places: Sequence[Place]) -> Sequence[Statistic]:
        """What the server's statistics have of columns. Raises UpstreamError."""

    async def cost(self, sql: str) -> float:
        """The planner's total cost of one query, parameters unknown. Raises as ``explain``."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who sends statements and from where; fixed for a connection."""

    principal: Principal
    database: str
    application_name: str
    address: str
    connection: str
    "A random id of the connection, in every record of it."
    protocol: Literal["simple", "extended", "command"] = "simple"
    "How the text came: the Query message, the Parse message, or a command of the CLI."
    host: str = field(init=False, repr=False, compare=False)
    "Of the address, without the port."
    origin: Origin = field(init=False, repr=False, compare=False)
    "The same for the audit log."

    def __post_init__(self) -> None:
        origin = Origin(
            user=self.principal.name,
            address=self.address,
            application_name=self.application_name,
            database=self.database,
            connection=self.connection,
            protocol=self.protocol,
        )
        object.__setattr__(self, "origin", origin)
        object.__setattr__(self, "host", self.address.rpartition(":")[0])


@dataclass(frozen=True, slots=True)
class Notice:
    message: str
    detail: str = ""
    is_warning: bool = False


def rule(applied: Applied) -> str:
    """A rule that took part in a decision, in one line."""
    return f"{applied.rule} {applied.target}" + (f" ({applied.detail})" if applied.detail else "")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be done with one text, before anything is recorded."""

    verdict: Literal["allow", "deny", "error"]
    "error: a question that did not become SQL, or SQL that is none."
    sql: str = ""
    "allow: the text to send upstream."
    statements: tuple[Statement, ...] = ()
    applied: tuple[Applied, ...] = ()
    relations: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    reason: str = ""
    sqlstate: str = "00000"
    message: str = ""
    detail: str = ""
    hint: str = ""
    position: int | None = None
    question: str | None = None
    answer: Answer | None = None
    source: str = ""
    "As in ``Admitted``; empty for the client's text."
    notices: tuple[Notice, ...] = ()
    topic: Topic | None = None
    "As in ``Admitted``."
    versions: tuple[str, str] = ("", "")
    "(policy, catalog) that decided."
    limits: Limits = NONE
    shadow: str = ""
    "As in ``Allow``."
    ruling: Ruling = field(init=False, repr=False, compare=False)
    "The same for the audit log."
    only_reads: bool = field(init=False, repr=False, compare=False)
    "As in ``Admitted``."

    def __post_init__(self) -> None:
        kinds = {statement.kind for statement in self.statements}
        object.__setattr__(self, "only_reads", kinds == {Kind.SELECT})
        answer = self.answer
        ruling = Ruling(
            verdict=self.verdict,
            reason=self.reason,
            shadow=self.shadow,
            sqlstate=self.sqlstate,
            rules=tuple(rule(applied) for applied in self.applied),
            relations=self.relations,
            functions=self.functions,
            question=self.question,
            answer=answer.sql if answer else "",
            model=answer.model if answer else "",
            model_version=answer.version if answer else "",
            attempts=answer.attempts if answer else 0,
            cached=answer.cached if answer else False,
            confidence=answer.confidence if answer else None,
            policy=self.versions[0],
            catalog=self.versions[1],
        )
        object.__setattr__(self, "ruling", ruling)

    def __reduce__(self) -> tuple[object, ...]:
        """For pickle, which could not set what is frozen once this is compiled."""
        return Judgement, tuple([getattr(self, one.name) for one in fields(self) if one.init])


class Admitted:
    """What may run, and what is sent for it."""

    record_id: str
    "Of the decision in the audit log; ``Admission.close`` needs it."
    sql: str
    "What to send upstream in the place of the client's text."
    statements: tuple[Statement, ...]
    "As decided on; empty for an empty query."
    source: str
    "What to admit again when policy or catalog have changed: the client's text, or the SQL that its question became."
    notices: tuple[Notice, ...]
    versions: tuple[str, ...]
    "(policy, catalog, the person with the roles that counted) that decided."
    rewritten: bool
    "The text sent is not the client's own: positions in upstream errors mean nothing to the client."
    limits: Limits
    "What its run may return."
    topic: Topic | None
    "What the session's next question may go on from; FORGET: nothing; None: what it was before."
    only_reads: bool
    "Nothing but SELECT: it changes no name of a statement or portal and uses none, nor who the person is."
    late: bytes
    "Not admitted yet, for its question is a parameter: the parameters' types, as Parse has them. Else empty."

    def __init__(
        self,
        record_id: str,
        sql: str,
        statements: tuple[Statement, ...],
        source: str = "",
        notices: tuple[Notice, ...] = (),
        versions: tuple[str, ...] = ("", ""),
        rewritten: bool = False,
        limits: Limits = NONE,
        topic: Topic | None = None,
        only_reads: bool = False,
        late: bytes = b"",
    ) -> None:
        self.record_id = record_id
        self.sql = sql
        self.statements = statements
        self.source = source
        self.notices = notices
        self.versions = versions
        self.rewritten = rewritten
        self.limits = limits
        self.topic = topic
        self.only_reads = only_reads
        self.late = late

    def of(self, statements: tuple[Statement, ...]) -> Admitted:
        """The same for ``statements`` alone."""
        return Admitted(
            self.record_id,
            self.sql,
            statements,
            self.source,
            self.notices,
            self.versions,
            self.rewritten,
            self.limits,
            self.topic,
        )


class Refused(NamedTuple):
    record_id: str
    sqlstate: str
    message: str
    detail: str = ""
    hint: str = ""
    position: int | None = None


class Outcome:
    """How a run ended."""

    sqlstate: str
    "00000: success; the upstream's otherwise; 08006 when the upstream or the client was lost midway."
    rows: int
    bytes: int
    "Of row data relayed to the client."
    duration: float
    "Seconds, from forwarding to the last reply."
    limit: str
    "The limit that ended it: rows or bytes."

    def __init__(
        self,
        sqlstate: str = "00000",
        rows: int = 0,
        bytes: int = 0,  # noqa: A002 - as in the log
        duration: float = 0.0,
        limit: str = "",
    ) -> None:
        self.sqlstate = sqlstate
        self.rows = rows
        self.bytes = bytes
        self.duration = duration
        self.limit = limit
