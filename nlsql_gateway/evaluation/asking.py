"""One question through the gateway's port, and the golds beside it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Final

from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.evaluation.golds import asks_for_order, expand
from nlsql_gateway.evaluation.ordering import order_of
from nlsql_gateway.evaluation.questions import Question
from nlsql_gateway.evaluation.score import Facts, Gold, Reply, Result, facts, score
from nlsql_gateway.evaluation.tables import Table, table
from nlsql_gateway.server.client import Connection, connected

LOGIN: Final = 30.0
"""Seconds that a login may take."""
GOLD: Final = 120.0
"""Seconds that a gold may run."""


@dataclass(frozen=True, slots=True)
class Login:
    host: str
    port: int
    user: str
    password: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Asking:
    gateway: Login
    golds: Login
    "Where golds run: the gateway as well, or PostgreSQL itself."
    timeout: float
    "Seconds that an answer may take; the gateway's own deadline should pass first."

    async def result(self, question: Question) -> Result:
        """Ask and score. What fails is told by the result; raises UpstreamError when no login is possible for golds."""
        reply = await self._ask(question)
        if not question.answerable:
            return score(question, reply, ())
        golds, fault = await self._golds(question)
        return score(question, reply, golds) if golds else replace(score(question, reply, ()), message=fault)

    async def try_logins(self, databases: Iterable[str]) -> None:
        """Log in to each database, for questions and for golds. Raises UpstreamError that names the one that failed."""
        for database in databases:
            for login in dict.fromkeys((self.gateway, self.golds)):
                try:
                    async with _login(login, database):
                        pass
                except UpstreamError as error:
                    raise UpstreamError(
                        f"database {database}, {login.host} port {login.port}, user {login.user}: {error.message}",
                        hint=error.hint,
                        detail=error.detail,
                        sqlstate=error.sqlstate,
                    ) from error

    async def _ask(self, question: Question) -> Reply:
        started = perf_counter()
        try:
            async with _login(self.gateway, question.db) as connection:
                started = perf_counter()  # not the login's: clients keep their connections
                reply = await connection.fetch(statement(question.asked), timeout=self.timeout)
                seconds = perf_counter() - started
        except UpstreamError as error:
            seconds = perf_counter() - started
            known = facts(error.message, error.detail)
            return _reply(seconds, None, known, error.sqlstate, error.message)
        told = next((notice for notice in reply.notices if notice.startswith("SQL: ")), "")
        # The SQL may have several lines; the DETAIL is the last.
        message, _, detail = told.rpartition("\n") if "\n" in told else (told, "", "")
        return _reply(seconds, table(len(reply.columns), reply.rows), facts(message, detail))

    async def _golds(self, question: Question) -> tuple[list[Gold], str]:
        """The golds that can be run, and the last error. A choice of columns may fail where another one runs."""
        order = asks_for_order(question.words)
        found, fault = [], ""
        async with _login(self.golds, question.db, default_transaction_read_only="on") as connection:
            for variants in expand(question.gold):
                for sql in variants:
                    try:
                        rows = await _rows(connection, sql)
                        peers = await order_of(partial(_rows, connection), sql, rows) if order else None
                        found.append(Gold(sql, rows, peers))
                    except UpstreamError as error:
                        fault = f"the gold failed with {error.sqlstate}: {error.message}"
        return found, fault


def statement(words: str) -> str:
    """A comment that asks. The words are anybody's: nothing in them may end the comment or open another one."""
    line = " ".join(words.replace("\0", " ").split())
    while "*/" in line or "/*" in line:
        line = line.replace("*/", "* /").replace("/*", "/ *")
    return f"/* ask: {line} */"


def _login(login: Login, database: str, **settings: str) -> AbstractAsyncContextManager[Connection]:
    return connected(
        host=login.host,
        port=login.port,
        user=login.user,
        password=login.password,
        database=database,
        timeout=LOGIN,
        application_name="nlsql-gateway eval",
        **settings,
    )


async def _rows(connection: Connection, sql: str) -> Table:
    reply = await connection.fetch(sql, timeout=GOLD)
    return table(len(reply.columns), reply.rows)


def _reply(seconds: float, rows: Table | None, known: Facts, sqlstate: str = "", message: str = "") -> Reply:
    return Reply(
        seconds, rows, sqlstate, message, known.sql, known.model, known.attempts, known.confidence, known.source
    )
