"""Open a connection to the upstream: TLS by sslmode, login as the service role, parameters and pins in the startup."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from nlsql_gateway.config import Upstream
from nlsql_gateway.errors import AuthenticationError, ProtocolError, UpstreamError
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.wire import upstream as wire
from nlsql_gateway.wire.messages import Fault, parse_fault
from nlsql_gateway.wire.scram import MECHANISM, ClientExchange, md5_password

MESSAGE_LIMIT = 1024 * 1024
"""Bytes of one message before ReadyForQuery."""


@dataclass(frozen=True, slots=True)
class UpstreamConnection:
    pipe: Pipe
    parameters: Mapping[str, str]
    "As the upstream reported them by ParameterStatus."
    key: bytes
    "The body of BackendKeyData: what a CancelRequest needs; empty when none was given."
    notices: tuple[bytes, ...]
    "Whole NoticeResponses that came before ReadyForQuery."


class Rejected(UpstreamError):
    """The upstream refused the connection with an error that the client may see, such as 3D000 or 53300."""


async def open_upstream(upstream: Upstream, password: str | None, parameters: Mapping[str, str]) -> UpstreamConnection:
    """A connection that is ready for queries. ``parameters`` go into the StartupMessage, ``user`` excepted.

    Raises UpstreamError (08006), ``Rejected`` with the upstream's own error. Never tells a client how we log in.
    """
    try:
        async with asyncio.timeout(upstream.connect_timeout):
            pipe = await _connect(upstream)
            try:
                return await _login(pipe, upstream, password, parameters)
            except BaseException:
                pipe.abort()
                raise
    except TimeoutError as error:
        raise UpstreamError(f"the database did not answer within {upstream.connect_timeout:g} s") from error
    except ssl.SSLError as error:
        raise UpstreamError("TLS with the database failed", detail=error.reason or "") from error
    except ConnectionResetError as error:
        raise UpstreamError("the database closed the connection") from error
    except OSError as error:
        raise UpstreamError("the database cannot be reached", detail=error.strerror or "") from error
    except (ProtocolError, AuthenticationError) as error:
        raise UpstreamError("the login at the database failed", detail=error.message) from error


async def send_cancel(upstream: Upstream, key: bytes) -> None:
    """Ask the upstream to cancel what the connection with ``key`` runs; no answer comes (manual, "Canceling Requests").

    Raises UpstreamError when it cannot be sent.
    """
    try:
        async with asyncio.timeout(upstream.connect_timeout):
            pipe = await _connect(upstream)
            pipe.write(wire.cancel_request(key))
            try:
                with suppress(ConnectionResetError):  # the server closes when it has signalled
                    await pipe.read(1)
            finally:
                pipe.abort()
    except (OSError, TimeoutError, ProtocolError) as error:
        raise UpstreamError("the cancel request could not be sent to the database") from error


async def _connect(upstream: Upstream) -> Pipe:
    loop = asyncio.get_running_loop()
    if upstream.host.startswith("/"):
        path = Path(upstream.host) / f".s.PGSQL.{upstream.port}"
        _, pipe = await loop.create_unix_connection(Pipe, str(path))
        return pipe
    _, pipe = await loop.create_connection(Pipe, upstream.host, upstream.port)
    try:
        if upstream.sslmode != "disable":
            await _encrypt(pipe, upstream)
    except BaseException:
        pipe.abort()
        raise
    return pipe


async def _encrypt(pipe: Pipe, upstream: Upstream) -> None:
    """TLS, if the server has it; raises UpstreamError when it has not and ``sslmode`` asks for it."""
    pipe.write(wire.ssl_request())
    answer = await pipe.read(1)
    if pipe.waiting:  # nothing may stand between the answer and the handshake (CVE-2021-23222)
        raise ProtocolError("the upstream sent data before the TLS handshake")
    if answer == b"S":
        context = _context(upstream.sslmode, upstream.root_certificate)
        await pipe.start_tls(context, server_side=False, server_hostname=upstream.host)
    elif answer != b"N":
        raise ProtocolError("the upstream does not answer as a PostgreSQL server does")
    elif upstream.sslmode != "prefer":
        raise UpstreamError("the database does not offer TLS, and upstream.sslmode asks for it")


@lru_cache(maxsize=4)  # reading the system's authorities takes milliseconds, and connections come in bursts
def _context(sslmode: str, root_certificate: Path | None) -> ssl.SSLContext:
    """As libpq's sslmode: prefer and require encrypt without proving who the server is.

    With a root certificate require proves it, as libpq does for compatibility (manual, "SSL Support").
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = sslmode == "verify-full"
    if sslmode == "prefer" or (sslmode == "require" and root_certificate is None):
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        if root_certificate is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(root_certificate)
    except OSError as error:
        raise UpstreamError(
            "TLS with the database failed", detail=f"upstream.root_certificate: {error.strerror or error}"
        ) from error
    return context


