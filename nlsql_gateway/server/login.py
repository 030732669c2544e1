"""Login: from the first byte of a client to who it says it is. ``authenticate`` has it prove that.

Nothing of the upstream is touched before.

PostgreSQL manual, "Message Flow", "Start-up", "SSL Session Encryption" and "GSSAPI Session Encryption".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nlsql_gateway.errors import AuthenticationError, ProtocolError
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.server.tls import ServerTls
from nlsql_gateway.wire import downstream
from nlsql_gateway.wire.framing import startup_length


@dataclass(frozen=True, slots=True)
class Login:
    """Who a client says it is and what it wants; it waits for an authentication request."""

    user: str
    database: str
    parameters: Mapping[str, str]
    "Of the startup message: all but user, database and protocol options."
    minor: int
    "Of the protocol version 3 that is spoken from here on."

    @property
    def key_length(self) -> int:
        """Bytes of the secret in its cancel key (manual, "BackendKeyData")."""
        return 4


async def first_packets(pipe: Pipe, tls: ServerTls | None) -> downstream.Startup | downstream.CancelRequest:
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
                await pipe.start_tls(tls.context, server_side=True)
                encrypted = True
            case downstream.GssEncRequest():
                if asked_gss or encrypted:
                    raise ProtocolError("a second GSSENCRequest")
                asked_gss = True
                pipe.write(b"N")
            case downstream.CancelRequest():
                return packet
            case downstream.Startup():
                if tls is not None and tls.required and not encrypted:
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
    return Login(user, startup.parameters.get("database") or user, rest, 0)
