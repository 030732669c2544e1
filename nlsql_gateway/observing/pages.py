"""Pages: an HTTP/1.1 server for probes and scrapers: GET and HEAD, one request a connection.

It runs in the event loop that serves clients, so that an answer of any page shows that this loop turns. There is no
TLS and no password: it listens where only those who watch the gateway may come.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from nlsql_gateway.errors import ConfigError

LONGEST: Final = 8 * 1024
"Bytes of a request's head."
PATIENCE: Final = 10.0
"Seconds that one request may take."
MOST: Final = 32
"Connections at a time; a further one is closed."

_REASONS: Final = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Unavailable"}


@dataclass(frozen=True, slots=True)
class Page:
    body: bytes
    type: str = "text/plain; charset=utf-8"
    status: int = 200


Make = Callable[[Mapping[str, str]], Awaitable[Page]]
"""A page, from the request's headers, whose names are in lower case."""


class Pages:
    def __init__(self, pages: Mapping[str, Make]) -> None:
        """``pages``: by path."""
        self._pages = pages
        self._open = 0

    @asynccontextmanager
    async def serving(self, host: str, port: int) -> AsyncIterator[tuple[str, int]]:
        """While this lasts; the address, where 0 is the port that was found. Raises ConfigError."""
        try:
            server = await asyncio.start_server(self._connection, host, port, limit=LONGEST)
        except OSError as error:
            raise ConfigError(f"metrics.listen: {host} port {port}: {error.strerror}") from error
        try:
            yield host, server.sockets[0].getsockname()[1]
        finally:
            server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= MOST:
                async with asyncio.timeout(PATIENCE):
                    writer.write(await self._answer(reader))
                    await writer.drain()
        except (TimeoutError, OSError, EOFError):
            pass  # who does not ask to the end gets no answer
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        """Raises OSError, EOFError."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.LimitOverrunError:
            return _response(Page(b"too long\n", status=400))
        request, *lines = head.split("\r\n")
        words = request.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _response(Page(b"not HTTP/1.1\n", status=400))
        method, target, _ = words
        if method not in ("GET", "HEAD"):
            return _response(Page(b"GET or HEAD\n", status=405))
        make = self._pages.get(target.partition("?")[0])
        if make is None:
            return _response(Page("".join(f"{path}\n" for path in self._pages).encode(), status=404))
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return _response(await make(headers), bare=method == "HEAD")


def _response(page: Page, *, bare: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {page.status} {_REASONS[page.status]}\r\nContent-Type: {page.type}\r\n"
        f"Content-Length: {len(page.body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (b"" if bare else page.body)
