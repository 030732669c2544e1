"""Authentication: a client proves that it is who its startup message says. One function for each ``auth.method``.

PostgreSQL manual, "Message Flow", "Start-up" and "SASL Authentication".
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable
from typing import assert_never

from nlsql_gateway.config import Settings
from nlsql_gateway.errors import AuthenticationError, ProtocolError
from nlsql_gateway.server import certificates, users
from nlsql_gateway.server.login import Login
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.server.tls import server_tls
from nlsql_gateway.server.users import Users
from nlsql_gateway.wire import downstream
from nlsql_gateway.wire.scram import MAX_MESSAGE, ServerExchange


class Authentication:
    """How clients of one gateway log in: the method, and one reading of the files that it needs."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError: a file cannot be read."""
        self.tls = server_tls(settings.listen.tls)
        self._auth = settings.auth
        self._users: Users | None = None
        if settings.auth.method == "scram-sha-256" and settings.auth.users is not None:
            self._users = users.load(settings.auth.users)

    async def prove(self, pipe: Pipe, login: Login, check: Callable[[], None]) -> None:
        """Have the client prove its user and tell it AuthenticationOk; with ``passthrough`` that is still to come.

        ``check`` is called once more before a proof is looked at: meanwhile others may have failed too often.

        Raises AuthenticationError, ProtocolError, OSError (the client left).
        """
        certificates.check(pipe.peer_certificate, login.user, self._auth)
        match self._auth.method:
            case "trust" | "cert":
                pass
            case "passthrough":
                return  # the upstream asks, and says so: server/passthrough.py
            case "scram-sha-256":
                assert self._users is not None
                end_point = self.tls.end_point if self.tls is not None and pipe.is_encrypted else None
                await scram(pipe, login.user, self._users, end_point, check)
            case _:
                assert_never(self._auth.method)
        pipe.write(downstream.authentication(0))


async def scram(
    pipe: Pipe, user: str, known: Users, end_point: bytes | None, check: Callable[[], None] = lambda: None
) -> None:
    """SCRAM-SHA-256 with the verifiers of the users file, bound to the TLS channel by ``end_point`` where there is one.

    A user who does not exist goes through the same exchange and fails at the same point as a wrong password.
    """
    verifier, exists = known.find(user)
    exchange = ServerExchange(verifier, secrets.token_bytes(18), known=exists, end_point=end_point)
    offered = b"".join(mechanism.encode() + b"\0" for mechanism in exchange.mechanisms)
    pipe.write(downstream.authentication(10, offered + b"\0"))
    mechanism, initial = downstream.parse_sasl_initial(await _password_message(pipe))
    if initial is None:
        pipe.write(downstream.authentication(11))
        initial = await _password_message(pipe)
    pipe.write(downstream.authentication(11, exchange.first(initial, mechanism)))
    proof = await _password_message(pipe)
    check()
    try:
        last = exchange.final(proof)
    except AuthenticationError as error:
        if error.sqlstate != AuthenticationError.default_sqlstate:
            raise
        raise AuthenticationError(f'password authentication failed for user "{user}"') from error
    pipe.write(downstream.authentication(12, last))


async def _password_message(pipe: Pipe) -> bytes:
    """The body of a PasswordMessage, SASLInitialResponse or SASLResponse: they share one type byte."""
    head = await pipe.read(5)
    length: int = struct.unpack("!i", head[1:])[0]
    if head[:1] != b"p" or not 4 <= length <= MAX_MESSAGE:
        raise ProtocolError("expected a SASL response")
    return await pipe.read(length - 4)
