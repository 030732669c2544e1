"""Script: one client's session, the same each time, that goes as far as the line lets it.

Each statement says in a literal whose it is and which, so that the audit log and the server's own log can be compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from dataclasses import dataclass

from nlsql_gateway.wire import upstream
from nlsql_gateway.wire.messages import parse_fault
from nlsql_gateway.wire.scram import ClientExchange
from tests.server import raw

ROWS = {"simple": 1, "extended": 1, "copy": 3, "answer": 1, "sleep": 1}
"""Of each statement."""

SLEEP = 0.3
"""Seconds of the statement that is cancelled."""


@dataclass
class Session:
    case: str
    port: int
    cancel_port: int
    "For the cancel request."
    kinds: str = ""
    "Types of the messages that came, ParameterStatus left out."
    ended: str = ""
    "Empty: it went to its end. Else what the line or the gateway said."
    key: bytes = b""

    async def run(self) -> None:
        """Raises TimeoutError: it hangs."""
        async with asyncio.timeout(30):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError as error:
                self.ended = str(error)
                return
            try:
                await self._talk(reader, writer)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.ended = type(error).__name__
            except _FatalError as error:
                self.ended = str(error)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(upstream.ssl_request())
        assert await reader.readexactly(1) == b"N"
        writer.write(upstream.startup({"user": "ada", "database": "lines", "application_name": self.case}))
        exchange = ClientExchange("secret", os.urandom(18))
        while (code := await self._authentication(reader)) != (0, b""):
            match code:
                case (10, _):
                    writer.write(upstream.sasl_initial("SCRAM-SHA-256", exchange.first()))
                case (11, data):
                    writer.write(upstream.sasl(exchange.challenge(data)))
                case (12, data):
                    exchange.verify(data)
        await self._until_ready(reader)
        writer.write(raw.query(f"SELECT '{self.case} simple'"))
        await self._until_ready(reader)
        writer.write(raw.parse("s", f"SELECT $1::text || '{self.case} extended'") + raw.bind("", "s", "x"))
        writer.write(raw.describe("P", "") + raw.execute("") + raw.SYNC)
        await self._until_ready(reader)
        writer.write(raw.query(f"COPY (SELECT '{self.case} copy' FROM generate_series(1, 3)) TO STDOUT"))
        await self._until_ready(reader)
        writer.write(raw.query(f"-- ask: what says {self.case}"))
        await self._until_ready(reader)
        writer.write(raw.query(f"SELECT '{self.case} sleep' FROM pg_sleep({SLEEP})"))
        await asyncio.sleep(0.02)
        await self._cancel()
        await self._until_ready(reader)
        writer.write(upstream.terminate())
        assert await reader.read() == b""

    async def _cancel(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.cancel_port)
        writer.write(upstream.cancel_request(self.key))
        with contextlib.suppress(OSError):
            assert await reader.read() == b""
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _reply(self, reader: asyncio.StreamReader) -> tuple[str, bytes]:
        head = await reader.readexactly(5)
        kind, body = chr(head[0]), await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
        if kind != "S":
            self.kinds += kind
        if kind == "E" and parse_fault(body).is_fatal:
            raise _FatalError(parse_fault(body).sqlstate)
        return kind, body

    async def _authentication(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        kind, body = await self._reply(reader)
        assert kind == "R"
        return upstream.parse_authentication(body)

    async def _until_ready(self, reader: asyncio.StreamReader) -> None:
        while (reply := await self._reply(reader))[0] != "Z":
            if reply[0] == "K":
                self.key = reply[1]


class _FatalError(Exception):
    """The gateway ended the session with a word."""
