"""TLS towards clients: what the files in ``listen.tls`` become, read once at the start and again at each reload.

A connection keeps the reading that it began with; the next one gets the new. The name that a client asks for (SNI)
changes nothing: there is one certificate. PostgreSQL manual, "Secure TCP/IP Connections with SSL".
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from nlsql_gateway.config import Tls
from nlsql_gateway.errors import ConfigError

ALPN: Final = "postgresql"
"""The protocol's name in a TLS handshake (manual, "SSL Session Encryption")."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """One reading of the files in ``listen.tls``."""

    context: ssl.SSLContext
    required: bool
    "Clients without TLS are refused."
    end_point: bytes | None
    "The certificate's hash for channel binding; None: it has none, so channel binding is not offered."


def server_tls(tls: Tls | None) -> ServerTls | None:
    """TLS 1.2 and later with the configured certificate; None without one. Raises ConfigError."""
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ALPN])
    # As PostgreSQL: no session is taken up again, so that every connection is held to the files as they are now.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    try:
        # Without a password OpenSSL would ask for that of an encrypted key on the terminal.
        context.load_cert_chain(tls.certificate, tls.key, password="")
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"listen.tls: {tls.certificate} with {tls.key}: {error.strerror or error}") from error
    if tls.client_ca is not None:
        _load(context, "client_ca", tls.client_ca)
        # Asked for but not demanded: which client needs one is for authentication to say. A bad one ends the handshake.
        context.verify_mode = ssl.CERT_OPTIONAL
    if tls.client_crl is not None:
        _load(context, "client_crl", tls.client_crl)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    return ServerTls(context, tls.required, end_point(certificate(tls)))


def _load(context: ssl.SSLContext, key: str, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except OSError as error:
        raise ConfigError(f"listen.tls.{key}: {path}: {error.strerror or error}") from error


def certificate(tls: Tls) -> x509.Certificate:
    """The server's own certificate, the first of its file. Raises ConfigError."""
    try:
        return x509.load_pem_x509_certificate(tls.certificate.read_bytes())
    except OSError as error:
        raise ConfigError(f"listen.tls.certificate: {tls.certificate}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"listen.tls.certificate: {tls.certificate}: not a PEM certificate") from error


def end_point(certificate: x509.Certificate) -> bytes | None:
    """The data of the channel binding ``tls-server-end-point`` (RFC 5929, section 4.1).

    The certificate's hash by the function of its own signature, SHA-256 in the place of MD5 and SHA-1. A signature that
    has no such function, as that of Ed25519, leaves it undefined: None.
    """
    try:
        function = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return None
    if function is None:
        return None
    return certificate.fingerprint(hashes.SHA256() if function.name in ("md5", "sha1") else function)
