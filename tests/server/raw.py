"""A client of bare messages, for what no driver would send. It logs in to a gateway and to PostgreSQL alike."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from nlsql_gateway.wire import upstream
from nlsql_gateway.wire.messages import message, parse_fault
from nlsql_gateway.wire.scram import ClientExchange

Reply = tuple[str, bytes]


def query(text: str) -> bytes:
    return upstream.query(text)


def startup(minor: int, parameters: Mapping[str, str], major: int = 3) -> bytes:
    """A StartupMessage of any version."""
    words = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items())
    return struct.pack("!iHH", len(words) + 9, major, minor) + words + b"\0"


def parse(name: str, text: str) -> bytes:
    return message(b"P", f"{name}\0{text}\0".encode() + b"\0\0")


def bind(portal: str, statement: str, *values: str) -> bytes:
    data = b"".join(struct.pack("!i", len(value.encode())) + value.encode() for value in values)
    return message(b"B", f"{portal}\0{statement}\0".encode() + struct.pack("!HH", 0, len(values)) + data + b"\0\0")


def describe(kind: str, name: str) -> bytes:
    return message(b"D", f"{kind}{name}\0".encode())


def execute(portal: str, limit: int = 0) -> bytes:
    return message(b"E", f"{portal}\0".encode() + struct.pack("!i", limit))


def close(kind: str, name: str) -> bytes:
    return message(b"C", f"{kind}{name}\0".encode())


SYNC = message(b"S")
FLUSH = message(b"H")


class Raw:
    """A connection. Every read has a time limit: a gateway that hangs fails the test."""

    def __init__(self, host: str, port: int, minor: int = 0, source: str = "") -> None:
        """``source``: the address that it comes from."""
        self.minor = minor
        "Of the protocol version 3 that it asks for."
        self.socket: socket.socket = socket.create_connection((host, port), timeout=10, source_address=(source, 0))
        self.parameters: dict[str, str] = {}
        self.key = b""
        self.notices: list[bytes] = []
        self.status = b""
        "Of the ReadyForQuery that ended the login."

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, *messages: bytes) -> None:
        self.socket.sendall(b"".join(messages))

    def startup(self, user: str = "ada", database: str = "postgres", **parameters: str) -> None:
        self.send(startup(self.minor, {"user": user, "database": database, **parameters}))

    def login(
        self,
        user: str = "ada",
        password: str = "secret",
        database: str = "postgres",
        exchange: ClientExchange | None = None,
        **parameters: str,
    ) -> Self:
        """To ReadyForQuery. Raises AssertionError with the error."""
        self.startup(user, database, **parameters)
        return self.answer(exchange or ClientExchange(password, os.urandom(18)))

    def answer(self, exchange: ClientExchange | None = None) -> Self:
        """What is left of a login whose startup message was sent."""
        exchange = exchange or ClientExchange("secret", os.urandom(18))
        while True:
            kind, body = self.reply()
            match kind:
                case "R":
                    code, data = upstream.parse_authentication(body)
                    if code == 10:
                        self.send(upstream.sasl_initial(exchange.mechanism, exchange.first()))
                    elif code == 11:
                        self.send(upstream.sasl(exchange.challenge(data)))
                case "S":
                    name, value = upstream.parse_parameter_status(body)
                    self.parameters[name] = value
                case "K":
                    self.key = body
                case "N":
                    self.notices.append(body)
                case "E":
                    raise AssertionError(parse_fault(body).fields)
                case "Z":
                    self.status = body
                    return self
                case _:
                    pass

    def start_tls(self, context: ssl.SSLContext, *, direct: bool = False) -> None:
        if not direct:
            self.send(upstream.ssl_request())
            assert self.exactly(1) == b"S"
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionResetError(f"closed after {data!r}")
            data += more
        return data

    def reply(self) -> Reply:
        head = self.exactly(5)
        return chr(head[0]), self.exactly(struct.unpack("!i", head[1:])[0] - 4)

    def until(self, kinds: str) -> list[Reply]:
        """Replies up to the first of one of these types."""
        replies = [self.reply()]
        while replies[-1][0] not in kinds:
            replies.append(self.reply())
        return replies

    def error(self) -> dict[str, str]:
        """The fields of the next ErrorResponse, whatever comes before it."""
        return dict(parse_fault(self.until("E")[-1][1]).fields)

    def is_closed(self) -> bool:
        """Whether the other side ends the connection without another word."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
