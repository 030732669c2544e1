"""auth.method passthrough: the client logs in at the upstream, as itself, and the gateway carries the messages.

So the gateway holds no secret of anybody's: what the client proves, it proves to the server, whose errors it gets as
they are. Channel binding cannot pass, since there are two channels: SCRAM-SHA-256-PLUS is taken out of the mechanisms.
PostgreSQL manual, "SASL Authentication".
"""

from __future__ import annotations

from typing import Final

from nlsql_gateway.errors import AuthenticationError, ProtocolError
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.server.upstream_login import read_message
from nlsql_gateway.wire import downstream
from nlsql_gateway.wire.messages import message
from nlsql_gateway.wire.scram import MECHANISM, MECHANISM_PLUS

_ROUNDS: Final = 6
"""Answers of a client that are carried: SCRAM takes two."""


class Passthrough:
    """An ``Authenticator``: asks the client what the upstream asks."""

    def __init__(self, client: Pipe, *, local: bool) -> None:
        """``local``: the upstream is a Unix socket, where nobody else listens."""
        self._client = client
        self._local = local
        self._plus = False
        "The upstream offered channel binding."
        self._rounds = 0
        self.has_begun = False
        "The client was told something: another server cannot begin anew."

    async def answer(self, pipe: Pipe, code: int, data: bytes) -> None:
        self.has_begun = True
        match code:
            case 0 | 12:
                self._client.write(downstream.authentication(code, data))
                return
            case 3:
                if not (self._client.is_encrypted and (pipe.is_encrypted or self._local)):
                    raise AuthenticationError(
                        "the database asks for a password in clear text, which is not carried without TLS",
                        sqlstate="28000",
                    )
                self._client.write(downstream.authentication(code))
            case 10:
                self._client.write(downstream.authentication(code, self._mechanisms(data)))
            case 5 | 11:
                self._client.write(downstream.authentication(code, data))
            case _:
                raise AuthenticationError(
                    f"the database asks for an authentication method that cannot be carried ({code})", sqlstate="28000"
                )
        body = await self._reply()
        if code == 10:
            _, initial = downstream.parse_sasl_initial(body)
            if self._plus and (initial or b"").startswith(b"y,"):
                raise AuthenticationError(
                    "channel binding cannot be carried to the database",
                    hint="connect with channel_binding=disable",
                    sqlstate="28000",
                )
        pipe.write(message(b"p", body))

    def _mechanisms(self, data: bytes) -> bytes:
        """Those of ``data`` that can be carried."""
        offered = [mechanism for mechanism in data.split(b"\0") if mechanism]
        self._plus = MECHANISM_PLUS.encode() in offered
        if MECHANISM.encode() not in offered:
            raise AuthenticationError("the database offers no SASL mechanism that can be carried", sqlstate="28000")
        return MECHANISM.encode() + b"\0\0"

    async def _reply(self) -> bytes:
        self._rounds += 1
        if self._rounds > _ROUNDS:
            raise ProtocolError("the database asks for too much during login")
        try:
            kind, body, _ = await read_message(self._client)
        except ConnectionResetError as error:
            raise AuthenticationError("the client left during login", sqlstate="08006") from error
        if kind != b"p":
            raise ProtocolError("expected a password message")
        return body
