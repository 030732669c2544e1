"""SCRAM, both sides: whatever the other side sends, nobody is let in who does not know the password."""

from __future__ import annotations

import base64
import re

from nlsql_gateway.errors import AuthenticationError, ProtocolError
from nlsql_gateway.wire.scram import MECHANISM, MECHANISM_PLUS, ClientExchange, ServerExchange, Verifier, saslprep
from tests.fuzz.cursor import Cursor

VERIFIER = Verifier.build("pencil", bytes(range(16)), 1)
CLIENT_NONCE, SERVER_NONCE = b"c" * 18, b"s" * 18
END_POINT = bytes(32)
_COSTLY = re.compile(rb"i=[0-9]{3,}")
"""Iteration counts that would only take the fuzzer's time."""


def scram_server(data: bytes) -> None:
    """A client that guesses; the beginnings that it would never find are given to it."""
    cursor = Cursor(data)
    shape, plus = cursor.byte(), cursor.byte()
    beginning = (b"", b"n,,n=,r=", b"y,,n=*,r=", b"p=tls-server-end-point,,n=,r=")[shape % 4]
    end_point = END_POINT if plus & 1 else None
    exchange = ServerExchange(VERIFIER, SERVER_NONCE, known=bool(shape & 4), end_point=end_point)
    if shape & 8:  # out of order
        _refused(exchange, cursor.part())
    try:
        answer = exchange.first(beginning + cursor.part(), MECHANISM_PLUS if plus & 2 else MECHANISM)
    except (ProtocolError, AuthenticationError):
        return
    assert not plus & 2 or plus & 1, "a channel is bound only where there is one"
    nonce, salt, count = answer.split(b",")
    assert nonce.startswith(b"r=")
    assert (salt, count) == (b"s=" + base64.b64encode(VERIFIER.salt), b"i=1")
    bound = b"p=tls-server-end-point,," + END_POINT
    binding = (b"c=biws,", b"c=eSws,", b"c=" + base64.b64encode(bound) + b",", b"")[shape // 16 % 4]
    _refused(exchange, binding + nonce + b"," + cursor.rest())
    _refused(exchange, binding + nonce + b",p=" + base64.b64encode(bytes(32)))


def _refused(exchange: ServerExchange, final: bytes) -> None:
    try:
        exchange.final(final)
    except (ProtocolError, AuthenticationError):
        return
    raise AssertionError("let in")


def scram_client(data: bytes) -> None:
    """A server that does not know the password, then one that changes a message of the right one."""
    cursor = Cursor(data)
    shape = cursor.byte()
    end_point = END_POINT if shape & 16 else None
    exchange = ClientExchange("pencil", CLIENT_NONCE, end_point=end_point, could_bind=bool(shape & 32))
    server = ServerExchange(VERIFIER, SERVER_NONCE, end_point=end_point)
    right = server.first(exchange.first(), exchange.mechanism)
    nonce = right.split(b",")[0]
    challenge = (b"", nonce + b",", nonce + b",s=AAAA,i=", right)[shape % 4] + cursor.part()
    if _COSTLY.search(challenge):
        return
    try:
        final = exchange.challenge(challenge)
        assert final.split(b",")[1].startswith(b"r=" + base64.b64encode(CLIENT_NONCE))
        exchange.verify((b"", b"v=")[shape // 4 % 2] + cursor.rest())
    except (ProtocolError, AuthenticationError):
        assert not exchange.verified
        return
    raise AssertionError("believed")


def verifier(data: bytes) -> None:
    """A line of a users file, and a password in any characters."""
    text = data.decode("utf-8", "replace")
    for shown in (text, "SCRAM-SHA-256$" + text):
        try:
            read = Verifier.parse(shown)
        except ValueError:
            continue
        assert Verifier.parse(str(read)) == read
    prepared = saslprep(text)
    assert saslprep(text.replace("\u00ad", "")) is not None
    prepared.encode()
