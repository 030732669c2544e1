"""Client: what a program of a few orders sends and how it waits, and what came back, message by message.

It keeps to the manual's "Message Flow" as a driver does: within COPY FROM STDIN it sends data, and it waits for
CopyInResponse unless the data goes ahead with the query.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hypothesis import strategies as st

from nlsql_gateway.wire.messages import message, parse_fault
from tests.server import raw


class Query(NamedTuple):
    statements: tuple[str, ...]
    mark: str = ""


class Parse(NamedTuple):
    name: str
    statement: str
    mark: str = ""


class Bind(NamedTuple):
    portal: str
    statement: str


class Describe(NamedTuple):
    kind: str
    name: str


class Execute(NamedTuple):
    portal: str
    limit: int = 0


class Close(NamedTuple):
    kind: str
    name: str


class CopyIn(NamedTuple):
    """``ahead``: the data goes with the query; ``extended`` by Parse, Bind, Execute, then Flush or Sync."""

    ahead: bool = False
    extended: bool = False
    with_sync: bool = False
    fails: bool = False
    mark: str = ""


class Simple(NamedTuple):
    """A message of its type alone: ``H``, ``S``, ``F``."""

    kind: str


class Await(NamedTuple):
    """Until all that was sent is answered."""


Order = Query | Parse | Bind | Describe | Execute | Close | CopyIn | Simple | Await

STATEMENTS = (
    "SELECT 0", "SELECT 3", "SELECT 9", "SELECT 1/0 LIMIT 2", "DO 'x'", "SET application_name = x", "COPY t TO STDOUT",
    "BEGIN", "COMMIT", "ROLLBACK", "bogus", "",
)  # fmt: skip
NAMING = ("PREPARE a AS SELECT 4", "PREPARE b AS SELECT 1", "DEALLOCATE a", "DEALLOCATE ALL")
marks = st.sampled_from(["", "", "", "forbidden", "ask", "rewrite"])
names = st.sampled_from(["", "a", "b"])
texts = st.sampled_from(STATEMENTS)

_limits = st.sampled_from([0, 1, 2, 5])
_messages = (
    st.builds(Parse, names, texts, marks)
    | st.builds(Bind, names, names)
    | st.builds(Describe, st.sampled_from("SP"), names)
    | st.builds(Execute, names, _limits)
    | st.builds(Close, st.sampled_from("SP"), names)
    | st.builds(Simple, st.sampled_from("HSSSF"))
    | st.builds(Query, st.tuples(texts), marks)
)
_run = st.builds(
    lambda name, text, mark, limit, more: [
        Parse(name, text, mark),
        Bind(name, name),
        Execute(name, limit),
        *[Execute(name, limit)] * more,
    ],
    names, texts, marks, _limits, st.integers(0, 2),
)  # fmt: skip
_queries = st.builds(Query, st.lists(texts, max_size=3).map(tuple), marks)
_naming = st.builds(Query, st.tuples(st.sampled_from(NAMING)), st.just("")).map(lambda query: [query, Await()])
_copies = st.builds(CopyIn, st.booleans(), st.booleans(), st.booleans(), st.booleans(), marks)

programs: st.SearchStrategy[list[Order]] = st.lists(
    st.one_of(_messages.map(lambda order: [order]), _run, _queries.map(lambda q: [q]), _copies.map(lambda c: [c]),
              _naming, st.just([Simple("S")]), st.just([Await()])),
    max_size=14,
).map(lambda groups: [order for group in groups for order in group])  # fmt: skip


@dataclass
class Client:
    """``step`` sends what one order asks for: ``out`` grows. ``received`` is what came: a type and what matters."""

    program: Sequence[Order]
    out: bytearray = field(default_factory=bytearray)
    received: list[tuple[str, object]] = field(default_factory=list)
    waits: bool = False
    "For all that was sent to be answered."
    done: bool = False
    _kept: bytes = b""
    _number: int = 0

    def __post_init__(self) -> None:
        self._steps = self._run()

    def step(self) -> None:
        """Call it only while not ``done``, and while ``waits`` only when nothing is under way."""
        self.waits = False
        if next(self._steps, None) is None:
            self.done = True

    def feed(self, data: bytes) -> None:
        self._kept += data
        while len(self._kept) >= 5:
            (length,) = struct.unpack_from("!i", self._kept, 1)
            if len(self._kept) < length + 1:
                return
            one, self._kept = self._kept[: length + 1], self._kept[length + 1 :]
            self.received.append(_read(chr(one[0]), one[5:]))

    @property
    def kinds(self) -> str:
        return "".join(kind for kind, _ in self.received)

    @property
    def is_between(self) -> bool:
        """No message is half there."""
        return not self._kept

    def _text(self, statements: Sequence[str], mark: str) -> str:
        """Each text once, so that its record is its own."""
        self._number += 1
        return f"{'; '.join(statements)} /*{mark} {self._number}*/"

    def _run(self) -> Iterator[bool]:
        for order in self.program:
            if isinstance(order, CopyIn):
                yield from self._copy_in(order)
                continue
            if isinstance(order, Await):
                self.waits = True
            else:
                self.out += self._message(order)
            yield True
        self.out += raw.SYNC
        self.waits = True
        yield True

    def _message(self, order: Query | Parse | Bind | Describe | Execute | Close | Simple) -> bytes:
        match order:
            case Query():
                return raw.query(self._text(order.statements, order.mark))
            case Parse():
                return raw.parse(order.name, self._text([order.statement], order.mark))
            case Bind():
                self._number += 1
                return raw.bind(order.portal, order.statement, str(self._number))
            case Describe():
                return raw.describe(order.kind, order.name)
            case Execute():
                return raw.execute(order.portal, order.limit)
            case Close():
                return raw.close(order.kind, order.name)
            case Simple("F"):
                return message(b"F", struct.pack("!iHHH", 2026, 0, 0, 0))
            case Simple():
                return message(order.kind.encode())

    def _copy_in(self, order: CopyIn) -> Iterator[bool]:
        text = self._text(["COPY t FROM STDIN"], order.mark if order.mark != "ask" else "")
        data = message(b"d", b"row\n") * 2 + (message(b"f", b"no\0") if order.fails else message(b"c"))
        if not order.extended:
            self.out += raw.query(text) + (data if order.ahead else b"")
        else:
            self._number += 1
            self.out += raw.parse("", text) + raw.bind("", "", str(self._number)) + raw.execute("")
            self.out += (data if order.ahead else b"") + (raw.SYNC if order.with_sync or order.ahead else raw.FLUSH)
        if not order.ahead:
            self.waits = True
            yield True
            if self.kinds.replace("A", "").endswith("G"):
                self.out += data
        if order.extended:  # nobody may run it again without data
            self.out += raw.SYNC + raw.parse("", self._text(["SELECT 1"], "")) + raw.close("P", "") + raw.SYNC
        yield True


def _read(kind: str, body: bytes) -> tuple[str, object]:
    if kind == "E":
        fault = parse_fault(body)
        return kind, (fault.sqlstate, "P" in fault.fields)
    return kind, parse_fault(body).text if kind == "N" else body
