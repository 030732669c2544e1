"""The conversation: whatever either side sends, in whatever order, it goes on in step or ends with a documented error.

Always: what goes upstream was recorded before, and each account that was opened is closed once.
"""

from __future__ import annotations

import struct
from typing import Final

from nlsql_gateway.errors import LimitError, ProtocolError
from nlsql_gateway.wire.messages import message
from tests.fuzz.cursor import Cursor
from tests.server import raw
from tests.server.machines.gateway import Gateway, ListGate, Recorded

CLIENT: Final = (
    raw.query("SELECT 1"),
    raw.query("SELECT 1; SELECT 2 /*rewrite*/"),
    raw.query("SELECT 1 /*forbidden*/"),
    raw.query("SELECT 1 /*ask*/"),
    raw.query("COPY t FROM STDIN"),
    raw.query("PREPARE a AS SELECT 1"),
    raw.query("DEALLOCATE ALL"),
    raw.parse("", "SELECT $1"),
    raw.parse("a", "SELECT 1 /*rewrite*/"),
    raw.parse("a", "SELECT 1 /*ask*/"),
    raw.parse("", "SELECT 1 /*forbidden*/"),
    raw.bind("", ""),
    raw.bind("a", "a", "x"),
    raw.describe("S", "a"),
    raw.describe("P", ""),
    raw.execute(""),
    raw.execute("a", 1),
    raw.close("S", "a"),
    raw.close("P", "a"),
    raw.FLUSH,
    raw.SYNC,
    message(b"F", struct.pack("!iHHH", 1, 0, 0, 0)),
    message(b"d", b"row\n"),
    message(b"c"),
    message(b"f", b"no\0"),
    message(b"X"),
)

UPSTREAM: Final = (
    message(b"1"),
    message(b"2"),
    message(b"3"),
    message(b"T", b"\0\0"),
    message(b"n"),
    message(b"D", b"\0\0"),
    message(b"C", b"SELECT 1\0"),
    message(b"C", b"PREPARE\0"),
    message(b"C", b"DEALLOCATE ALL\0"),
    message(b"I"),
    message(b"s"),
    message(b"E", b"SERROR\0C22012\0Mno\0P1\0\0"),
    message(b"E", b"SFATAL\0C57P01\0Mno\0\0"),
    message(b"N", b"SNOTICE\0C00000\0Mno\0\0"),
    message(b"S", b"client_encoding\0UTF8\0"),
    message(b"S", b"client_encoding\0LATIN1\0"),
    message(b"G", b"\0\0\0"),
    message(b"H", b"\0\0\0"),
    message(b"W", b"\0\0\0"),
    message(b"d", b"row\n"),
    message(b"c"),
    message(b"Z", b"I"),
    message(b"Z", b"T"),
    message(b"A", b"\0\0\0\1c\0w\0"),
)


def conversation(data: bytes) -> None:
    cursor = Cursor(data)
    gate = ListGate()
    gateway = Gateway(gate, 400)
    seen = _Upstream(gate)
    try:
        while cursor and not gateway.has_left:
            order = cursor.byte()
            if order < len(CLIENT):
                gateway.requests.feed(CLIENT[order])
            elif 64 <= order < 64 + len(UPSTREAM):
                gateway.answered(UPSTREAM[order - 64])
            elif order < 128:
                gateway.turn(fails=order == 127)
            elif order < 144:
                if gateway.question is not None:
                    gateway.answer()
            elif order < 192:
                gateway.requests.feed(cursor.part())
            elif order < 250:
                gateway.answered(cursor.part())
            else:
                gate.version += 1
            seen.look(gateway)
    except (ProtocolError, LimitError):
        pass
    gateway.end()


class _Upstream:
    """Looks at what went upstream: texts that were recorded, and no FunctionCall."""

    def __init__(self, gate: ListGate) -> None:
        self._recorded = Recorded(gate)

    def look(self, gateway: Gateway) -> None:
        out = bytes(gateway.to_upstream)
        gateway.to_upstream.clear()
        at = 0
        while at < len(out):
            (length,) = struct.unpack_from("!i", out, at + 1)
            body = out[at + 5 : at + 1 + length]
            match out[at : at + 1]:
                case b"Q":
                    self._recorded.text(body[:-1].decode(), prepares=False)
                case b"P":
                    self._recorded.text(body.split(b"\0")[1].decode(), prepares=True)
                case b"F":
                    self._recorded.call()
                case _:
                    pass
            at += 1 + length
        assert at == len(out), "whole messages go upstream"