async def _login(
    pipe: Pipe, upstream: Upstream, password: str | None, parameters: Mapping[str, str]
) -> UpstreamConnection:
    pipe.write(wire.startup({"user": upstream.user, **parameters}))
    reported: dict[str, str] = {}
    notices: list[bytes] = []
    key = b""
    exchange: ClientExchange | None = None
    while True:
        kind, body, whole = await _read(pipe)
        match kind:
            case b"R":
                code, data = wire.parse_authentication(body)
                exchange = _authenticate(pipe, upstream, password, code, data, exchange)
            case b"S":
                name, value = wire.parse_parameter_status(body)
                reported[name] = value
            case b"K":
                key = body
            case b"N":
                notices.append(whole)
            case b"E":
                raise _rejected(parse_fault(body))
            case b"Z":
                return UpstreamConnection(pipe, reported, key, tuple(notices))
            case b"v":
                continue
            case _:
                raise ProtocolError("an unexpected message during login")


def _authenticate(
    pipe: Pipe, upstream: Upstream, password: str | None, code: int, data: bytes, exchange: ClientExchange | None
) -> ClientExchange | None:
    """Answer one Authentication message (manual, "Message Formats": the code tells which).

    Returns the SCRAM exchange, once there is one.
    """
    if code == 0:
        if exchange is not None and not exchange.verified:  # leaving the proof out must not do
            raise AuthenticationError("it ended the SCRAM exchange without proving who it is")
        return exchange
    if password is None:
        raise AuthenticationError(f"it asks for the password of {upstream.user}, and none is configured")
    encrypted = pipe.is_encrypted or upstream.host.startswith("/")
    match code:
        case 3:
            if not encrypted:
                raise AuthenticationError("it asks for the password in clear text without TLS")
            pipe.write(wire.password(password.encode()))
        case 5:
            pipe.write(wire.password(md5_password(upstream.user, password, data[:4])))
        case 10:
            if MECHANISM.encode() not in data.split(b"\0"):
                raise AuthenticationError("it offers no SASL mechanism that is known here")
            exchange = ClientExchange(password, secrets.token_bytes(18))
            pipe.write(wire.sasl_initial(MECHANISM, exchange.first()))
        case 11 if exchange is not None:
            pipe.write(wire.sasl(exchange.challenge(data)))
        case 12 if exchange is not None:
            exchange.verify(data)
        case _:
            raise AuthenticationError(f"it asks for an authentication method that is not known here ({code})")
    return exchange


async def _read(pipe: Pipe) -> tuple[bytes, bytes, bytes]:
    head = await pipe.read(5)
    length: int = struct.unpack("!i", head[1:])[0]
    if not 4 <= length <= MESSAGE_LIMIT:
        raise ProtocolError("a message of impossible length during login")
    body = await pipe.read(length - 4)
    return head[:1], body, head + body


def _rejected(fault: Fault) -> UpstreamError:
    if fault.sqlstate.startswith("28"):  # our own login: not the client's business, the operator's log has it
        return UpstreamError("the database refused the gateway's login", detail=fault.text)
    return Rejected(
        fault.text, detail=fault.fields.get("D", ""), hint=fault.fields.get("H", ""), sqlstate=fault.sqlstate
    )
