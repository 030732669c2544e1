"""Login: from the first byte of a client to who it is. Nothing of the upstream is touched before that is known.

PostgreSQL manual, "Message Flow", "Start-up", "SSL Session Encryption" and "GSSAPI Session Encryption".
"""

from __future__ import annotations

import secrets
import ssl
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nlsql_gateway.errors import AuthenticationError, ProtocolError
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.wire import downstream
from nlsql_gateway.wire.framing import startup_length
from nlsql_gateway.wire.scram import MAX_MESSAGE, MECHANISM, ServerExchange, Verifier

_MOCK_SECRET = secrets.token_bytes(32)


@dataclass(frozen=True, slots=True)
class Login:
    """A client that has shown who it is; it still waits for ReadyForQuery."""

    user: str
    database: str
    parameters: Mapping[str, str]
    "Of the startup message: all but user, database and protocol options."
    encrypted: bool


async def first_packets(
    pipe: Pipe, tls: ssl.SSLContext | None, *, tls_required: bool
) -> downstream.Startup | downstream.CancelRequest:
    """Answer the requests for encryption, each at most once, and return what the client really wants.

    Raises ProtocolError, AuthenticationError (28000: TLS is required), OSError (the client left, no handshake).
    """
    asked_ssl = asked_gss = encrypted = False
    while True:
        head = await pipe.read(4)
        packet = downstream.parse_first(await pipe.read(startup_length(head) - 4))
        match packet:
            case downstream.SslRequest():
                if asked_ssl or encrypted:
                    raise ProtocolError("a second SSLRequest")
                asked_ssl = True
                if tls is None:
                    pipe.write(b"N")
                    continue
                if pipe.waiting:
                    # What came in clear before the handshake could be somebody else's (CVE-2021-23214).
                    raise ProtocolError("received unencrypted data after SSL request")
                pipe.write(b"S")
                await pipe.start_tls(tls, server_side=True)
                encrypted = True
            case downstream.GssEncRequest():
                if asked_gss or encrypted:
                    raise ProtocolError("a second GSSENCRequest")
                asked_gss = True
                pipe.write(b"N")
            case downstream.CancelRequest():
                return packet
            case downstream.Startup():
                if tls_required and not encrypted:
                    raise AuthenticationError(
                        "TLS is required here", hint="connect with sslmode=require", sqlstate="28000"
                    )
                return packet


def checked(startup: downstream.Startup, pipe: Pipe) -> Login:
    """The startup message as a login to be proven. Answers an unknown protocol version as the manual says.

    Raises ProtocolError (0A000, 08P01), AuthenticationError (28000).
    """
    if startup.major != 3:
        raise ProtocolError(
            f"unsupported frontend protocol {startup.major}.{startup.minor}: server supports 3.0", sqlstate="0A000"
        )
    if startup.minor > 0 or startup.unknown_options:
        pipe.write(downstream.negotiate_version(0, startup.unknown_options))
    user = startup.parameters.get("user", "")
    if not user:
        raise AuthenticationError("no PostgreSQL user name specified in startup packet", sqlstate="28000")
    if startup.parameters.get("replication", "false").lower() not in ("false", "off", "no", "0"):
        raise AuthenticationError("replication connections are not supported", sqlstate="28000")
    rest = {
        name: value
        for name, value in startup.parameters.items()
        if name not in ("user", "database", "replication") and not name.startswith("_pq_.")
    }
    return Login(user, startup.parameters.get("database") or user, rest, pipe.is_encrypted)


async def prove(pipe: Pipe, user: str, verifier: Callable[[str], Verifier | None] | None) -> None:
    """Have the client prove that it is ``user``; ``verifier`` None trusts it.

    Raises AuthenticationError, ProtocolError. A user who does not exist goes through the same exchange and fails at the
    same point as a wrong password.
    """
    if verifier is not None:
        known = verifier(user)
        exchange = ServerExchange(
            known or Verifier.mock(user, _MOCK_SECRET), secrets.token_bytes(18), known=known is not None
        )
        pipe.write(downstream.authentication(10, MECHANISM.encode() + b"\0\0"))
        mechanism, initial = downstream.parse_sasl_initial(await _password_message(pipe))
        if mechanism != MECHANISM:
            raise ProtocolError("client selected an invalid SASL authentication mechanism")
        pipe.write(downstream.authentication(11, exchange.first(initial)))
        try:
            last = exchange.final(await _password_message(pipe))
        except AuthenticationError as error:
            raise AuthenticationError(f'password authentication failed for user "{user}"') from error
        pipe.write(downstream.authentication(12, last))
    pipe.write(downstream.authentication(0))


async def _password_message(pipe: Pipe) -> bytes:
    head = await pipe.read(5)
    length: int = struct.unpack("!i", head[1:])[0]
    if head[:1] != b"p" or not 4 <= length <= MAX_MESSAGE:
        raise ProtocolError("expected a SASL response")
    return await pipe.read(length - 4)
