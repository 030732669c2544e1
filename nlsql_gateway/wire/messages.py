"""Messages: what both conversations share. ``downstream.py`` has the client's, ``upstream.py`` the upstream's.

Only what the gateway itself reads or writes is here; what it relays has no class. PostgreSQL manual, "Message Formats".
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

INT32: Final = struct.Struct("!i")
COUNT: Final = struct.Struct("!H")
"""Int16 counts are read unsigned, as PostgreSQL reads them: up to 65,535 parameters."""


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + INT32.pack(len(body) + 4) + body


def string(body: bytes, start: int, errors: str = "strict") -> tuple[str, int]:
    """The String that begins at ``start``, and where the next field begins. Raises ProtocolError.

    ``errors``: what becomes of bytes that are not UTF-8, as ``bytes.decode`` has it.
    """
    if start < len(body) and not body[start]:
        return "", start + 1  # the unnamed statement, the unnamed portal
    end = body.find(b"\0", start)
    if end < 0:
        raise ProtocolError("invalid string in message")
    return text(body[start:end], errors), end + 1


def text(value: bytes, errors: str = "strict") -> str:
    """Raises ProtocolError (22021) in PostgreSQL's words: client_encoding is UTF8 on both sides."""
    try:
        return value.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        lead = value[error.start]
        size = 4 if lead & 0xF8 == 0xF0 else 3 if lead & 0xF0 == 0xE0 else 2 if lead & 0xE0 == 0xC0 else 1
        shown = " ".join([f"0x{byte:02x}" for byte in value[error.start : error.start + size]])
        words = f'invalid byte sequence for encoding "UTF8": {shown}'
        raise ProtocolError(words, sqlstate="22021") from error


@dataclass(frozen=True, slots=True)
class Fault:
    """An ErrorResponse or NoticeResponse: fields by their letter (manual, "Error and Notice Message Fields")."""

    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def sqlstate(self) -> str:
        return self.fields.get("C", "XX000")  # a server that leaves it out is tolerated

    @property
    def text(self) -> str:
        return self.fields.get("M", "")

    @property
    def is_fatal(self) -> bool:
        """The connection ends with it."""
        return self.fields.get("V", self.fields.get("S")) in ("FATAL", "PANIC")

    def encode(self, kind: bytes = b"E", *, leave_out: str = "") -> bytes:
        """``kind``: ``E`` or ``N``; ``leave_out``: letters of fields that are not sent."""
        parts = [
            code.encode("latin-1") + value.encode("utf-8", "surrogateescape") + b"\0"
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
    severity: str,
    sqlstate: str,
    message: str,
    *,
    detail: str = "",
    hint: str = "",
    position: int | None = None,
    routine: str = "",
) -> Fault:
    """Our own error or notice; ``severity``: ERROR, FATAL, NOTICE, WARNING; ``routine``: one of PostgreSQL's source."""
    fields = {"S": severity, "V": severity, "C": sqlstate, "M": message}
    if detail:
        fields["D"] = detail
    if hint:
        fields["H"] = hint
    if position is not None:
        fields["P"] = str(position)
    if routine:
        fields["R"] = routine
    return Fault({code: value.replace("\0", " ") for code, value in fields.items()})
