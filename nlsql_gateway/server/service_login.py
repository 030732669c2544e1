"""How the gateway itself logs in to the upstream through asyncpg, and what asyncpg's errors mean."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from nlsql_gateway.config import Endpoint, Upstream
from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.server.connect import STARTING, gave_up, in_order
from nlsql_gateway.server.upstream_tls import context

ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.TargetServerAttributeNotMatched,
    OSError,
    TimeoutError,
)
"""What asyncpg raises."""

STATEMENT_TIMEOUT: Final = 10.0
"""Seconds, kept by the server."""


@dataclass(frozen=True, slots=True)
class ServiceLogin:
    """The gateway's own way in: the servers in turn, as for clients' connections."""

    upstream: Upstream
    password: str | None
    search_path: str | None
    "As the policy pins it; None leaves the role's own."

    def __post_init__(self) -> None:
        """Raises ConfigError when a certificate cannot be read."""
        _ssl(self.upstream, self.upstream.endpoints[0])

    @property
    def opens_with(self) -> str:
        """Sent first in each transaction: what a pooler does not let into the startup message."""
        if self.upstream.pooler == "none":
            return ""
        path = "" if self.search_path is None else f"; SET LOCAL search_path = {self.search_path}"
        return f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT:g}s'{path}"

    async def connect(self, *_: object, **more: Any) -> Any:
        """A connection to the first server that will do; ``more``: asyncpg's, the database among them.

        Raises UpstreamError with each server's reason in its detail.
        """
        failures: dict[str, UpstreamError] = {}
        attributes = self._attributes()
        passes = ("standby", "any") if attributes == "prefer-standby" else (attributes,)
        for wanted in passes:
            for endpoint in in_order(self.upstream):
                try:
                    return await asyncpg.connect(**{**self._arguments(endpoint, wanted), **more})
                except ERRORS as error:
                    failure = translated(error, endpoint, self.upstream)
                    if not (failure.sqlstate.startswith("08") or failure.sqlstate == STARTING):
                        raise failure from error
                    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
                        raise failure from error
                    failures[str(endpoint)] = failure
        raise gave_up(failures)

    def _attributes(self) -> str:
        """These sessions are read only by our own doing, so what is meant can only be the server's part."""
        same: dict[str, str] = {"read-write": "primary", "read-only": "standby"}
        return same.get(self.upstream.target_session_attrs, self.upstream.target_session_attrs)

    def _arguments(self, endpoint: Endpoint, wanted: str) -> dict[str, Any]:
        """For asyncpg. All are given: it looks for none in the environment or in ~/.pgpass."""
        settings = {"application_name": "nlsql-gateway"}
        if self.upstream.pooler == "none":
            settings["default_transaction_read_only"] = "on"
            settings["statement_timeout"] = f"{STATEMENT_TIMEOUT:g}s"
            if self.search_path is not None:
                settings["search_path"] = self.search_path
        return {
            "host": endpoint.host,
            "port": endpoint.port,
            "user": self.upstream.user,
            "password": self.password or "",
            "ssl": _ssl(self.upstream, endpoint),
            "timeout": self.upstream.connect_timeout,
            "statement_cache_size": 0,  # a pooler behind us may hand each transaction another server connection
            "server_settings": settings,
            "target_session_attrs": wanted,
        }


def _ssl(upstream: Upstream, endpoint: Endpoint) -> ssl.SSLContext | str | bool:
    """As libpq's sslmode (PostgreSQL manual, "SSL Support")."""
    if endpoint.is_socket or upstream.sslmode == "disable":
        return False
    if upstream.sslmode == "prefer" and upstream.certificate is None:
        return "prefer"
    return context(upstream)


def translated(error: Exception, endpoint: Endpoint, upstream: Upstream) -> UpstreamError:
    """What asyncpg raised, in our words; PostgreSQL's own errors keep theirs, but the detail: it may hold values."""
    where = str(endpoint)
    match error:
        case UpstreamError():
            return error
        case asyncpg.InvalidAuthorizationSpecificationError():
            return UpstreamError(
                f"the upstream refused the login of role {upstream.user}",
                hint="see upstream.user, its password and pg_hba.conf",
            )
        case asyncpg.PostgresError() if error.sqlstate and not error.sqlstate.startswith("08"):
            return UpstreamError(error.message or str(error), hint=error.hint or "", sqlstate=error.sqlstate)
        case TimeoutError():
            return UpstreamError(f"the upstream at {where} did not answer in time")
        case asyncpg.PostgresError() | ConnectionResetError():
            return UpstreamError(f"the connection to the upstream at {where} was lost")
        case ssl.SSLError():
            return UpstreamError(f"TLS with the upstream at {where} failed: {error.reason or error}")
        case _:
            reason = str(error).partition("\n")[0]  # asyncpg adds hints for its own callers
            return UpstreamError(f"the upstream at {where} cannot be reached: {reason}")
