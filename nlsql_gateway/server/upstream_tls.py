"""TLS towards the upstream, for clients' connections and for the gateway's own: libpq's sslmode as a context."""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import Final

from cryptography import x509

from nlsql_gateway.config import Upstream
from nlsql_gateway.errors import ConfigError, ProtocolError, UpstreamError
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.server.tls import end_point
from nlsql_gateway.wire import upstream as wire

_KEPT: Final = 4


@lru_cache(maxsize=_KEPT)  # reading the system's authorities takes milliseconds, and connections come in bursts
def context(upstream: Upstream) -> ssl.SSLContext:
    """As libpq's sslmode: prefer and require encrypt without proving who the server is.

    With a root certificate require proves it, as libpq does for compatibility (manual, "SSL Support"). Raises
    ConfigError: a file cannot be read.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.check_hostname = upstream.sslmode == "verify-full"
    if upstream.certificate is not None:
        try:
            made.load_cert_chain(upstream.certificate, upstream.key, password="")  # never ask on the terminal
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(
                f"upstream.certificate: {upstream.certificate} with {upstream.key}: {error.strerror or error}"
            ) from error
    if upstream.sslmode == "prefer" or (upstream.sslmode == "require" and upstream.root_certificate is None):
        made.verify_mode = ssl.CERT_NONE
        return made
    try:
        if upstream.root_certificate is None:
            made.load_default_certs()
        else:
            made.load_verify_locations(upstream.root_certificate)
    except OSError as error:
        raise ConfigError(
            f"upstream.root_certificate: {upstream.root_certificate}: {error.strerror or 'not a PEM certificate'}"
        ) from error
    return made


async def encrypt(pipe: Pipe, upstream: Upstream, host: str) -> None:
    """TLS, if the server has it; raises UpstreamError when it has not and ``sslmode`` asks for it."""
    pipe.write(wire.ssl_request())
    answer = await pipe.read(1)
    if pipe.waiting:  # nothing may stand between the answer and the handshake (CVE-2021-23222)
        raise ProtocolError("the upstream sent data before the TLS handshake")
    if answer == b"S":
        try:
            made = context(upstream)
        except ConfigError as error:
            raise UpstreamError("TLS with the database failed", detail=error.message) from error
        await pipe.start_tls(made, server_side=False, server_hostname=host)
    elif answer != b"N":
        raise ProtocolError("the upstream does not answer as a PostgreSQL server does")
    elif upstream.sslmode != "prefer":
        raise UpstreamError("the database does not offer TLS, and upstream.sslmode asks for it")


def channel(pipe: Pipe) -> bytes | None:
    """The data of the channel binding to the server's certificate; None: no TLS, or no binding for that certificate.

    Works where the certificate was not verified too: what is bound is the one that the server showed.
    """
    shown = pipe.peer_certificate
    if shown is None:
        return None
    try:
        return end_point(x509.load_der_x509_certificate(shown))
    except ValueError:  # one that OpenSSL takes and cryptography does not
        return None
