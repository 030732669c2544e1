"""Login at the upstream: from the StartupMessage to ReadyForQuery, with the service role's password or a client's own.

PostgreSQL manual, "Message Flow", "Start-up". Whatever the server says here is bounded: by ``MESSAGE_LIMIT``,
``MESSAGES``, and the caller's time limit.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from nlsql_gateway.config import Upstream
from nlsql_gateway.errors import AuthenticationError, ProtocolError
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.server.upstream_tls import channel
from nlsql_gateway.wire import upstream as wire
from nlsql_gateway.wire.messages import Fault, parse_fault
from nlsql_gateway.wire.scram import MECHANISM, MECHANISM_PLUS, ClientExchange, md5_password

MESSAGE_LIMIT: Final = 1024 * 1024
"""Bytes of one message before ReadyForQuery."""

MESSAGES: Final = 1000
"""Before ReadyForQuery; a server sends about twenty."""


class Refused(Exception):
    """An ErrorResponse during login."""

    def __init__(self, fault: Fault, whole: bytes) -> None:
        super().__init__(fault.text)
        self.fault = fault
        self.whole = whole


class Authenticator(Protocol):
    """Answers the upstream's requests for authentication."""

    @property
    def has_begun(self) -> bool:
        """Somebody was told what this server asks: no other server may be tried."""

    async def answer(self, pipe: Pipe, code: int, data: bytes) -> None:
        """``code`` and ``data`` of an Authentication message, AuthenticationOk (0) among them.

        Raises AuthenticationError, ProtocolError.
        """


@dataclass(slots=True)
class Answers:
    """What the server said until it was ready."""

    parameters: dict[str, str] = field(default_factory=dict)
    notices: list[bytes] = field(default_factory=list)
    key: bytes = b""


async def log_in(pipe: Pipe, startup: Mapping[str, str], authenticator: Authenticator) -> Answers:
    """To ReadyForQuery. Raises Refused, AuthenticationError, ProtocolError, OSError."""
    pipe.write(wire.startup(startup))
    answers = Answers()
    authenticated = False
    for _ in range(MESSAGES):
        kind, body, whole = await read_message(pipe)
        match kind:
            case b"R":
                code, data = wire.parse_authentication(body)
                if authenticated:
                    raise ProtocolError("a request for authentication after its end")
                await authenticator.answer(pipe, code, data)
                authenticated = code == 0
            case b"E":
                raise Refused(parse_fault(body), whole)
            case b"N":
                answers.notices.append(whole)
            case b"v":
                continue
            case b"S" if authenticated:
                name, value = wire.parse_parameter_status(body)
                answers.parameters[name] = value
            case b"K" if authenticated:
                answers.key = body
            case b"Z" if authenticated:
                return answers
            case _:
                raise ProtocolError("an unexpected message during login")
    raise ProtocolError("too many messages during login")


async def read_message(pipe: Pipe) -> tuple[bytes, bytes, bytes]:
    """One message: its type, its body, the whole of it. Raises ProtocolError, OSError."""
    head = await pipe.read(5)
    length: int = struct.unpack("!i", head[1:])[0]
    if not 4 <= length <= MESSAGE_LIMIT:
        raise ProtocolError("a message of impossible length during login")
    body = await pipe.read(length - 4)
    return head[:1], body, head + body


class Service:
    """The service role and its password."""

    def __init__(self, upstream: Upstream, password: str | None, *, local: bool) -> None:
        """``local``: by a Unix socket, where nobody else listens."""
        self._upstream = upstream
        self._password = password
        self._local = local
        self._exchange: ClientExchange | None = None
        self.has_begun = False  # each server gets a new one

    async def answer(self, pipe: Pipe, code: int, data: bytes) -> None:
        exchange = self._exchange
        if code == 0:
            if exchange is not None and not exchange.verified:  # leaving the proof out must not do
                raise AuthenticationError("it ended the SCRAM exchange without proving who it is")
            if self._upstream.channel_binding == "require" and (exchange is None or not exchange.verified):
                raise AuthenticationError("it let us in without channel binding, and upstream.channel_binding needs it")
            return
        if self._password is None:
            raise AuthenticationError(f"it asks for the password of {self._upstream.user}, and none is configured")
        match code:
            case 3 | 5 if self._upstream.channel_binding == "require":
                raise AuthenticationError("it asks for a login without channel binding, which the settings need")
            case 3:
                if not (pipe.is_encrypted or self._local):
                    raise AuthenticationError("it asks for the password in clear text without TLS")
                pipe.write(wire.password(self._password.encode()))
            case 5:
                pipe.write(wire.password(md5_password(self._upstream.user, self._password, data[:4])))
            case 10 if exchange is None:
                self._exchange = exchange = self._begin(pipe, data.split(b"\0"), self._password)
                pipe.write(wire.sasl_initial(exchange.mechanism, exchange.first()))
            case 11 if exchange is not None:
                pipe.write(wire.sasl(exchange.challenge(data)))
            case 12 if exchange is not None:
                exchange.verify(data)
            case _:
                raise AuthenticationError(f"it asks for an authentication method that is not known here ({code})")

    def _begin(self, pipe: Pipe, offered: list[bytes], password: str) -> ClientExchange:
        """The strongest of the mechanisms offered (manual, "SASL Authentication")."""
        setting = self._upstream.channel_binding
        binding = None if setting == "disable" else channel(pipe)
        if MECHANISM_PLUS.encode() in offered and binding is not None:
            return ClientExchange(password, secrets.token_bytes(18), end_point=binding)
        if setting == "require":
            raise AuthenticationError("it does not offer channel binding, and upstream.channel_binding needs it")
        if MECHANISM.encode() not in offered:
            raise AuthenticationError("it offers no SASL mechanism that is known here")
        could = binding is not None and MECHANISM_PLUS.encode() not in offered
        return ClientExchange(password, secrets.token_bytes(18), could_bind=could)
