"""The conversation with the upstream: what the gateway sends of its own, written; what it must understand, read.

PostgreSQL manual, "Message Formats". Every ``parse_`` takes a body without its header and raises ProtocolError.
"""

from __future__ import annotations

from collections.abc import Mapping

from nlsql_gateway.errors import ProtocolError
from nlsql_gateway.wire.messages import CANCEL_REQUEST, INT32, PROTOCOL_3_0, SSL_REQUEST, message, string


def ssl_request() -> bytes:
    return _packet(INT32.pack(SSL_REQUEST))


def startup(parameters: Mapping[str, str]) -> bytes:
    """The StartupMessage of protocol 3.0."""
    words = b"".join([f"{name}\0{value}\0".encode() for name, value in parameters.items()])
    return _packet(INT32.pack(PROTOCOL_3_0) + words + b"\0")


def cancel_request(key: bytes) -> bytes:
    """``key`` is the body of the BackendKeyData that the server gave."""
    return _packet(INT32.pack(CANCEL_REQUEST) + key)


def password(secret: bytes) -> bytes:
    """PasswordMessage, clear or md5."""
    return message(b"p", secret + b"\0")


def sasl_initial(mechanism: str, data: bytes) -> bytes:
    return message(b"p", mechanism.encode() + b"\0" + INT32.pack(len(data)) + data)


def sasl(data: bytes) -> bytes:
    return message(b"p", data)


def query(text: str) -> bytes:
    return message(b"Q", text.encode() + b"\0")


def terminate() -> bytes:
    return message(b"X")


def parse_authentication(body: bytes) -> tuple[int, bytes]:
    """The method's code and its data."""
    if len(body) < 4:
        raise ProtocolError("malformed Authentication message")
    return INT32.unpack_from(body)[0], body[4:]


def parse_parameter_status(body: bytes) -> tuple[str, str]:
    name, position = string(body, 0)
    value, _ = string(body, position)
    return name, value


def _packet(body: bytes) -> bytes:
    """A packet of the time before login: it has no type byte."""
    return INT32.pack(len(body) + 4) + body
