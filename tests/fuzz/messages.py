"""Messages: any bytes are a value or ProtocolError, and a value that is written again is the bytes it was read from."""

from __future__ import annotations

import struct

from nlsql_gateway.errors import ProtocolError
from nlsql_gateway.wire import downstream, upstream
from nlsql_gateway.wire.messages import message, parse_fault
from tests.fuzz.cursor import Cursor


def first(data: bytes) -> None:
    """The packet before login; the fuzzer need not find the codes."""
    cursor = Cursor(data)
    codes = (b"", b"\0\3\0\0", b"\0\3\0\2", b"\4\xd2\x16\x2f", b"\4\xd2\x16\x30", b"\4\xd2\x16\x2e")
    body = codes[cursor.byte() % len(codes)] + cursor.rest()
    if len(body) < 4:
        return
    try:
        packet = downstream.parse_first(body)
    except ProtocolError:
        return
    match packet:
        case downstream.SslRequest():
            assert upstream.ssl_request()[4:] == body
        case downstream.CancelRequest():
            assert upstream.cancel_request(struct.pack("!i", packet.process) + packet.secret)[4:] == body
        case downstream.Startup(3):
            again = upstream.startup(packet.parameters)[8:]
            assert again == body[4:]
            assert all(name.startswith("_pq_.") for name in packet.unknown_options)
        case _:
            pass


def client(data: bytes) -> None:
    """What a client sends."""
    cursor = Cursor(data)
    kind = b"QPBDCEp"[cursor.byte() % 7 :][:1]
    body = cursor.rest()
    try:
        again = _again(kind, body)
    except ProtocolError:
        return
    assert again == body


def _again(kind: bytes, body: bytes) -> bytes:
    match kind:
        case b"Q":
            return upstream.query(downstream.parse_query(body))[5:]
        case b"P":
            parse = downstream.parse_parse(body)
            return parse.encode(parse.text)[5:]
        case b"B":
            return _bind(downstream.parse_bind(body), body)
        case b"D" | b"C":
            target, name = downstream.parse_target("DESCRIBE", body)
            return f"{target}{name}\0".encode()
        case b"E":
            return downstream.parse_execute(body).encode() + b"\0" + body[-4:]
        case _:
            mechanism, answer = downstream.parse_sasl_initial(body)
            if answer is None:
                return mechanism.encode() + b"\0\xff\xff\xff\xff"
            return upstream.sasl_initial(mechanism, answer)[5:]


def _bind(bind: downstream.Bind, body: bytes) -> bytes:
    """The body that a Bind was read from, its formats and result formats taken from there (manual, "Bind")."""
    head = f"{bind.portal}\0{bind.statement}\0".encode()
    (count,) = struct.unpack_from("!H", body, len(head))
    codes = struct.unpack_from(f"!{count}h", body, len(head) + 2)
    out = head + body[len(head) : len(head) + 2 + 2 * count] + struct.pack("!H", len(bind.parameters))
    at = len(out)
    for index, parameter in enumerate(bind.parameters):
        (size,) = struct.unpack_from("!i", body, at)
        value = body[at + 4 : at + 4 + max(size, 0)]
        at += 4 + len(value)
        binary = bool(codes) and (codes[0] if len(codes) == 1 else codes[index]) != 0
        shown = "hex:" + value.hex() if binary else value.decode("utf-8", "backslashreplace")
        assert parameter == (None if size == -1 else shown)
        out += struct.pack("!i", size) + value
    (results,) = struct.unpack_from("!H", body, at)
    assert len(body) == at + 2 + 2 * results
    return out + body[at:]


def server(data: bytes) -> None:
    """What an upstream sends."""
    cursor = Cursor(data)
    kind, body = cursor.byte() % 3, cursor.rest()
    try:
        match kind:
            case 0:
                code, rest = upstream.parse_authentication(body)
                assert downstream.authentication(code, rest)[5:] == body
            case 1:
                name, value = upstream.parse_parameter_status(body)
                assert body.startswith(downstream.parameter_status(name, value)[5:])
            case _:
                fault = parse_fault(body)
                assert isinstance(fault.sqlstate + fault.text, str)
                assert isinstance(fault.is_fatal, bool)
                encoded = fault.encode()
                assert parse_fault(encoded[5:]).fields == fault.fields
                assert encoded == message(b"E", encoded[5:])
    except ProtocolError:
        pass
