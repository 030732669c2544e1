"""The conversation with the client: what it sends, read; what the gateway itself tells it, written.

PostgreSQL manual, "Message Formats". Every ``parse_`` takes a body without its header and raises ProtocolError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nlsql_gateway.errors import ProtocolError
from nlsql_gateway.wire.framing import int32
from nlsql_gateway.wire.messages import (
    CANCEL_REQUEST,
    GSSENC_REQUEST,
    INT32,
    PROTOCOL_3_0,
    SSL_REQUEST,
    message,
    string,
    text,
)

# The first packet


@dataclass(frozen=True, slots=True)
class SslRequest:
    pass


@dataclass(frozen=True, slots=True)
class GssEncRequest:
    pass


@dataclass(frozen=True, slots=True)
class CancelRequest:
    process: int
    secret: bytes
    "4 to 256 bytes (3.2), as they came: a byte more than the key's is another secret."


@dataclass(frozen=True, slots=True)
class Startup:
    major: int
    minor: int
    parameters: Mapping[str, str]

    @property
    def unknown_options(self) -> list[str]:
        """Protocol options that we do not know; all begin with ``_pq_.``."""
        return [name for name in self.parameters if name.startswith("_pq_.")]


FirstPacket = SslRequest | GssEncRequest | CancelRequest | Startup


def parse_first(body: bytes) -> FirstPacket:
    """The packet before login, without its length: at least four bytes."""
    code = INT32.unpack_from(body)[0]
    if code == SSL_REQUEST and len(body) == 4:
        return SslRequest()
    if code == GSSENC_REQUEST and len(body) == 4:
        return GssEncRequest()
    if code == CANCEL_REQUEST and 12 <= len(body) <= 4 + 4 + 256:
        return CancelRequest(INT32.unpack_from(body, 4)[0], body[8:])
    if code in (SSL_REQUEST, GSSENC_REQUEST, CANCEL_REQUEST):
        raise ProtocolError("invalid length of startup packet")
    return Startup(code >> 16, code & 0xFFFF, _parameters(body[4:]) if code >> 16 == 3 else {})


def _parameters(body: bytes) -> dict[str, str]:
    """Names and values by turns, each ended by a zero, and one zero more."""
    if body[-1:] != b"\0" or body[-2:-1] not in (b"\0", b""):
        raise ProtocolError("invalid startup packet layout: expected terminator as last byte")
    words = body[:-1].split(b"\0")[:-1]
    if len(words) % 2:
        raise ProtocolError("invalid startup packet layout: a name without a value")
    parameters: dict[str, str] = {}
    for name, value in zip(words[::2], words[1::2], strict=True):
        key = text(name)
        if not key or key in parameters:  # a name given twice would be two things to two readers
            raise ProtocolError("invalid startup packet layout: a name that is empty or given twice")
        parameters[key] = text(value)
    return parameters


# Login


def authentication(code: int, data: bytes = b"") -> bytes:
    return message(b"R", INT32.pack(code) + data)


def parse_sasl_initial(body: bytes) -> tuple[str, bytes | None]:
    """The mechanism, and the client's first message; None: it waits for an empty challenge before it sends that."""
    mechanism, position = string(body, 0)
    if len(body) < position + 4:
        raise ProtocolError("malformed SASLInitialResponse message")
    size = INT32.unpack_from(body, position)[0]
    data = body[position + 4 :]
    if size == -1 and not data:
        return mechanism, None
    if size != len(data):
        raise ProtocolError("malformed SASLInitialResponse message")
    return mechanism, data


def text_error(words: str) -> bytes:
    """An error for a client of protocol 1 or 2, as PostgreSQL 18 sends it: a text without fields or length."""
    return f"EFATAL:  {words}\n\0".encode()


def negotiate_version(minor: int, options: Sequence[str]) -> bytes:
    """NegotiateProtocolVersion: the newest minor version that we speak, and every option that we do not know."""
    names = b"".join([name.encode() + b"\0" for name in options])
    return message(b"v", INT32.pack(PROTOCOL_3_0 + minor) + INT32.pack(len(options)) + names)


