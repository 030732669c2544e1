"""Opening: a client that is logged in, or logs in at the upstream, gets its upstream connection, pins in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from nlsql_gateway.config import Settings
from nlsql_gateway.errors import AuthenticationError, ProtocolError, UpstreamError
from nlsql_gateway.policy import Policy, startup_settings
from nlsql_gateway.server import pooling
from nlsql_gateway.server.connect import Rejected, UpstreamConnection, open_upstream
from nlsql_gateway.server.gate import Gate
from nlsql_gateway.server.login import Login
from nlsql_gateway.server.passthrough import Passthrough
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.server.pooled_pipe import PooledPipe
from nlsql_gateway.server.responses import PINNED, check_parameter
from nlsql_gateway.wire import upstream as wire
from nlsql_gateway.wire.messages import fault


class Opening:
    """One for a gateway."""

    def __init__(self, settings: Settings, policy: Callable[[], Policy], gate: Gate) -> None:
        self._gate = gate
        self._settings = settings
        self._password = settings.upstream.password()
        self._policy = policy

    async def open(self, pipe: Pipe, login: Login, log: structlog.stdlib.BoundLogger) -> UpstreamConnection:
        """``pipe``: the client's, which is told of its login where that is the upstream's to decide.

        Raises AuthenticationError, UpstreamError, ProtocolError; ``Refused`` with what the upstream says to the client.
        """
        policy = self._policy()
        policy = policy.timed(policy.principal(login.user))
        settings = startup_settings(login.parameters, policy)
        if settings.refused:
            names = ", ".join(sorted(settings.refused))
            raise AuthenticationError(f"parameter {names} may not be set at connection start", sqlstate="42501")
        wanted = settings.sent
        if not self._gate.passes() and wanted.get("client_encoding", "SQL_ASCII").upper() == "SQL_ASCII":
            wanted["client_encoding"] = PINNED["client_encoding"]  # a database of another encoding has another default
        try:
            upstream = await self._connected(pipe, login, wanted, policy)
        except Rejected:
            raise
        except UpstreamError as error:
            log.error("upstream unavailable", problem=error.message, detail=error.detail)
            raise
        try:
            if not self._gate.passes():
                for name, value in upstream.parameters.items():
                    check_parameter(name, value)
        except ProtocolError:
            upstream.pipe.abort()
            raise
        if settings.ignored:
            names = ", ".join(sorted(set(settings.ignored)))
            warning = fault("WARNING", "01000", f"parameter {names} may not be set here and was ignored")
            upstream = replace(upstream, notices=(*upstream.notices, warning.encode(b"N")))
        return upstream

    async def _connected(self, pipe: Pipe, login: Login, wanted: dict[str, str], policy: Policy) -> UpstreamConnection:
        pooler = self._settings.upstream.pooler
        sent, left = (wanted, {}) if pooler == "none" or policy.pass_through else pooling.split(wanted)
        upstream = await self._logged_in(pipe, login, {**sent, "database": login.database})
        if policy.pass_through or pooler == "none":
            return upstream
        try:
            if pooler == "session":
                await self._in_session_mode(upstream.pipe, policy, left)
            else:
                assert isinstance(upstream.pipe, PooledPipe)
                pinned = {name: value for name, value in policy.pins.items() if name not in left}
                upstream.pipe.guard(pooling.prefix({**pinned, **left}))
        except BaseException:
            upstream.pipe.abort()
            raise
        return upstream

    async def _in_session_mode(self, pipe: Pipe, policy: Policy, settings: dict[str, str]) -> None:
        """The pins must be the reset values already; what the client wants beside them is set now."""
        try:
            found = await pooling.not_in_force(pipe, policy.pins)
            if found:
                raise pooling.unpinned(found)
            for name, value in settings.items():
                if name not in policy.pins or value != policy.pins[name]:
                    await pooling.put(pipe, name, value)
        except OSError as error:
            raise UpstreamError("the database closed the connection") from error

    async def _logged_in(self, pipe: Pipe, login: Login, parameters: dict[str, str]) -> UpstreamConnection:
        upstream = self._settings.upstream
        if self._settings.auth.method != "passthrough":
            return await open_upstream(upstream, self._password, parameters)
        if upstream.target_session_attrs != "any":
            # The client can prove itself to one server only: the service role finds out which.
            service = await open_upstream(upstream, self._password, {"database": login.database})
            service.pipe.write(wire.terminate())
            service.pipe.close(1)
            found = {"hosts": (service.endpoint,), "target_session_attrs": "any"}
            upstream = upstream.model_copy(update=found)
        client = Passthrough(pipe, local=all(endpoint.is_socket for endpoint in upstream.endpoints))
        return await open_upstream(upstream, None, {"user": login.user, **parameters}, client)
