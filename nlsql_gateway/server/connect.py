"""Open a connection to the upstream: the servers in turn, TLS by sslmode, login, parameters and pins in the startup."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nlsql_gateway.config import Endpoint, Upstream
from nlsql_gateway.errors import AuthenticationError, GatewayError, ProtocolError, UpstreamError
from nlsql_gateway.server.keepalive import keep_alive
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.server.pooled_pipe import PooledPipe
from nlsql_gateway.server.standby import Unsuitable, check_session
from nlsql_gateway.server.upstream_login import Answers, Authenticator, Refused, Service, log_in
from nlsql_gateway.server.upstream_tls import encrypt
from nlsql_gateway.wire import upstream as wire
from nlsql_gateway.wire.messages import Fault

STARTING: Final = "57P03"
"""cannot_connect_now: the one error of a server after which the next is tried, as libpq does."""


@dataclass(frozen=True, slots=True)
class UpstreamConnection:
    pipe: Pipe
    "Behind a pooler in transaction mode a ``PooledPipe``."
    parameters: Mapping[str, str]
    "As the upstream reported them by ParameterStatus."
    key: bytes
    "The body of BackendKeyData, opaque: what a CancelRequest needs; empty when none was given."
    notices: tuple[bytes, ...]
    "Whole NoticeResponses that came before ReadyForQuery."
    endpoint: Endpoint
    "The server of this connection, as the settings name it."

    @property
    def address(self) -> str | None:
        """Of that server; None for a Unix socket."""
        peer = self.pipe.transport.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) and peer else None


class Rejected(UpstreamError):
    """The upstream refused the connection with an error that the client may see, such as 3D000 or 53300."""


async def open_upstream(
    upstream: Upstream,
    password: str | None,
    parameters: Mapping[str, str],
    authenticator: Authenticator | None = None,
) -> UpstreamConnection:
    """A connection that is ready for queries, to the first server that answers and is of the kind asked for.

    ``parameters`` go into the StartupMessage, ``user`` only together with an ``authenticator``: then that logs in, not
    the service role. Each server has ``connect_timeout``. As with libpq, one that answers and refuses ends the search.

    Raises UpstreamError (08006), ``Rejected`` with the upstream's own error, ``Refused`` where an authenticator is
    given. Never tells a client how we log in.
    """
    endpoints = in_order(upstream)
    passes: list[str] = [upstream.target_session_attrs]
    if upstream.target_session_attrs == "prefer-standby":
        passes = ["standby", "any"]
    failures: dict[str, UpstreamError] = {}
    for wanted in passes:
        for endpoint in endpoints:
            try:
                return await _attempt(upstream, endpoint, password, parameters, authenticator, wanted)
            except Rejected as error:
                if error.sqlstate != STARTING:
                    raise
                failures[str(endpoint)] = error
            except LoginRefused:
                raise
            except UpstreamError as error:
                if authenticator is not None and authenticator.has_begun:
                    raise
                failures[str(endpoint)] = error
    raise gave_up(failures)


class LoginRefused(UpstreamError):
    """The server answered, and did not take our login: no other server is tried with it."""


def in_order(upstream: Upstream) -> list[Endpoint]:
    """The servers in the order in which they are tried."""
    endpoints = list(upstream.endpoints)
    if upstream.load_balance_hosts == "random":
        random.shuffle(endpoints)  # to spread the load, not to surprise anybody
    return endpoints


def gave_up(failures: Mapping[str, UpstreamError]) -> UpstreamError:
    """All servers failed: one error, with each one's reason in its detail, which is for the log alone."""
    if len(failures) == 1:
        (only,) = failures.values()
        return only
    reasons = [
        f"{where}: {error.message}" + (f" ({error.detail})" if error.detail else "")
        for where, error in failures.items()
    ]
    return UpstreamError(f"none of the {len(failures)} database servers will do", detail="; ".join(reasons))