def parameter_status(name: str, value: str) -> bytes:
    return message(b"S", f"{name}\0{value}\0".encode())


def backend_key(process: int, secret: bytes) -> bytes:
    return message(b"K", INT32.pack(process) + secret)


def ready(status: bytes = b"I") -> bytes:
    return message(b"Z", status)


# Statements. What is malformed is an error in PostgreSQL's own words; the connection goes on.

_TOO_SHORT = "insufficient data left in message"
_TOO_LONG = "invalid message format"


def parse_query(body: bytes, errors: str = "strict") -> str:
    """The text, for reading it; see ``string`` for ``errors``."""
    statement, end = string(body, 0, errors)
    if end != len(body):
        raise ProtocolError(_TOO_LONG)
    return statement


class Parse:
    __slots__ = ("name", "text", "types")

    def __init__(self, name: str, text: str, types: bytes = b"\0\0") -> None:
        self.name = name
        self.text = text
        self.types = types
        "The count and the type OIDs, as they came."

    def encode(self, statement: str) -> bytes:
        """The message with another statement text: name and parameter types stay."""
        return message(b"P", self.name.encode() + b"\0" + statement.encode() + b"\0" + self.types)


def parse_parse(body: bytes, errors: str = "strict") -> Parse:
    name, position = string(body, 0)
    statement, position = string(body, position, errors)
    types = body[position:]
    wanted = 2 + 4 * _count(types, 0) if len(types) >= 2 else 2
    if len(types) != wanted:
        raise ProtocolError(_TOO_SHORT if len(types) < wanted else _TOO_LONG)
    return Parse(name, statement, types)


class Bind:
    __slots__ = ("parameters", "portal", "statement")

    def __init__(self, portal: str, statement: str, parameters: tuple[str | None, ...]) -> None:
        self.portal = portal
        self.statement = statement
        self.parameters = parameters
        "Text as it is, binary as ``hex:…``, NULL as None."


def parse_bind(body: bytes) -> Bind:
    portal, position = string(body, 0)
    statement, position = string(body, position)
    try:
        count = _count(body, position)
        formats = position + 2
        position += 2 + 2 * count
        total = _count(body, position)
        position += 2
        if count > 1 and count != total:
            raise ProtocolError(f"bind message has {count} parameter formats but {total} parameters")
        values: list[str | None] = []
        for index in range(total):
            size = int32(body, position)
            position += 4
            if size == -1:
                values.append(None)
                continue
            if size < 0 or position + size > len(body):
                raise ProtocolError(_TOO_SHORT)
            value = body[position : position + size]
            position += size
            # "zero (all text), one (for all parameters), or as many as there are parameters"
            binary = count and _count(body, formats + 2 * index if count > 1 else formats)
            values.append("hex:" + value.hex() if binary else value.decode("utf-8", "backslashreplace"))
        count = _count(body, position)
    except IndexError as error:
        raise ProtocolError(_TOO_SHORT) from error
    end = position + 2 + 2 * count
    if end != len(body):
        raise ProtocolError(_TOO_SHORT if len(body) < end else _TOO_LONG)
    return Bind(portal, statement, tuple(values))


def _count(body: bytes, at: int) -> int:
    return body[at] << 8 | body[at + 1]


def parse_target(message: str, body: bytes) -> tuple[str, str]:
    """Of Describe and Close, which ``message`` tells apart: ``S`` or ``P``, and the name."""
    if not body:
        raise ProtocolError("no data left in message")
    name, end = string(body, 1)
    if end != len(body):
        raise ProtocolError(_TOO_LONG)
    kind = chr(body[0])
    if kind not in ("S", "P"):
        raise ProtocolError(f"invalid {message} message subtype {body[0]}")
    return kind, name


def parse_execute(body: bytes) -> str:
    """The portal's name; the row limit stays where it is."""
    if body == b"\0\0\0\0\0":
        return ""  # what nearly all drivers send: all rows of the unnamed portal
    name, end = string(body, 0)
    if end + 4 != len(body):
        raise ProtocolError(_TOO_SHORT if end + 4 > len(body) else _TOO_LONG)
    return name
