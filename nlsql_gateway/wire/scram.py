"""SCRAM-SHA-256 for both sides, and md5, without IO or randomness of its own.

RFC 5802 and RFC 7677, with the particulars of the PostgreSQL manual, "SASL Authentication": the user name in the
client's first message is ignored (the startup message has it), a password that SASLprep rejects is used raw.

Channel binding is ``tls-server-end-point`` alone, in the mechanism SCRAM-SHA-256-PLUS. A client begins with a flag:
``p=`` it binds; ``y`` it could, but was not offered it: when it was, somebody in between took the offer away, and the
login fails; ``n`` it cannot or need not, and is welcome, as with PostgreSQL.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import stringprep
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from nlsql_gateway.errors import AuthenticationError, ProtocolError

MECHANISM: Final = "SCRAM-SHA-256"
MECHANISM_PLUS: Final = "SCRAM-SHA-256-PLUS"
_BINDING: Final = "p=tls-server-end-point"

ITERATIONS: Final = 4096
"""PostgreSQL's scram_iterations."""

MAX_MESSAGE: Final = 4096
"""Bytes of a SASL message that we read; PostgreSQL's own are a few hundred."""

MAX_ITERATIONS: Final = 1_000_000
"""A server that asks a client for more would make it compute for seconds."""

_KEY_LENGTH = 32

_NONCE = re.compile(r"[\x21-\x2b\x2d-\x7e]+")
"""RFC 5802, section 7: ``printable``, so no comma."""

_COUNT = re.compile(r"[1-9][0-9]{0,6}")


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a server keeps instead of a password; ``str()`` is PostgreSQL's ``rolpassword``."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>``. Raises ValueError."""
        try:
            mechanism, cost, keys = text.split("$")
            iterations, salt = cost.split(":")
            stored, server = keys.split(":")
            verifier = cls(_count(iterations), _decode64(salt), _decode64(stored), _decode64(server))
        except ValueError as error:
            raise ValueError("not a SCRAM-SHA-256 verifier") from error
        if mechanism != MECHANISM:
            raise ValueError("not a SCRAM-SHA-256 verifier")
        if len(verifier.stored_key) != _KEY_LENGTH or len(verifier.server_key) != _KEY_LENGTH:
            raise ValueError("not a SCRAM-SHA-256 verifier")
        return verifier

    @classmethod
    def build(cls, password: str, salt: bytes, iterations: int = ITERATIONS) -> Self:
        """The verifier of ``password``; ``salt`` is 16 random bytes."""
        salted = _salted(password, salt, iterations)
        return cls(iterations, salt, _sha256(_hmac(salted, b"Client Key")), _hmac(salted, b"Server Key"))

    @classmethod
    def mock(cls, user: str, secret: bytes, shapes: Sequence[tuple[int, int]] = ((ITERATIONS, 16),)) -> Self:
        """For a user that does not exist: always the same salt for a name, and keys that no password has.

        ``secret`` is the server's own, of a fixed length, and stays. ``shapes``: (iterations, bytes of salt) that users
        who exist have; the name chooses one. As PostgreSQL's mock authentication.
        """
        longest = max(size for _, size in shapes)
        stream = hashlib.shake_256(secret + user.encode("utf-8", "surrogateescape")).digest(65 + longest)
        iterations, size = shapes[stream[0] % len(shapes)]
        return cls(iterations, stream[65 : 65 + size], stream[1:33], stream[33:65])

    def __str__(self) -> str:
        return (
            f"{MECHANISM}${self.iterations}:{_encode64(self.salt)}"
            f"${_encode64(self.stored_key)}:{_encode64(self.server_key)}"
        )


