"""A line: one connection to the gateway, of one tab of one session. Whatever a person sees comes through one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import asyncpg

from nlsql_gateway.console.cells import KINDS, Kind, as_text, size, written
from nlsql_gateway.console.port import Port, hang_up, said
from nlsql_gateway.console.sessions import Session
from nlsql_gateway.errors import UpstreamError

FIRST_CHUNK: Final = 20
MOST_OF_CHUNK: Final = 1_000
"""Rows of one fetch, by the size of those before: what comes in one is in memory whatever it is."""

CHUNK_BYTES: Final = 4 * 1024**2


Prepared: TypeAlias = asyncpg.prepared_stmt.PreparedStatement

_OF_THE_VERDICT: Final = ("question", "statement", "sql", "verdict", "rule", "would run")


@dataclass(frozen=True, slots=True)
class Notice:
    sqlstate: str
    message: str
    detail: str


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    kind: Kind


@dataclass(slots=True)
class Answer:
    columns: tuple[Column, ...]
    rows: list[tuple[str | None, ...]]
    "As PostgreSQL writes them; None: null."
    is_cut: bool
    "There were more."
    size: int
    "About how many bytes of memory the rows take."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gateway says of a statement before it runs."""

    sql: str
    would_run: str
    rules: tuple[str, ...]
    facts: tuple[tuple[str, str], ...] = ()
    "Who wrote it, where it was a question."


class Unreadable(Exception):
    """The answer has values that come as no texts: run the statement again with ``plainly``."""


@dataclass(slots=True)
class Line:
    """One statement at a time: hold ``busy``."""

    port: Port
    session: Session
    database: str
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    used: float = 0.0
    noticed: Callable[[Notice], None] = lambda _: None
    "Gets what the gateway says meanwhile; set by who holds ``busy``."
    _connection: asyncpg.Connection | None = None
    _is_plain: bool = False

    async def verdict(self, statement: str) -> Verdict:
        """Raises UpstreamError: a refusal."""
        return _verdict(await self._texts(f"ASK VERDICT: {statement}"))

    async def explain(self, question: str) -> Verdict:
        """The SQL of a question, which is not run. Raises UpstreamError."""
        return _verdict(await self._texts(question))

    async def visible(self) -> list[tuple[str | None, ...]]:
        """What this person may see, as the gateway tells it. Raises UpstreamError."""
        return await self._texts("ASK VISIBLE")

    async def suggest(self, wanted: str) -> tuple[str, str]:
        """Code and who wrote it, for what ``wanted`` says in JSON (``ASK PYTHON``). Raises UpstreamError."""
        [(code, by)] = await self._texts(f"ASK PYTHON: {wanted}")
        return code or "", by or ""

    async def forget(self) -> None:
        """The next question goes on from nothing. Raises UpstreamError."""
        await self._texts("ASK RESET")

    async def prepare(self, text: str) -> Prepared:
        """Here a question becomes SQL, and whatever is refused is refused. Raises UpstreamError, Unreadable."""
        async with self._failing() as connection:
            return await connection.prepare(text)

    async def rows(self, prepared: Prepared, most: int, fits: Callable[[int], bool]) -> Answer:
        """At most ``most`` rows, while their size in bytes ``fits``. Raises UpstreamError, Unreadable."""
        if prepared.get_parameters():
            raise UpstreamError(
                "the statement has parameters", hint="write the values in their places", sqlstate="42P02"
            )
        columns = tuple(
            Column(one.name, one.type.name, KINDS.get(one.type.name, "text")) for one in prepared.get_attributes()
        )
        if any(_is_composite(one.type) for one in prepared.get_attributes()) and not self._is_plain:
            raise Unreadable
        answer = Answer(columns, [], False, 0)
        async with self._failing() as connection, connection.transaction():
            cursor = await prepared.cursor()
            wanted = FIRST_CHUNK
            while not answer.is_cut:
                wanted = min(wanted, most + 1 - len(answer.rows))
                found = await cursor.fetch(wanted)
                for record in found:
                    if len(answer.rows) == most or not fits(answer.size):
                        answer.is_cut = True
                        break
                    row = tuple(map(written, record.values()))
                    answer.rows.append(row)
                    answer.size += size(row)
                if len(found) < wanted:
                    break
                wanted = max(1, min(MOST_OF_CHUNK, CHUNK_BYTES * len(answer.rows) // answer.size))
        return answer

    @asynccontextmanager
    async def plainly(self) -> AsyncIterator[None]:
        """Meanwhile values come as the driver reads them: it reads rows and ranges in no other way."""
        async with self._failing() as connection:
            await as_text(connection, undo=True)
        self._is_plain = True
        try:
            yield
        finally:
            self._is_plain = False
            if not connection.is_closed():
                await as_text(connection)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await hang_up(connection)

    async def _texts(self, text: str) -> list[tuple[str | None, ...]]:
        async with self._failing() as connection:
            return [tuple(map(written, record.values())) for record in await connection.fetch(text)]

    async def _open(self) -> asyncpg.Connection:
        """Opened again where it was closed meanwhile. Raises UpstreamError."""
        if self._connection is None or self._connection.is_closed():
            connection = await self.port.open(self.session.name, self.session.password, self.database)
            connection.add_log_listener(self._on_notice)
            await as_text(connection)
            self._connection = connection
        return self._connection

    def _on_notice(self, _: object, message: Any) -> None:
        self.noticed(Notice(message.sqlstate or "", message.message or "", message.detail or ""))

    @asynccontextmanager
    async def _failing(self) -> AsyncIterator[asyncpg.Connection]:
        """The connection; what the driver raises comes out as UpstreamError."""
        connection = await self._open()
        try:
            yield connection
        except asyncpg.UnsupportedClientFeatureError as error:
            raise Unreadable from error
        except asyncpg.PostgresError as error:
            raise said(error) from error
        except (asyncpg.InterfaceError, OSError) as error:
            connection.terminate()
            raise UpstreamError(
                "the connection to the gateway was lost", hint="try again: it is opened anew", sqlstate="08006"
            ) from error
        except (asyncpg.InternalClientError, ValueError, OverflowError) as error:
            raise UpstreamError(
                "the answer has a value that cannot be read here", hint="cast it to text", sqlstate="22000"
            ) from error


def _is_composite(kind: asyncpg.Type) -> bool:
    """Rows that have no type of their own hold bytes of which only the driver knows what they are."""
    return kind.name.rstrip("[]") == "record" or kind.kind in ("composite", "range", "multirange")


def _verdict(rows: list[tuple[str | None, ...]]) -> Verdict:
    pairs = [(item or "", value or "") for item, value in rows]
    facts = dict(pairs)
    return Verdict(
        facts.get("sql", facts.get("statement", "")),
        facts.get("would run", ""),
        tuple(value for item, value in pairs if item == "rule"),
        tuple(pair for pair in pairs if pair[0] not in _OF_THE_VERDICT),
    )
