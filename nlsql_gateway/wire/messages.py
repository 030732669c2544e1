"""Messages: what the gateway itself reads and writes. What it only relays has no class here.

PostgreSQL manual, "Message Formats"; every ``parse_`` takes the body without header and raises ProtocolError.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from nlsql_gateway.errors import ProtocolError

PROTOCOL_3_0: Final = 196608
SSL_REQUEST: Final = 80877103
GSSENC_REQUEST: Final = 80877104
CANCEL_REQUEST: Final = 80877102

_I = struct.Struct("!i")
_H = struct.Struct("!h")


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
    """The packet before login, without its length."""
    code = _I.unpack_from(body)[0]
    if code == SSL_REQUEST and len(body) == 4:
        return SslRequest()
    if code == GSSENC_REQUEST and len(body) == 4:
        return GssEncRequest()
    if code == CANCEL_REQUEST and 12 <= len(body) <= 4 + 4 + 256:
        return CancelRequest(_I.unpack_from(body, 4)[0], body[8:])
    if code in (SSL_REQUEST, GSSENC_REQUEST, CANCEL_REQUEST):
        raise ProtocolError("invalid length of startup packet")
    parameters: dict[str, str] = {}
    if code >> 16 == 3:
        if body[-1:] != b"\0":
            raise ProtocolError("invalid startup packet layout: expected terminator as last byte")
        words = body[4:-1].split(b"\0")
        if words[-1] != b"":
            raise ProtocolError("invalid startup packet layout: expected terminator as last byte")
        words.pop()
        if len(words) % 2:
            raise ProtocolError("invalid startup packet layout: a name without a value")
        for name, value in zip(words[::2], words[1::2], strict=True):
            if not name:
                raise ProtocolError("invalid startup packet layout: an empty name")
            key = _decode(name)
            if key in parameters:
                raise ProtocolError("invalid startup packet layout: a name given twice")
            parameters[key] = _decode(value)
    return Startup(code >> 16, code & 0xFFFF, parameters)


@dataclass(frozen=True, slots=True)
class Parse:
    name: str
    text: str
    types: bytes
    "The count and the type OIDs, as they came."

    def encode(self, text: str) -> bytes:
        """The message with another statement text: name and parameter types stay."""
        return message(b"P", self.name.encode() + b"\0" + text.encode() + b"\0" + self.types)


def parse_query(body: bytes) -> str:
    text, end = _string(body, 0)
    if end != len(body):
        raise ProtocolError("malformed Query message")
    return text


def parse_parse(body: bytes) -> Parse:
    name, position = _string(body, 0)
    text, position = _string(body, position)
    types = body[position:]
    if len(types) < 2 or len(types) != 2 + 4 * _H.unpack_from(types)[0]:
        raise ProtocolError("malformed Parse message")
    return Parse(name, text, types)


@dataclass(frozen=True, slots=True)
class Bind:
    portal: str
    statement: str
    parameters: tuple[str | None, ...]
    "Text as it is, binary as ``hex:…``, NULL as None."


def parse_bind(body: bytes) -> Bind:
    portal, position = _string(body, 0)
    statement, position = _string(body, position)
    try:
        count = _H.unpack_from(body, position)[0]
        formats = struct.unpack_from(f"!{count}h", body, position + 2) if count >= 0 else ()
        position += 2 + 2 * max(count, 0)
        total = _H.unpack_from(body, position)[0] & 0xFFFF
        position += 2
        values: list[str | None] = []
        for index in range(total):
            size = _I.unpack_from(body, position)[0]
            position += 4
            if size < -1 or position + max(size, 0) > len(body):
                raise ProtocolError("malformed Bind message")
            if size == -1:
                values.append(None)
                continue
            value = body[position : position + size]
            position += size
            binary = (formats[index] if len(formats) > 1 else formats[0]) if formats else 0
            values.append("hex:" + value.hex() if binary else value.decode("utf-8", "backslashreplace"))
    except (struct.error, IndexError) as error:
        raise ProtocolError("malformed Bind message") from error
    return Bind(portal, statement, tuple(values))


def parse_target(body: bytes) -> tuple[str, str]:
    """Of Describe and Close: ``S`` or ``P``, and the name."""
    kind = body[:1].decode("latin-1")
    if kind not in ("S", "P"):
        raise ProtocolError("Describe or Close of neither a statement nor a portal")
    name, end = _string(body, 1)
    if end != len(body):
        raise ProtocolError("malformed Describe or Close message")
    return kind, name


def parse_execute(body: bytes) -> str:
    """The portal's name; the row limit stays where it is."""
    name, end = _string(body, 0)
    if end + 4 != len(body):
        raise ProtocolError("malformed Execute message")
    return name


