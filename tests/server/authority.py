"""An authority for tests: it makes certificates of every kind and revokes them."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from nlsql_gateway.config import Tls

Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_NOW = datetime.datetime.now(datetime.UTC)
_DAY = datetime.timedelta(days=1)


class Authority:
    """A certificate that signs others, and its files in ``folder``: ``authority.pem``, ``revoked.pem``.

    ``kind`` is that of its key and so of its signatures: ``ec``, ``rsa``, ``rsa-pss`` or ``ed25519``.
    """

    def __init__(
        self, folder: Path, name: str = "test authority", *, kind: str = "ec", hash_: Hash | None = None
    ) -> None:
        self._folder = folder
        self._kind = kind
        self._hash = None if kind == "ed25519" else hash_ or hashes.SHA256()
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._key: Key
        match kind:
            case "ec":
                self._key = ec.generate_private_key(ec.SECP256R1())
            case "ed25519":
                self._key = ed25519.Ed25519PrivateKey.generate()
            case _:
                self._key = rsa.generate_private_key(65537, 2048)
        builder = x509.CertificateBuilder().add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        made = self._signed(builder, self._name, self._key)
        self.file = folder / "authority.pem"
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        self.revoked = folder / "revoked.pem"
        self._revoked = x509.CertificateRevocationListBuilder().issuer_name(self._name).last_update(_NOW - _DAY)
        self.revoke()

    def issue(self, *common_names: str, alternatives: tuple[x509.GeneralName, ...] = (), days: int = 1) -> Path:
        """A certificate, then its key, in one PEM file. ``days`` below zero: it is out of date."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = x509.CertificateBuilder()
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name) for name in common_names])
        made = self._signed(builder, subject, key, days=days)
        file = self._folder / f"{made.serial_number:x}.pem"
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + pem)
        file.chmod(0o600)  # libpq refuses a key that others can read
        return file

    def server(self, **more: object) -> Tls:
        """``listen.tls`` with a new certificate for localhost and 127.0.0.1."""
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        file = self.issue("localhost", alternatives=(x509.DNSName("localhost"), address))
        return Tls(certificate=file, key=file, **more)  # type: ignore[arg-type]  # the test names the keys

    def encrypted_key(self, password: bytes) -> bytes:
        """The authority's own key, in PEM."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password),
        )

    def revoke(self, *files: Path) -> None:
        """Write the list of what is revoked, with these certificates added."""
        for file in files:
            serial = x509.load_pem_x509_certificate(file.read_bytes()).serial_number
            self._revoked = self._revoked.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(_NOW).build()
            )
        made = self._revoked.next_update(_NOW + _DAY).sign(self._key, self._hash)
        self.revoked.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def _signed(
        self, builder: x509.CertificateBuilder, subject: x509.Name, key: Key, *, days: int = 1
    ) -> x509.Certificate:
        builder = (
            builder.subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW - 3 * _DAY)
            .not_valid_after(_NOW + days * _DAY)
        )
        if self._kind == "rsa-pss" and self._hash is not None:
            pss = padding.PSS(mgf=padding.MGF1(self._hash), salt_length=padding.PSS.DIGEST_LENGTH)
            return builder.sign(self._key, self._hash, rsa_padding=pss)
        return builder.sign(self._key, self._hash)
