"""PostgreSQL's regression queries, each run as it is and as a policy rewrites it that hides nothing.

The policy puts the row filter ``true`` on every table, so that every table is replaced by its sub-query and still has
all its rows: whatever differs is a fault of ours, or the query's own chance.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import asyncpg
import psycopg
from psycopg.pq import ExecStatus, TransactionStatus

from nlsql_gateway.errors import StatementError
from nlsql_gateway.policy import Allow, Deny, Policy, decide, load
from nlsql_gateway.server.catalog_reading import Picture, read
from nlsql_gateway.sql import Batch, Kind, Statement, classify
from tests.roundtrip.script import Sent, statements

_POLICY: Final = """
version: 1
name: round-trip
users: {x: {roles: r}}
roles:
  r:
    read: [{tables: "*.*", views: true}]
    rows: [{tables: "*.*", using: "true"}]
"""
_TEMPORARY = re.compile(
    r"\bcreate\s+(or\s+replace\s+)?(?:local\s+|global\s+)?temp(?:orary)?\s+(table|view)\s+(\w+)", re.IGNORECASE
)
_FROM_FILE = re.compile(r"(copy\s+.*\bfrom\s+)'(/[^']+)'", re.IGNORECASE | re.DOTALL)
_READS = frozenset({Kind.SELECT})


@cache
def policy() -> Policy:
    return load(_POLICY, "round-trip.yaml")


@dataclass(frozen=True, slots=True)
class Answer:
    sqlstate: str
    "'' when there was no error."
    columns: tuple[tuple[bytes, int, int], ...] = ()
    "Name, type and its modifier."
    rows: tuple[tuple[bytes | None, ...], ...] = ()

    def same(self, other: Answer) -> bool:
        """The same columns and rows; in any order, since both leave the order to the planner."""
        if self.sqlstate or other.sqlstate:
            return self.sqlstate == other.sqlstate
        return self.columns == other.columns and (self.rows == other.rows or _sorted(self.rows) == _sorted(other.rows))


def _sorted(rows: Sequence[tuple[bytes | None, ...]]) -> list[str]:
    return sorted(map(repr, rows))


@dataclass
class Found:
    """One query that PostgreSQL runs without an error, and what became of it."""

    file: str
    sql: str
    outcome: str
    "same, differed, or the reason of the refusal."
    detail: str = ""
    sent: str = ""


@dataclass
class Replay:
    """One database, one session. A context manager."""

    server: str
    "libpq's connection string of an empty database, as a superuser."
    environment: dict[str, str]
    found: list[Found] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.loop = asyncio.new_event_loop()
        self.reader: asyncpg.Connection[Any] = self.loop.run_until_complete(self._connected())
        self.picture: Picture | None = None
        self.stale = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.loop.run_until_complete(self.reader.close())
        self.loop.close()

    async def _connected(self) -> asyncpg.Connection[Any]:
        parts = psycopg.conninfo.conninfo_to_dict(self.server)
        return await asyncpg.connect(
            host=parts["host"], port=int(parts["port"] or 0), user=parts["user"], password=parts.get("password"),
            database=parts["dbname"],
        )  # fmt: skip

    def run(self, path: Path, *, compared: bool) -> None:
        """All statements of one file; ``compared`` False: only for what they leave behind."""
        text = path.read_text(errors="replace")
        with psycopg.connect(self.server, autocommit=True) as connection:
            session = _Session(connection.pgconn)
            session.run("SET statement_timeout = '20s'")
            temporary: list[str] = []
            for one in statements(text, self.environment):
                found = _TEMPORARY.search(one.text)
                if found and " on commit " not in one.text.lower() and not found[3].lower().startswith("pg_temp"):
                    # The catalog's reader is another session: it would not see a temporary table.
                    kept = f"create {found[1] or ''}{found[2]} {found[3]}"
                    one = Sent(kept + one.text[found.end() :], one.data)
                    temporary.append(f"DROP {found[2]} IF EXISTS {found[3]} CASCADE")
                self._step(path.stem, session, one, compared)
            session.run("ROLLBACK")
            session.run("RESET ALL")
            session.run("RESET SESSION AUTHORIZATION")
            for drop in temporary:
                session.run(drop)

    def _step(self, file: str, session: _Session, one: Sent, compared: bool) -> None:
        statement = _query(one.text) if compared else None
        if statement is None:
            session.run(one.text, one.data)
            self.stale = True
            return
        plain = session.tried(one.text)
        if not plain.sqlstate:
            self.found.append(self._compared(file, session, statement, plain))
        session.run(one.text)  # for what its functions leave behind

    def _compared(self, file: str, session: _Session, statement: Statement, plain: Answer) -> Found:
        if self.stale or self.picture is None:
            self.picture = self.loop.run_until_complete(read(self.reader, self.picture))
            self.stale = False
        path = session.run("SELECT unnest(pg_catalog.current_schemas(true))")
        catalog = replace(self.picture.catalog, search_path=tuple((name or b"").decode() for (name,) in path.rows))
        own = {f"{one.schema}.{one.name}" for many in catalog.functions.values() for one in many}
        allowed = replace(policy(), allowed_functions=frozenset(own))
        decision = decide(statement, allowed.principal("x"), catalog, allowed)
        if isinstance(decision, Deny):
            return Found(file, statement.text, decision.reason.value, decision.message)
        if decision.sql == statement.text:
            return Found(file, statement.text, "untouched")
        assert isinstance(decision, Allow)
        through = session.tried(decision.sql)
        if through.same(plain):
            return Found(file, statement.text, "same", sent=decision.sql)
        again = session.tried(statement.text)
        if not again.same(plain):
            return Found(file, statement.text, "chance", sent=decision.sql)
        return Found(file, statement.text, "differed", _difference(plain, through), decision.sql)


def _difference(plain: Answer, through: Answer) -> str:
    if through.sqlstate:
        return f"error {through.sqlstate}"
    if plain.columns != through.columns:
        return f"columns {plain.columns} {through.columns}"
    return f"rows {len(plain.rows)} {len(through.rows)}"


def _query(text: str) -> Statement | None:
    """The statement where it is one query."""
    with suppress(StatementError):
        batch = classify(text)
        if isinstance(batch, Batch) and len(batch.statements) == 1 and batch.statements[0].kind in _READS:
            return batch.statements[0]
    return None


class _Session:
    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def tried(self, sql: str) -> Answer:
        """What it answers; nothing of it stays, a transaction that is open goes on."""
        if self.connection.transaction_status == TransactionStatus.INTRANS:
            begin, end = "SAVEPOINT tried", "ROLLBACK TO tried; RELEASE tried"
        elif self.connection.transaction_status == TransactionStatus.IDLE:
            begin, end = "BEGIN", "ROLLBACK"
        else:
            return Answer("25P02")
        self.run(begin)
        answer = self.run(sql)
        for command in end.split("; "):
            self.run(command)
        return answer

    def run(self, sql: str, data: str | None = None) -> Answer:
        if found := _FROM_FILE.match(sql):
            with suppress(OSError):
                data = Path(found[2]).read_text(errors="replace")
                sql = f"{found[1]} STDIN {sql[found.end() :]}"
        result = self.connection.exec_(sql.encode())
        if result.status == ExecStatus.COPY_IN:
            self.connection.put_copy_data((data or "").encode())
            self.connection.put_copy_end()
            result = self.connection.get_result()
            while self.connection.get_result() is not None:
                pass
        elif result.status == ExecStatus.COPY_OUT:
            while self.connection.get_copy_data(0)[0] > 0:
                pass
            while self.connection.get_result() is not None:
                pass
        if result.status in (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE):
            return Answer((result.error_field(ord("C")) or b"XX000").decode())
        width = result.nfields
        return Answer(
            "",
            tuple((result.fname(at), result.ftype(at), result.fmod(at)) for at in range(width)),
            tuple(_rows(result, width)),
        )


def _rows(result: Any, width: int) -> Iterator[tuple[bytes | None, ...]]:
    for row in range(result.ntuples):
        yield tuple(result.get_value(row, at) for at in range(width))