@dataclass(frozen=True, slots=True)
class Fault:
    """An ErrorResponse or NoticeResponse: fields by code (manual, "Error and Notice Message Fields")."""

    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def sqlstate(self) -> str:
        return self.fields.get("C", "XX000")  # a server that leaves it out is tolerated

    @property
    def text(self) -> str:
        return self.fields.get("M", "")

    def encode(self, kind: bytes = b"E", *, leave_out: str = "") -> bytes:
        parts = [
            code.encode() + value.encode("utf-8", "surrogateescape") + b"\0"
            for code, value in self.fields.items()
            if code not in leave_out
        ]
        return message(kind, b"".join(parts) + b"\0")


def parse_fault(body: bytes) -> Fault:
    fields: dict[str, str] = {}
    for part in body.split(b"\0"):
        if part:
            fields[chr(part[0])] = part[1:].decode("utf-8", "surrogateescape")
    return Fault(fields)


def fault(
    severity: str, sqlstate: str, text: str, *, detail: str = "", hint: str = "", position: int | None = None
) -> Fault:
    """Our own error or notice; ``severity`` as in ERROR, FATAL, NOTICE, WARNING."""
    fields = {"S": severity, "V": severity, "C": sqlstate, "M": text.replace("\0", " ")}
    if detail:
        fields["D"] = detail.replace("\0", " ")
    if hint:
        fields["H"] = hint.replace("\0", " ")
    if position is not None:
        fields["P"] = str(position)
    return Fault(fields)


def parse_parameter_status(body: bytes) -> tuple[str, str]:
    name, position = _string(body, 0)
    value, _ = _string(body, position)
    return name, value


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + _I.pack(len(body) + 4) + body


def query(text: str) -> bytes:
    return message(b"Q", text.encode() + b"\0")


def startup(parameters: Mapping[str, str]) -> bytes:
    """The StartupMessage of protocol 3.0."""
    words = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items())
    return _packet(_I.pack(PROTOCOL_3_0) + words + b"\0")


def ssl_request() -> bytes:
    return _packet(_I.pack(SSL_REQUEST))


def cancel_request(key: bytes) -> bytes:
    """``key`` is the body of the BackendKeyData that the server gave."""
    return _packet(_I.pack(CANCEL_REQUEST) + key)


def negotiate_version(minor: int, options: list[str]) -> bytes:
    """NegotiateProtocolVersion: the newest minor version that we speak, and every option that we do not know."""
    names = b"".join(name.encode() + b"\0" for name in options)
    return message(b"v", _I.pack(PROTOCOL_3_0 + minor) + _I.pack(len(options)) + names)


def authentication(code: int, data: bytes = b"") -> bytes:
    return message(b"R", _I.pack(code) + data)


def parse_authentication(body: bytes) -> tuple[int, bytes]:
    if len(body) < 4:
        raise ProtocolError("malformed Authentication message")
    return _I.unpack_from(body)[0], body[4:]


def sasl_initial(mechanism: str, data: bytes) -> bytes:
    return message(b"p", mechanism.encode() + b"\0" + _I.pack(len(data)) + data)


def parse_sasl_initial(body: bytes) -> tuple[str, bytes]:
    mechanism, position = _string(body, 0)
    if len(body) < position + 4:
        raise ProtocolError("malformed SASLInitialResponse message")
    size = _I.unpack_from(body, position)[0]
    data = body[position + 4 :]
    if size != len(data):
        raise ProtocolError("malformed SASLInitialResponse message")
    return mechanism, data


def parameter_status(name: str, value: str) -> bytes:
    return message(b"S", f"{name}\0{value}\0".encode())


def backend_key(process: int, secret: bytes) -> bytes:
    return message(b"K", _I.pack(process) + secret)


def ready(status: bytes = b"I") -> bytes:
    return message(b"Z", status)


def _packet(body: bytes) -> bytes:
    return _I.pack(len(body) + 4) + body


def _string(body: bytes, start: int) -> tuple[str, int]:
    end = body.find(b"\0", start)
    if end < 0:
        raise ProtocolError("a string without its terminator")
    return _decode(body[start:end]), end + 1


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ProtocolError('invalid byte sequence for encoding "UTF8"', sqlstate="22021") from error