async def _attempt(
    upstream: Upstream,
    endpoint: Endpoint,
    password: str | None,
    parameters: Mapping[str, str],
    authenticator: Authenticator | None,
    wanted: str,
) -> UpstreamConnection:
    """One server. Raises UpstreamError, and Refused from a client's own login."""
    try:
        async with asyncio.timeout(upstream.connect_timeout):
            pipe = await _connect(upstream, endpoint, make=PooledPipe if upstream.pooler == "transaction" else Pipe)
            try:
                startup = parameters if authenticator else {"user": upstream.user, **parameters}
                way = authenticator or Service(upstream, password, local=endpoint.is_socket)
                answers = await log_in(pipe, startup, way)
                pinned = upstream.pooler != "none" or "default_transaction_read_only" in parameters
                if upstream.pooler != "none":
                    answers.parameters.pop("in_hot_standby", None)  # a pooler tells what it heard when it began
                await check_session(pipe, answers, wanted, pinned=pinned)
                return _connection(pipe, answers, endpoint)
            except BaseException:
                pipe.abort()
                raise
    except Refused as error:
        if authenticator is not None and error.fault.sqlstate != STARTING:
            raise
        raise _rejected(error.fault) from error
    except TimeoutError as error:
        raise UpstreamError(f"the database did not answer within {upstream.connect_timeout:g} s") from error
    except Unsuitable as error:
        raise UpstreamError(f"the database is not what upstream.target_session_attrs asks for: {error}") from error
    except ssl.SSLError as error:
        raise UpstreamError("TLS with the database failed", detail=error.reason or "") from error
    except ConnectionResetError as error:
        raise UpstreamError("the database closed the connection") from error
    except OSError as error:
        raise UpstreamError("the database cannot be reached", detail=error.strerror or "") from error
    except AuthenticationError as error:
        if authenticator is not None:
            raise
        raise LoginRefused("the login at the database failed", detail=error.message) from error
    except ProtocolError as error:
        raise UpstreamError("the login at the database failed", detail=error.message) from error


def _connection(pipe: Pipe, answers: Answers, endpoint: Endpoint) -> UpstreamConnection:
    return UpstreamConnection(pipe, answers.parameters, answers.key, tuple(answers.notices), endpoint)


async def send_cancel(upstream: Upstream, endpoint: Endpoint, key: bytes, address: str | None = None) -> None:
    """Ask a server to cancel what the connection with ``key`` runs; no answer comes (manual, "Canceling Requests").

    ``address``: of that connection, since behind a name there may be several servers. Raises UpstreamError when it
    cannot be sent.
    """
    try:
        async with asyncio.timeout(upstream.connect_timeout):
            pipe = await _connect(upstream, endpoint, address)
            pipe.write(wire.cancel_request(key))
            try:
                with suppress(ConnectionResetError):  # the server closes when it has signalled
                    await pipe.read(1)
            finally:
                pipe.abort()
    except (OSError, TimeoutError, GatewayError) as error:
        raise UpstreamError("the cancel request could not be sent to the database") from error


async def _connect(
    upstream: Upstream, endpoint: Endpoint, address: str | None = None, make: Callable[[], Pipe] = Pipe
) -> Pipe:
    """A connection to ``endpoint``, at ``address`` where its name is known to have several."""
    loop = asyncio.get_running_loop()
    if endpoint.is_socket:
        _, pipe = await loop.create_unix_connection(make, str(Path(endpoint.host) / f".s.PGSQL.{endpoint.port}"))
        return pipe
    _, pipe = await loop.create_connection(make, address or endpoint.host, endpoint.port)
    try:
        keep_alive(pipe, upstream.keepalive)
        if upstream.sslmode != "disable":
            await encrypt(pipe, upstream, endpoint.host)
    except BaseException:
        pipe.abort()
        raise
    return pipe


def _rejected(fault: Fault) -> UpstreamError:
    if fault.sqlstate.startswith("28"):  # our own login: not the client's business, the operator's log has it
        return LoginRefused("the database refused the gateway's login", detail=fault.text)
    return Rejected(
        fault.text or "the database refused the connection and does not say why",
        detail=fault.fields.get("D", ""),
        hint=fault.fields.get("H", ""),
        sqlstate=fault.sqlstate,
    )
