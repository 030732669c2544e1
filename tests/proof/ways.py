"""The ways in which a client can send one query, each with the answer that it gets. Also: the query with parameters."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import psycopg
from psycopg import pq

REFUSALS: Final = ("42", "0A", "25", "54")
"""Classes of SQLSTATE that refuse a statement before any row is read."""


class Answer(NamedTuple):
    state: str
    "The SQLSTATE; empty: it ran."
    message: str = ""
    columns: tuple[tuple[str, int], ...] = ()
    rows: tuple[tuple[bytes | None, ...], ...] = ()

    @property
    def ran(self) -> bool:
        return not self.state

    @property
    def refused(self) -> bool:
        return self.state[:2] in REFUSALS


@dataclass
class Query:
    text: str
    constructs: set[str]
    parameters: tuple[object, ...] = ()
    "Numbers are sent as integers, text without a type."
    ordered: bool = False
    way: str = ""
    "One of ``WAYS``; empty: a simple query, or an extended one where there are parameters."

    def literal(self) -> str:
        """The text with its parameters' values in it."""
        return re.sub(r"\$(\d+)", lambda found: written(self.parameters[int(found[1]) - 1]), self.text)


def written(value: object) -> str:
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


Connection: TypeAlias = psycopg.Connection[Any]


def run(connection: Connection, query: Query) -> Answer:
    way = WAYS[query.way or ("extended" if query.parameters else "simple")]
    return way(connection.pgconn, query)


def _simple(line: pq.abc.PGconn, query: Query) -> Answer:
    return _answer(line.exec_(query.literal().encode()))


def _values(query: Query, *, binary: bool = False) -> tuple[list[bytes], list[int], list[int]]:
    """Values, types and formats. The binary format of text is that of the text format."""
    numbers = [isinstance(value, int) for value in query.parameters]
    values = [
        int(str(value)).to_bytes(4, "big", signed=True) if binary and is_number else str(value).encode()
        for value, is_number in zip(query.parameters, numbers, strict=True)
    ]
    formats = [int(binary and is_number) for is_number in numbers]
    return values, [23 if is_number else 0 for is_number in numbers], formats


def _extended(line: pq.abc.PGconn, query: Query) -> Answer:
    return _answer(line.exec_params(query.text.encode(), *_values(query)))


def _binary(line: pq.abc.PGconn, query: Query) -> Answer:
    return _answer(line.exec_params(query.text.encode(), *_values(query, binary=True), 1))


def _prepared(line: pq.abc.PGconn, query: Query) -> Answer:
    """Prepared once, executed in text format and then in binary; the first answer, or what made one fail."""
    values, types, _ = _values(query)
    made = line.prepare(b"of_proof", query.text.encode(), types)
    if made.status != pq.ExecStatus.COMMAND_OK:
        return _answer(made)
    first = _answer(line.exec_prepared(b"of_proof", values))
    second = _answer(line.exec_prepared(b"of_proof", values, result_format=1))
    line.exec_(b"DEALLOCATE of_proof")
    return first if second.ran and len(second.rows) == len(first.rows) else second


def _by_sql(line: pq.abc.PGconn, query: Query) -> Answer:
    """PREPARE and EXECUTE."""
    types = ", ".join("integer" if isinstance(value, int) else "unknown" for value in query.parameters)
    head = f"PREPARE of_sql{f' ({types})' if types else ''} AS "
    made = line.exec_(head.encode() + query.text.encode())
    if made.status != pq.ExecStatus.COMMAND_OK:
        return _answer(made)
    values = ", ".join(map(written, query.parameters))
    found = _answer(line.exec_(f"EXECUTE of_sql{f' ({values})' if values else ''}".encode()))
    line.exec_(b"DEALLOCATE of_sql")
    return found


def _cursor(line: pq.abc.PGconn, query: Query) -> Answer:
    """All rows by a cursor, the first two by themselves."""
    line.exec_(b"BEGIN")
    made = line.exec_(b"DECLARE c CURSOR FOR " + query.literal().encode())
    found = _answer(made)
    if made.status == pq.ExecStatus.COMMAND_OK:
        found = _answer(line.exec_(b"FETCH 2 FROM c"))
        if found.ran:
            rest = _answer(line.exec_(b"FETCH ALL FROM c"))
            found = rest._replace(rows=found.rows + rest.rows)
    line.exec_(b"ROLLBACK")
    return found


def _copied(options: bytes) -> Callable[[pq.abc.PGconn, Query], Answer]:
    def copy(line: pq.abc.PGconn, query: Query) -> Answer:
        result = line.exec_(b"COPY (" + query.literal().encode() + b") TO STDOUT" + options)
        if result.status != pq.ExecStatus.COPY_OUT:
            return _answer(result)
        rows: list[tuple[bytes | None, ...]] = []
        while (found := line.get_copy_data(0))[0] > 0:
            rows.append((bytes(found[1]),))
        failed = Answer("")
        while (last := line.get_result()) is not None:
            if last.status != pq.ExecStatus.COMMAND_OK:
                failed = _answer(last)
        return failed if not failed.ran else Answer("", "", (), tuple(rows))

    return copy


def _explained(line: pq.abc.PGconn, query: Query) -> Answer:
    return _answer(line.exec_(b"EXPLAIN (COSTS OFF) " + query.literal().encode()))


WAYS: Final[dict[str, Callable[[pq.abc.PGconn, Query], Answer]]] = {
    "simple": _simple,
    "extended": _extended,
    "binary": _binary,
    "prepared": _prepared,
    "PREPARE": _by_sql,
    "cursor": _cursor,
    "COPY": _copied(b""),
    "COPY csv": _copied(b" (FORMAT csv, HEADER, FORCE_QUOTE *)"),
    "EXPLAIN": _explained,
}

POOLED: Final = tuple(way for way in WAYS if way != "PREPARE")
"""Those that a pooler in transaction mode has."""


def _answer(result: pq.abc.PGresult) -> Answer:
    if result.status != pq.ExecStatus.TUPLES_OK:
        state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"-----").decode()
        words = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode()
        return Answer(state, words)
    places = range(result.nfields)
    columns = tuple(((result.fname(n) or b"").decode(), result.ftype(n)) for n in places)
    rows = tuple(tuple(result.get_value(row, n) for n in places) for row in range(result.ntuples))
    return Answer("", "", columns, rows)


def chosen(chance: random.Random, ways: tuple[str, ...], query: Query) -> Query:
    """The query by one of these ways."""
    query.way = chance.choice(ways)
    query.constructs.add(query.way)
    return query