class ServerExchange:
    """The server's half of one exchange: ``first`` then ``final``, each once; a new guess needs a new exchange.

    ``known`` False with a mock verifier: it fails at the end like a wrong password, as late and as slowly.
    ``nonce`` is 18 random bytes. ``end_point`` is the channel's binding data, when the server can bind.
    """

    def __init__(self, verifier: Verifier, nonce: bytes, *, known: bool = True, end_point: bytes | None = None) -> None:
        self.mechanisms = (MECHANISM,) if end_point is None else (MECHANISM_PLUS, MECHANISM)
        "To be offered, the preferred one first."
        self._end_point = end_point
        self._verifier = verifier
        self._known = known
        self._own_nonce = _encode64(nonce)
        self._nonce = ""
        self._binding = b""
        self._first_bare = ""
        self._server_first = ""
        self._over = False

    def first(self, client_first: bytes, mechanism: str = MECHANISM) -> bytes:
        """The answer to client-first-message of the chosen mechanism. Raises ProtocolError, AuthenticationError."""
        if self._server_first:
            raise ProtocolError("SCRAM messages out of order")
        if mechanism not in self.mechanisms:
            raise ProtocolError("client selected an invalid SASL authentication mechanism")
        text = _text(client_first)
        parts = text.split(",", 2)
        if len(parts) != 3:
            raise ProtocolError("malformed SCRAM message")
        flag, authorization, bare = parts
        self._binding = f"{flag},,".encode() + self._channel(flag, mechanism)
        if authorization:
            raise AuthenticationError("a SCRAM authorization identity is not supported", sqlstate="0A000")
        fields = bare.split(",")
        if fields[0].startswith("m="):
            raise AuthenticationError("a SCRAM extension is not supported", sqlstate="0A000")
        if len(fields) < 2 or not fields[0].startswith("n=") or not fields[1].startswith("r="):
            raise ProtocolError("malformed SCRAM message")
        if not _NONCE.fullmatch(fields[1], 2):
            raise ProtocolError("malformed SCRAM message")
        self._first_bare = bare
        self._nonce = fields[1][2:] + self._own_nonce
        self._server_first = f"r={self._nonce},s={_encode64(self._verifier.salt)},i={self._verifier.iterations}"
        return self._server_first.encode()

    def _channel(self, flag: str, mechanism: str) -> bytes:
        """What the client must bind to, by its flag. Raises ProtocolError, AuthenticationError."""
        if mechanism == MECHANISM_PLUS:
            if flag == _BINDING and self._end_point is not None:
                return self._end_point
            if flag.startswith("p="):
                raise ProtocolError("unsupported SCRAM channel-binding type")
            raise ProtocolError("malformed SCRAM message: channel binding was selected and left out")
        if flag == "y" and self._end_point is not None:
            raise AuthenticationError(
                "SCRAM channel binding negotiation error",
                hint="The client supports SCRAM channel binding but thinks the server does not.",
                sqlstate="28000",
            )
        if flag not in ("n", "y"):
            raise ProtocolError("malformed SCRAM message: channel binding without the mechanism that has it")
        return b""

    def final(self, client_final: bytes) -> bytes:
        """The answer to client-final-message: the client is who it says. Raises ProtocolError, AuthenticationError."""
        if not self._server_first or self._over:
            raise ProtocolError("SCRAM messages out of order")
        self._over = True
        text = _text(client_final)
        without_proof, separator, proof_text = text.rpartition(",p=")
        fields = without_proof.split(",")
        if not separator or len(fields) < 2:
            raise ProtocolError("malformed SCRAM message")
        if fields[0] != "c=" + _encode64(self._binding):
            if self._binding.startswith(b"p="):
                raise AuthenticationError("SCRAM channel binding check failed", sqlstate="28000")
            raise ProtocolError("unexpected channel-binding attribute in client-final-message")
        if fields[1] != "r=" + self._nonce:
            raise ProtocolError("invalid SCRAM response: nonce does not match")
        try:
            proof = _decode64(proof_text)
        except ValueError as error:
            raise ProtocolError("malformed SCRAM message") from error
        message = f"{self._first_bare},{self._server_first},{without_proof}".encode()
        signature = _hmac(self._verifier.stored_key, message)
        client_key = _xor(proof, signature) if len(proof) == _KEY_LENGTH else bytes(_KEY_LENGTH)
        if not hmac.compare_digest(_sha256(client_key), self._verifier.stored_key) or not self._known:
            raise AuthenticationError("password authentication failed")
        return b"v=" + base64.b64encode(_hmac(self._verifier.server_key, message))


