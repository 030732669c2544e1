"""Client certificates: whose they are. TLS has found them good by then, or ended the handshake.

PostgreSQL manual, "Certificate Authentication" and "User Name Maps".
"""

from __future__ import annotations

from cryptography import x509

from nlsql_gateway.config import Auth
from nlsql_gateway.errors import AuthenticationError


def names(der: bytes, where: str) -> tuple[str, ...]:
    """The names in a certificate that may be a user: ``where`` is ``cn`` or ``san``.

    Two common names would be two things to two readers, so then there is none.
    """
    certificate = x509.load_der_x509_certificate(der)
    if where == "cn":
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return tuple(str(name.value) for name in common) if len(common) == 1 else ()
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    kinds = (x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier)
    return tuple(str(name.value) for name in alternatives if isinstance(name, kinds))


def check(der: bytes | None, user: str, auth: Auth) -> None:
    """Hold the certificate of ``user`` to what ``auth`` asks for. Raises AuthenticationError (28000)."""
    if not auth.needs_certificate:
        return
    if der is None:
        raise AuthenticationError("connection requires a valid client certificate", sqlstate="28000")
    if auth.method != "cert" and auth.clientcert != "verify-full":
        return
    try:
        found = names(der, auth.certificate_name)
    except ValueError:  # OpenSSL takes what cryptography holds to be malformed
        found = ()
    if not any(user in _users_of(name, auth) for name in found):
        raise AuthenticationError(
            f'certificate authentication failed for user "{user}"',
            detail=f"names in the certificate ({auth.certificate_name}): {', '.join(found) or 'none'}",  # for the log
            sqlstate="28000",
        )


def _users_of(name: str, auth: Auth) -> list[str]:
    if not auth.certificate_map:
        return [name]
    users = auth.certificate_map.get(name, [])
    return [users] if isinstance(users, str) else users
