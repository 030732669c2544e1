"""How the gateway itself logs in to the upstream through asyncpg, and what asyncpg's errors mean."""

from __future__ import annotations

import ssl
from typing import Any, Final

import asyncpg

from nlsql_gateway.config import Upstream
from nlsql_gateway.errors import ConfigError, UpstreamError

STATEMENT_TIMEOUT: Final = 10.0
"""Seconds, kept by the server."""


def connect_arguments(upstream: Upstream, password: str | None, search_path: str | None) -> dict[str, Any]:
    """For asyncpg, the database excepted. All are given: it looks for none in the environment or in ~/.pgpass.

    Raises ConfigError when the root certificate cannot be read.
    """
    settings = {
        "application_name": "nlsql-gateway",
        "default_transaction_read_only": "on",
        "statement_timeout": f"{STATEMENT_TIMEOUT:g}s",
    }
    if search_path is not None:
        settings["search_path"] = search_path
    return {
        "host": upstream.host,
        "port": upstream.port,
        "user": upstream.user,
        "password": password or "",
        "ssl": _ssl(upstream),
        "timeout": upstream.connect_timeout,
        "statement_cache_size": 0,  # a pooler behind us may hand each transaction another server connection
        "server_settings": settings,
        "target_session_attrs": "any",
    }


def _ssl(upstream: Upstream) -> ssl.SSLContext | str | bool:
    """As libpq's sslmode (PostgreSQL manual, "SSL Support")."""
    if upstream.host.startswith("/") or upstream.sslmode == "disable":
        return False
    if upstream.sslmode == "prefer":
        return "prefer"
    try:
        context = ssl.create_default_context(cafile=upstream.root_certificate)
    except OSError as error:  # ssl.SSLError is one: a file that is no certificate
        raise ConfigError(
            f"upstream.root_certificate: {upstream.root_certificate}: {error.strerror or 'not a PEM certificate'}"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = upstream.sslmode == "verify-full"
    if upstream.sslmode == "require":
        context.verify_mode = ssl.CERT_NONE
    return context


def translated(error: Exception, upstream: Upstream) -> UpstreamError:
    """What asyncpg raised, in our words; PostgreSQL's own errors keep theirs, but the detail: it may hold values."""
    where = f"{upstream.host} port {upstream.port}"
    match error:
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