class ClientExchange:
    """The client's half of one exchange: ``first``, ``challenge``, ``verify``. ``nonce``: 18 random bytes.

    ``end_point``: bind to the channel with this data; the exchange is then one of SCRAM-SHA-256-PLUS. ``could_bind``:
    say that we would have, but were not offered it; a server that did offer it ends the login.

    The server says that the login succeeded in a message of its own: believe it only when ``verified``.
    """

    def __init__(
        self, password: str, nonce: bytes, *, end_point: bytes | None = None, could_bind: bool = False
    ) -> None:
        self.mechanism = MECHANISM if end_point is None else MECHANISM_PLUS
        self._gs2 = (_BINDING if end_point is not None else "y" if could_bind else "n") + ",,"
        self._end_point = end_point or b""
        self._password = password
        self._own_nonce = _encode64(nonce)
        self._first_bare = f"n=,r={self._own_nonce}"
        self._server_signature = b""
        self.verified = False
        "The server proved that it knows the password's verifier."

    def first(self) -> bytes:
        """client-first-message; the server takes the user from the startup message."""
        return f"{self._gs2}{self._first_bare}".encode()

    def challenge(self, server_first: bytes) -> bytes:
        """client-final-message for the server's first. Raises ProtocolError."""
        text = _text(server_first)
        fields = text.split(",")
        if len(fields) < 3 or [field[:2] for field in fields[:3]] != ["r=", "s=", "i="]:
            raise ProtocolError("the upstream's SCRAM message is malformed")
        nonce = fields[0][2:]
        if not nonce.startswith(self._own_nonce) or nonce == self._own_nonce:
            raise ProtocolError("the upstream's SCRAM nonce is not ours continued")
        try:
            salt, iterations = _decode64(fields[1][2:]), _count(fields[2][2:])
        except ValueError as error:
            raise ProtocolError("the upstream's SCRAM salt or iteration count is out of bounds") from error
        salted = _salted(self._password, salt, iterations)
        client_key = _hmac(salted, b"Client Key")
        without_proof = f"c={_encode64(self._gs2.encode() + self._end_point)},r={nonce}"
        message = f"{self._first_bare},{text},{without_proof}".encode()
        proof = _xor(client_key, _hmac(_sha256(client_key), message))
        self._server_signature = _hmac(_hmac(salted, b"Server Key"), message)
        return f"{without_proof},p={_encode64(proof)}".encode()

    def verify(self, server_final: bytes) -> None:
        """Check that the server knows the verifier too. Raises AuthenticationError, ProtocolError."""
        text = _text(server_final)
        if text.startswith("e="):
            raise AuthenticationError(f"the upstream refused the login: {text[2:]}")
        try:
            signature = _decode64(text.removeprefix("v=").split(",")[0])
        except ValueError as error:
            raise ProtocolError("the upstream's SCRAM message is malformed") from error
        if not self._server_signature or not hmac.compare_digest(signature, self._server_signature):
            raise AuthenticationError(
                "the upstream's SCRAM signature is wrong: it does not know the password's verifier"
            )
        self.verified = True


def md5_password(user: str, password: str, salt: bytes) -> bytes:
    """The answer to AuthenticationMD5Password; ``salt`` is the message's four bytes."""
    inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest().encode()


def saslprep(password: str) -> str:
    """RFC 4013 as PostgreSQL applies it: a password that cannot be prepared is used as it is.

    Like its pg_saslprep, and unlike the RFC, this looks for prohibited characters before the normalisation, not after.
    """
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c  # U+200B is in both tables: a space
        for c in password
        if stringprep.in_table_c12(c) or not stringprep.in_table_b1(c)
    )
    if not mapped or any(prohibited(c) for c in mapped for prohibited in _PROHIBITED):
        return password
    if any(stringprep.in_table_d1(c) for c in mapped) and (
        any(stringprep.in_table_d2(c) for c in mapped)
        or not (stringprep.in_table_d1(mapped[0]) and stringprep.in_table_d1(mapped[-1]))
    ):
        return password
    return unicodedata.normalize("NFKC", mapped)


_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def _salted(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), salt, iterations)


def _text(message: bytes) -> str:
    if len(message) > MAX_MESSAGE:
        raise ProtocolError("SCRAM message too long")
    try:
        return message.decode()
    except UnicodeDecodeError as error:
        raise ProtocolError("malformed SCRAM message") from error


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _sha256(message: bytes) -> bytes:
    return hashlib.sha256(message).digest()


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _encode64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _count(text: str) -> int:
    """An iteration count. Raises ValueError: not a number, or out of bounds."""
    if not _COUNT.fullmatch(text) or int(text) > MAX_ITERATIONS:
        raise ValueError("not an iteration count")
    return int(text)


def _decode64(text: str) -> bytes:
    """Raises ValueError (binascii.Error is one)."""
    if not text:
        raise binascii.Error("empty")
    return base64.b64decode(text, validate=True)
