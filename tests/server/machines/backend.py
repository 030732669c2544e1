"""Backend: PostgreSQL's side, written from the manual's "Message Flow", over a language of few words.

``feed`` takes the client's bytes, in any pieces; ``out`` grows by the replies. It knows nothing of the gateway: given
``Rules`` it is the truth that a client behind the gateway must not be able to tell from the gateway.

=========================== =============================================
``SELECT n``                n rows
``SELECT 1/0 LIMIT n``      n rows, then an error
``DO 'x'``                  a notice
``SET application_name …``  a ParameterStatus before the next ReadyForQuery
``COPY t TO STDOUT``        three CopyData
``COPY t FROM STDIN``       asks for data
``BEGIN`` … ``DEALLOCATE``  as PostgreSQL has them
``bogus``                   a syntax error, like all that is not here
=========================== =============================================
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from nlsql_gateway.wire.messages import message

_COMMENT = re.compile(r"/\*.*?\*/")
_ROWS = re.compile(r"SELECT (\d+)")
_FAILS = re.compile(r"SELECT 1/0 LIMIT (\d+)")
_PREPARE = re.compile(r"PREPARE (\w+) AS (.*)")
_ENDS = ("COMMIT", "ROLLBACK")


class Failure(Exception):
    def __init__(self, sqlstate: str, *, position: bool = False) -> None:
        self.sqlstate = sqlstate
        self.position = position


class Rules(Protocol):
    """What stands between a text and its execution. Without a gateway: nothing."""

    def text(self, text: str, *, prepares: bool) -> tuple[str, bytes, bool]:
        """What runs for a text, the notices before its reply, whether positions fit. Raises Failure.

        ``prepares``: the text came by Parse.
        """

    def run(self, text: str, parameters: tuple[bytes, ...]) -> None:
        """A portal is run from its beginning. Raises Failure."""

    def call(self) -> None:
        """A FunctionCall came. Raises Failure."""


@dataclass
class Portal:
    text: str
    parameters: tuple[bytes, ...]
    fits: bool
    at: int = 0
    done: bool = False


@dataclass
class Backend:
    rules: Rules
    out: bytearray = field(default_factory=bytearray)
    status: str = "I"
    statements: dict[str, tuple[str, bool]] = field(default_factory=dict)
    portals: dict[str, Portal] = field(default_factory=dict)
    is_over: bool = False
    _kept: bytes = b""
    _skipping: bool = False
    _copying: Iterator[None] | None = None
    "What goes on when the data of COPY has come."
    _copied: str = ""
    _reports: list[bytes] = field(default_factory=list)

    def feed(self, data: bytes) -> None:
        self._kept += data
        while len(self._kept) >= 5 and not self.is_over:
            (length,) = struct.unpack_from("!i", self._kept, 1)
            if len(self._kept) < length + 1:
                return
            one, self._kept = self._kept[: length + 1], self._kept[length + 1 :]
            self._take(chr(one[0]), one[5:])

    def _say(self, kind: str, body: bytes = b"") -> None:
        self.out += message(kind.encode(), body)

    def _fail(self, failure: Failure) -> None:
        fields = f"SERROR\0VERROR\0C{failure.sqlstate}\0Mno\0" + ("P1\0" if failure.position else "")
        self._say("E", fields.encode() + b"\0")
        self.status = "E" if self.status != "I" else "I"
        self.portals.clear()  # of an aborted transaction

    def _ready(self) -> None:
        for report in self._reports:
            self.out += report
        self._reports.clear()
        if self.status == "I":
            self.portals.clear()
        self._say("Z", self.status.encode())

    # Messages

    def _take(self, kind: str, body: bytes) -> None:
        if self._copying is not None:
            self._copy_data(kind)
        elif kind == "X":
            self.is_over = True
        elif self._skipping and kind != "S":
            pass
        elif kind == "Q":
            self._go_on(self._query(body[:-1].decode()))
        elif kind == "F":
            self._go_on(self._function_call())
        elif kind == "S":
            self._skipping = False
            self._ready()
        elif kind in "dcfH":
            pass  # data of a COPY that failed is ignored, and Flush has nothing to do: all is written at once
        else:
            self._go_on(self._extended(kind, body))

    def _go_on(self, work: Iterator[None]) -> None:
        """Until it is done or asks for COPY data."""
        self._copying = work
        for _ in work:
            return
        self._copying = None

    def _copy_data(self, kind: str) -> None:
        if kind in "dHS":
            return  # "the backend will ignore Flush and Sync messages received during copy-in mode"
        assert kind in "cfX", f"{kind} within COPY data"
        self._copied = kind
        assert self._copying is not None
        self._go_on(self._copying)

    def _query(self, text: str) -> Iterator[None]:
        self.statements.pop("", None)  # "destroys the unnamed statement and portal"
        self.portals.pop("", None)
        fits = True
        try:
            sql, notices, fits = self.rules.text(text, prepares=False)
            self.out += notices
            statements = self._parsed(sql)
            if not statements:
                self._say("I")
            for statement in statements:
                self._check(statement)
                portal = Portal(statement, (), fits)
                if _rows(statement) is not None:
                    self._say("T", b"\0\0")
                yield from self._run(portal, 0)
        except Failure as failure:
            self._fail(Failure(failure.sqlstate, position=failure.position and fits))
        self._ready()

    def _function_call(self) -> Iterator[None]:
        # PostgreSQL keeps them. The gateway refuses with a Query that fails, and that drops them: no client is known
        # that uses the unnamed statement after a FunctionCall that failed.
        self.statements.pop("", None)
        self.portals.pop("", None)
        try:
            self.rules.call()
        except Failure as failure:
            self._fail(failure)
        self._ready()
        yield from ()

    def _extended(self, kind: str, body: bytes) -> Iterator[None]:
        names = [part.decode() for part in body.split(b"\0")]
        fits = True
        try:
            match kind:
                case "P":
                    if names[0] == "":
                        self.statements.pop("", None)
                    sql, notices, fits = self.rules.text(names[1], prepares=True)
                    self.out += notices
                    self._parse(names[0], sql, fits)
                case "B":
                    self._bind(names[0], names[1], body)
                case "D":
                    self._describe(names[0][0], names[0][1:])
                case "C":
                    if names[0][0] == "S":
                        self.statements.pop(names[0][1:], None)
                    else:
                        self.portals.pop(names[0][1:], None)
                    self._say("3")
                case "E":
                    if names[0] not in self.portals:
                        raise Failure("34000")
                    portal = self.portals[names[0]]
                    fits = portal.fits
                    yield from self._run(portal, struct.unpack("!i", body[-4:])[0])
                case _:
                    raise AssertionError(kind)
        except Failure as failure:
            self._fail(Failure(failure.sqlstate, position=failure.position and fits))
            self._skipping = True

    def _parse(self, name: str, sql: str, fits: bool) -> None:
        statements = self._parsed(sql)
        if len(statements) > 1:
            raise Failure("42601")
        for statement in statements:
            self._check(statement)
        if name and name in self.statements:
            raise Failure("42P05")
        self.statements[name] = ("".join(statements), fits)
        self._say("1")

    def _bind(self, portal: str, statement: str, body: bytes) -> None:
        if statement not in self.statements:
            raise Failure("26000")
        text, fits = self.statements[statement]
        self._check(text)
        if portal and portal in self.portals:
            raise Failure("42P03")
        self.portals[portal] = Portal(text, _parameters(body, len(f"{portal}\0{statement}\0".encode())), fits)
        self._say("2")

    def _describe(self, kind: str, name: str) -> None:
        if kind == "S":
            if name not in self.statements:
                raise Failure("26000")
            text = self.statements[name][0]
            self._check(text)
            self._say("t", b"\0\0")
        else:
            if name not in self.portals:
                raise Failure("34000")
            text = self.portals[name].text
        if _rows(text) is not None:
            self._say("T", b"\0\0")
        else:
            self._say("n")

    # Statements

    def _parsed(self, sql: str) -> list[str]:
        found = [part.strip() for part in _COMMENT.sub("", sql).split(";")]
        statements = [part for part in found if part]
        for statement in statements:
            if not _known(statement):
                raise Failure("42601", position=True)
        return statements

    def _check(self, statement: str) -> None:
        """In a transaction that has failed only its end is accepted."""
        if self.status == "E" and statement and statement not in _ENDS:
            raise Failure("25P02")

    def _run(self, portal: Portal, limit: int) -> Iterator[None]:
        """Rows up to the limit, then PortalSuspended; else to the end."""
        text = portal.text
        rows = _rows(text)
        self._check(text)
        if portal.at == 0 and not portal.done:
            self.rules.run(text, portal.parameters)
        if not text:
            portal.done = True
            self._say("I")
            return
        if rows is None:
            if portal.done:
                raise Failure("55000")
            portal.done = True
            yield from self._carry_out(text)
            return
        count, fails = rows
        if portal.done:
            count = portal.at
        while portal.at < count:
            self._say("D", b"\0\0" + bytes(portal.at % 7))
            portal.at += 1
            limit -= 1
            if limit == 0:
                self._say("s")
                return
        if fails:
            raise Failure("22012")
        portal.done = True
        self._say("C", f"SELECT {portal.at}\0".encode())

    def _carry_out(self, text: str) -> Iterator[None]:
        word = text.split(" ", 1)[0]
        tag = word
        match word:
            case "BEGIN":
                self.status = "T" if self.status == "I" else self.status
            case "COMMIT" | "ROLLBACK":
                tag = "ROLLBACK" if self.status == "E" else word
                self.status = "I"
                self.portals.clear()
            case "DO":
                self._say("N", b"SNOTICE\0VNOTICE\0C00000\0Mhello\0\0")
            case "SET":
                self._reports.append(message(b"S", b"application_name\0x\0"))
            case "PREPARE":
                prepare = _PREPARE.fullmatch(text)
                assert prepare is not None
                name, inner = prepare.groups()
                if name in self.statements:
                    raise Failure("42P05")
                self.statements[name] = (inner, False)
            case "DEALLOCATE":
                name = text.split(" ")[1]
                if name == "ALL":
                    self.statements.clear()
                    tag = "DEALLOCATE ALL"
                elif self.statements.pop(name, None) is None:
                    raise Failure("26000")
            case _ if text.endswith("TO STDOUT"):
                self._say("H", b"\0\0\0")
                for _ in range(3):
                    self._say("d", b"row\n")
                self._say("c")
                tag = "COPY 3"
            case _:
                self._say("G", b"\0\0\0")
                yield
                if self._copied != "c":
                    raise Failure("57014")
                tag = "COPY 1"
        self._say("C", tag.encode() + b"\0")


def _rows(text: str) -> tuple[int, bool] | None:
    """How many rows a SELECT gives and whether it fails then; None: it is none."""
    if found := _FAILS.fullmatch(text):
        return int(found[1]), True
    if found := _ROWS.fullmatch(text):
        return int(found[1]), False
    return None


def _known(text: str) -> bool:
    if found := _PREPARE.fullmatch(text):
        return _rows(found[2]) is not None
    words = ("BEGIN", "COMMIT", "ROLLBACK", "DO 'x'", "COPY t TO STDOUT", "COPY t FROM STDIN")
    return _rows(text) is not None or text in words or text.startswith(("SET application_name", "DEALLOCATE "))


def _parameters(body: bytes, at: int) -> tuple[bytes, ...]:
    """Of a Bind whose values are all text and not NULL."""
    formats, count = struct.unpack_from("!HH", body, at)
    assert formats == 0
    at += 4
    values = []
    for _ in range(count):
        (size,) = struct.unpack_from("!i", body, at)
        values.append(body[at + 4 : at + 4 + size])
        at += 4 + size
    return tuple(values)
