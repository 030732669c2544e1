"""Pipe: one socket. Awaited while logging in, then driven by callbacks: the hot path makes no await."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import Final, cast

READ_LIMIT: Final = 256 * 1024
"""Bytes that may wait to be read while logging in."""


class Pipe(asyncio.Protocol):
    """A transport and what came from it.

    Until ``attach`` bytes are kept for ``read``; after it they go to the receiver as they come.
    """

    def __init__(self, made: Callable[[Pipe], None] | None = None) -> None:
        self.transport: asyncio.Transport
        self.is_lost = False
        self.is_full = False
        "The peer does not read what we wrote: write no more for now."
        self._made = made
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._receive: Callable[[bytes], None] | None = None
        self._lost: Callable[[], None] | None = None
        self._full: Callable[[bool], None] | None = None
        self._end: asyncio.TimerHandle | None = None

    def attach(self, receive: Callable[[bytes], None], lost: Callable[[], None], full: Callable[[bool], None]) -> bytes:
        """From now on call back; what was kept is returned.

        ``lost`` is called once, when the connection ends, perhaps at once; ``full`` gets True when the peer reads
        slower than we write, and False when it has caught up.
        """
        self._receive, self._lost, self._full = receive, lost, full
        self.data_received = receive  # type: ignore[method-assign, assignment] # no step of ours in between
        self.transport.set_protocol(self)  # which looks the callback up again
        kept = bytes(self._buffer)
        self._buffer.clear()
        self.resume()
        if self.is_lost:
            asyncio.get_running_loop().call_soon(lost)  # after what was kept has been taken
        return kept

    async def read(self, count: int) -> bytes:
        """Exactly ``count`` bytes. Raises ConnectionResetError when the connection ends before."""
        while len(self._buffer) < count:
            if self.is_lost:
                raise ConnectionResetError("the connection was closed")
            self._waiter = asyncio.get_running_loop().create_future()
            self.resume()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    @property
    def waiting(self) -> int:
        """Bytes that came and were not read."""
        return len(self._buffer)

    @property
    def is_encrypted(self) -> bool:
        return self._tls is not None

    @property
    def alpn(self) -> str | None:
        """The protocol that both sides named in the TLS handshake."""
        return None if self._tls is None else self._tls.selected_alpn_protocol()

    @property
    def peer_certificate(self) -> bytes | None:
        """The certificate, in DER, that the peer showed in the handshake and that was found good; None: it has none."""
        return None if self._tls is None else self._tls.getpeercert(binary_form=True)

    @property
    def _tls(self) -> ssl.SSLObject | None:
        tls: ssl.SSLObject | None = self.transport.get_extra_info("ssl_object")
        return tls

    def write(self, data: bytes) -> None:
        if not self.is_lost:
            self.transport.write(data)

    def pause(self) -> None:
        """Read no more for now."""
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    async def start_tls(
        self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None
    ) -> None:
        """Shake hands. Raises OSError; ssl.SSLError is one."""
        self._encrypted_by(await self._handshake(context, server_side, server_hostname))

    async def start_direct_tls(self, context: ssl.SSLContext, first: bytes) -> None:
        """Shake hands as the server with a client whose handshake began with ``first`` and what waits to be read.

        Raises OSError.

        The loop's start_tls reads from the socket alone. So it is started, and by the time that it waits, its two
        callbacks are queued: its protocol gets the transport, and the transport reads again. Ours follows in the same
        turn of the loop, before anything is read, and hands over what came earlier.
        """

        async def handshake() -> asyncio.Transport | OSError | None:
            try:
                return await self._handshake(context, True, None)
            except OSError as error:
                return error

        loop, transport = asyncio.get_running_loop(), self.transport
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(handshake())
            await asyncio.sleep(0)
            loop.call_soon(self._hand_over, transport, first)
        result = running.result()
        if isinstance(result, OSError):
            raise result
        self._encrypted_by(result)

    def _handshake(
        self, context: ssl.SSLContext, server_side: bool, server_hostname: str | None
    ) -> Coroutine[None, None, asyncio.Transport | None]:
        return asyncio.get_running_loop().start_tls(
            self.transport, self, context, server_side=server_side, server_hostname=server_hostname
        )

    def _hand_over(self, transport: asyncio.Transport, first: bytes) -> None:
        """Give what came before the handshake to the TLS protocol that has the transport now."""
        protocol = cast("asyncio.BufferedProtocol", transport.get_protocol())
        data = first + self._buffer
        self._buffer.clear()
        while data:
            room = memoryview(protocol.get_buffer(len(data)))
            taken = min(len(room), len(data))
            room[:taken] = data[:taken]
            protocol.buffer_updated(taken)
            data = data[taken:]

    def _encrypted_by(self, transport: asyncio.Transport | None) -> None:
        if transport is None:
            raise ConnectionResetError("the connection was closed during the TLS handshake")
        self.transport = transport

    def close(self, patience: float) -> None:
        """Write what is left, then close; after ``patience`` seconds without it."""
        self.transport.close()
        if not self.is_lost and self._end is None:
            self._end = asyncio.get_running_loop().call_later(patience, self.abort)

    def abort(self) -> None:
        self.transport.abort()

    async def closed(self) -> None:
        """Until the transport is gone, after ``close`` or ``abort``."""
        while not self.is_lost:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own is none by inheritance
        if self._made is not None:
            self._made(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > READ_LIMIT:
            self.pause()
        self._wake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - why it ended changes nothing
        self.is_lost = True
        if self._end is not None:
            self._end.cancel()
        self._wake()
        if self._lost is not None:
            self._lost()

    def pause_writing(self) -> None:
        self.is_full = True
        if self._full is not None:
            self._full(True)

    def resume_writing(self) -> None:
        self.is_full = False
        if self._full is not None:
            self._full(False)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
