"""Login: from the first byte of a client to who it says it is. ``authenticate`` has it prove that.

Nothing of the upstream is touched before.

PostgreSQL manual, "Message Flow", "Start-up", "SSL Session Encryption" and "GSSAPI Session Encryption".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nlsql_gateway.errors import AuthenticationError, ProtocolError
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.server.tls import ALPN, ServerTls
from nlsql_gateway.wire import downstream
from nlsql_gateway.wire.framing import startup_length

NEWEST_MINOR: Final = 2
"""Of protocol 3. Nothing but the length of cancel keys changed since 3.0, and 3.1 is 3.0 by another name: PostgreSQL
speaks it with whoever asks, so that poolers which once claimed it do no harm (manual, "Protocol Versions")."""

TLS_HANDSHAKE: Final = b"\x16"
"""The type of the first TLS record (RFC 8446, section 5.1). No startup packet is that long."""


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
        """Bytes of the secret in its cancel key (manual, "BackendKeyData").

        Protocol 3.2 allows 256; PostgreSQL uses 32 and leaves the rest to programs in between.
        """
        return 32 if self.minor >= 2 else 4


async def first_packets(pipe: Pipe, tls: ServerTls | None) -> downstream.Startup | downstream.CancelRequest:
    """Take up or answer the wish for encryption, each at most once, and return what the client really wants.

    A first byte that begins a TLS handshake is direct TLS: it needs the ALPN ``postgresql``.

    Raises ProtocolError, AuthenticationError (28000: TLS is required), OSError (the client left, no handshake).
    """
    head = await pipe.read(1)
    if tls is not None and head == TLS_HANDSHAKE:
        await pipe.start_direct_tls(tls.context, head)
        head = b""
        if pipe.alpn != ALPN:
            # Without it, bytes that a browser was made to send to another server could be replayed to this one.
            raise ProtocolError("received direct SSL connection request without ALPN protocol negotiation extension")
    asked: set[type[downstream.FirstPacket]] = set()
    while True:
        head += await pipe.read(4 - len(head))
        packet = downstream.parse_first(await pipe.read(startup_length(head) - 4))
        head = b""
        match packet:
            case downstream.SslRequest() | downstream.GssEncRequest():
                what = "SSL" if isinstance(packet, downstream.SslRequest) else "GSSAPI encryption"
                if type(packet) in asked or pipe.is_encrypted:
                    raise ProtocolError(f"{what} was requested twice, or within TLS")
                asked.add(type(packet))
                accepted = tls is not None and isinstance(packet, downstream.SslRequest)
                if not accepted:
                    pipe.write(b"N")
                if pipe.waiting:
                    # What came in clear before the handshake could be somebody else's (CVE-2021-23214).
                    raise ProtocolError(f"received unencrypted data after {what} request")
                if tls is not None and accepted:
                    pipe.write(b"S")
                    await pipe.start_tls(tls.context, server_side=True)
            case downstream.CancelRequest():
                return packet
            case downstream.Startup():
                if tls is not None and tls.required and not pipe.is_encrypted:
                    raise AuthenticationError(
                        "TLS is required here", hint="connect with sslmode=require", sqlstate="28000"
                    )
                return packet


def checked(startup: downstream.Startup, pipe: Pipe) -> Login:
    """The startup message as a login to be proven. Answers an unknown protocol version as the manual says.

    Raises ProtocolError (0A000, 08P01), AuthenticationError (28000), OSError (of protocol 1 or 2, and told).
    """
    if startup.major != 3:
        problem = (
            f"unsupported frontend protocol {startup.major}.{startup.minor}: server supports 3.0 to 3.{NEWEST_MINOR}"
        )
        if startup.major in (1, 2):  # it knows no ErrorResponse yet
            pipe.write(downstream.text_error(problem))
            raise ConnectionAbortedError(problem)
        raise ProtocolError(problem, sqlstate="0A000")
    minor = min(startup.minor, NEWEST_MINOR)
    if minor < startup.minor or startup.unknown_options:
        pipe.write(downstream.negotiate_version(minor, startup.unknown_options))
    user = startup.parameters.get("user", "")
    if not user:
        raise AuthenticationError("no PostgreSQL user name specified in startup packet", sqlstate="28000")
    _refuse_replication(startup.parameters.get("replication", "off").lower())
    rest = {
        name: value
        for name, value in startup.parameters.items()
        if name not in ("user", "database", "replication") and not name.startswith("_pq_.")
    }
    return Login(user, startup.parameters.get("database") or user, rest, minor)


def _refuse_replication(value: str) -> None:
    """Manual, "StartupMessage": a Boolean, which may be cut short as anywhere in PostgreSQL, or ``database``."""

    def may_be(*words: str) -> bool:
        return any(word.startswith(value) for word in words) and value not in ("", "o")

    if may_be("false", "no", "off", "0"):
        return
    if value == "database" or may_be("true", "yes", "on", "1"):
        raise AuthenticationError("replication connections are not supported", sqlstate="28000")
    raise AuthenticationError(f'invalid value for parameter "replication": "{value}"', sqlstate="22023")
