"""READ FIRST. The one gate for statement text: classify, ask, decide, record.

Two client messages carry statement text, Query and Parse; both come here, and so do ``nlsql-gateway explain`` and
``ask``. What comes back is a value: ``Admitted`` with the text to send upstream, or ``Refused`` with what to tell the
client. Either way the decision is in the audit log before this returns; if it could not be written, ``AuditError``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

from nlsql_gateway.ask import Answer, Asker, Problem
from nlsql_gateway.audit import DecisionRecord, ExecutionRecord, OutcomeRecord, Sink
from nlsql_gateway.errors import AskError, AskTimeout, GatewayError, ModelUnavailable, StatementError, UpstreamError
from nlsql_gateway.policy import Allow, Applied, Deny, Policy, Principal, Reason, decide, visible
from nlsql_gateway.sql import Batch, Catalog, Kind, Question, Statement, classify

Protocol_ = Literal["simple", "extended", "command"]


class Database(Protocol):
    """One upstream database, as admission needs it. ``server/postgres.py`` implements it."""

    def catalog(self) -> Catalog | None:
        """The current picture; None when it must be read first."""

    async def refresh(self) -> Catalog:
        """Read the picture again. Raises UpstreamError."""

    async def explain(self, sql: str) -> None:
        """Plan ``sql`` without running it, read only. Raises UpstreamError with PostgreSQL's message and SQLSTATE."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who sends statements and from where; fixed for a connection."""

    principal: Principal
    database: str
    application_name: str
    address: str
    connection: str
    "A random id of the connection, in every record of it."
    protocol: Protocol_ = "simple"


@dataclass(frozen=True, slots=True)
class Notice:
    message: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Admitted:
    record_id: str
    "Of the decision in the audit log; ``Admission.close`` needs it."
    sql: str
    "What to send upstream in the place of the client's text."
    statements: tuple[Statement, ...]
    "As decided on; empty for an empty query."
    notices: tuple[Notice, ...] = ()
    versions: tuple[str, str] = ("", "")
    "(policy, catalog) that decided."
    rewritten: bool = False
    "The text sent is not the client's own: positions in upstream errors mean nothing to the client."


@dataclass(frozen=True, slots=True)
class Refused:
    record_id: str
    sqlstate: str
    message: str
    detail: str = ""
    hint: str = ""
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    sqlstate: str = "00000"
    "00000: success; the upstream's otherwise; 08006 when the upstream or client was lost midway."
    rows: int = 0
    bytes: int = 0
    "Of row data relayed to the client."
    duration: float = 0.0
    "Seconds, from forwarding to the last reply."
