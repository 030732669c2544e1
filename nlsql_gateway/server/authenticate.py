"""Authentication: a client proves that it is who its startup message says. One function for each ``auth.method``.

PostgreSQL manual, "Message Flow", "Start-up" and "SASL Authentication".
"""

from __future__ import annotations

import secrets
import struct
from typing import assert_never

from nlsql_gateway.config import Auth
from nlsql_gateway.errors import AuthenticationError, ProtocolError
from nlsql_gateway.server import users
from nlsql_gateway.server.login import Login
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.server.users import Users
from nlsql_gateway.wire import downstream
from nlsql_gateway.wire.scram import MAX_MESSAGE, MECHANISM, ServerExchange


class Authentication:
    """How clients of one gateway log in: the method, and one reading of the files that it needs."""

    def __init__(self, auth: Auth) -> None:
        """Raises ConfigError: a file cannot be read."""
        self._method = auth.method
        self._users = None if auth.users is None else users.load(auth.users)

    async def prove(self, pipe: Pipe, login: Login) -> None:
        """Have the client prove its user and tell it AuthenticationOk.

        Raises AuthenticationError, ProtocolError, OSError (the client left).
        """
        match self._method:
            case "trust":
                pass
            case "scram-sha-256":
                assert self._users is not None
                await scram(pipe, login, self._users)
            case _:
                assert_never(self._method)
        pipe.write(downstream.authentication(0))


async def scram(pipe: Pipe, login: Login, known: Users) -> None:
    """SCRAM-SHA-256 with the verifiers of the users file.

    A user who does not exist goes through the same exchange and fails at the same point as a wrong password.
    """
    verifier, exists = known.find(login.user)
    exchange = ServerExchange(verifier, secrets.token_bytes(18), known=exists)
    pipe.write(downstream.authentication(10, MECHANISM.encode() + b"\0\0"))
    mechanism, initial = downstream.parse_sasl_initial(await _password_message(pipe))
    if mechanism != MECHANISM:
        raise ProtocolError("client selected an invalid SASL authentication mechanism")
    pipe.write(downstream.authentication(11, exchange.first(initial)))
    try:
        last = exchange.final(await _password_message(pipe))
    except AuthenticationError as error:
        raise AuthenticationError(f'password authentication failed for user "{login.user}"') from error
    pipe.write(downstream.authentication(12, last))


async def _password_message(pipe: Pipe) -> bytes:
    """The body of a PasswordMessage, SASLInitialResponse or SASLResponse: they share one type byte."""
    head = await pipe.read(5)
    length: int = struct.unpack("!i", head[1:])[0]
    if head[:1] != b"p" or not 4 <= length <= MAX_MESSAGE:
        raise ProtocolError("expected a SASL response")
    return await pipe.read(length - 4)
