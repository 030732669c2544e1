"""TLS towards clients: what a certificate file becomes, read once at the start and again at each reload.

A connection keeps the value that it began with; the next one gets the new.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from nlsql_gateway.config import Tls
from nlsql_gateway.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ServerTls:
    """One reading of the files in ``listen.tls``."""

    context: ssl.SSLContext
    required: bool
    "Clients without TLS are refused."


def server_tls(tls: Tls | None) -> ServerTls | None:
    """TLS 1.2 and later with the configured certificate; None without one. Raises ConfigError."""
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"listen.tls: {tls.certificate} with {tls.key}: {error.strerror or error}") from error
    return ServerTls(context, tls.required)
