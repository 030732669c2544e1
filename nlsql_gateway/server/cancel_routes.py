"""Where a CancelRequest goes: to a session of this process, to another worker, or to another replica.

SO_REUSEPORT gives a connection to any worker, a load balancer to any replica, and a request for cancellation comes on a
connection of its own; the key says where its session is (``cancel.py``).

- Between workers: over a Unix socket of each, in a folder that only the gateway's user may enter. The owner answers
  with one byte, whether the key was right, when the upstream was told.
- Between replicas: as an ordinary CancelRequest to the peer's port, encrypted when the peer offers it, with the bit set
  that says it was forwarded. A request with this bit is never forwarded again, so wrong ``peers`` cannot make a loop.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from nlsql_gateway.config import Cancel
from nlsql_gateway.errors import ConfigError, ProtocolError
from nlsql_gateway.server.cancel import FORWARDED, CancelKeys, Place
from nlsql_gateway.server.guesses import Guesses
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.wire import downstream, upstream
from nlsql_gateway.wire.framing import startup_length
from nlsql_gateway.wire.messages import INT32

PATIENCE: Final = 30.0
"""Seconds for a request to reach its session and the upstream."""


class CancelRoutes:
    """All cancel requests that come to one process."""

    def __init__(
        self, keys: CancelKeys, place: Place, settings: Cancel, folder: Path | None, log: structlog.stdlib.BoundLogger
    ) -> None:
        """``folder``: where the workers' sockets are; None when there is one process only."""
        self._keys = keys
        self._place = place
        self._peers = settings.peers
        self._folder = folder
        self._log = log
        self._guesses = Guesses(lambda source: log.warning("too many wrong cancel keys", source=source))
        self._tasks: asyncio.TaskGroup | None = None
        self._server: asyncio.Server | None = None

    async def open(self, tasks: asyncio.TaskGroup) -> None:
        """Take what other workers hand over, until ``close``. Raises ConfigError."""
        self._tasks = tasks
        if self._folder is not None:
            path = _socket(self._folder, self._place.worker)
            path.unlink(missing_ok=True)  # of a worker that died
            try:
                self._server = await asyncio.get_running_loop().create_unix_server(
                    lambda: Pipe(self._handed_over), str(path)
                )
            except OSError as error:
                raise ConfigError(f"{path}: {error.strerror}") from error

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def request(self, packet: downstream.CancelRequest, address: str) -> None:
        """Carry out a request from the host ``address``. Returns when the upstream was told, or nothing is to tell.

        Nobody learns whether the key was right.
        """
        forwarded = packet.process < 0
        process = packet.process & FORWARDED - 1
        place = Place.of(process)
        passing = forwarded or place.replica != self._place.replica
        if not await self._guesses.admit(address, passing=passing):
            return
        known = False
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                if place == self._place:
                    known = await self._keys.cancel(process, packet.secret)
                elif place.replica == self._place.replica:
                    known = await self._hand_over(place.worker, process, packet.secret)
                elif not forwarded:
                    await self._forward(place.replica, process, packet.secret)
        if known:
            self._log.info("cancel", session_worker=place.worker + 1, forwarded=forwarded)
        else:
            self._guesses.count(address, passing=passing)

    async def _hand_over(self, worker: int, process: int, secret: bytes) -> bool:
        if self._folder is None:
            return False
        loop = asyncio.get_running_loop()
        try:
            _, pipe = await loop.create_unix_connection(Pipe, str(_socket(self._folder, worker)))
        except OSError:  # no such worker: the key is wrong, or the worker has just died with its sessions
            return False
        try:
            pipe.write(upstream.cancel_request(INT32.pack(process) + secret))
            return await pipe.read(1) == b"1"
        except OSError:
            return False
        finally:
            pipe.abort()

    def _handed_over(self, pipe: Pipe) -> None:
        assert self._tasks is not None
        self._tasks.create_task(self._answer(pipe))

    async def _answer(self, pipe: Pipe) -> None:
        """What another worker hands over."""
        known = False
        try:
            async with asyncio.timeout(PATIENCE):
                head = await pipe.read(4)
                packet = downstream.parse_first(await pipe.read(startup_length(head) - 4))
                if isinstance(packet, downstream.CancelRequest):
                    known = await self._keys.cancel(packet.process, packet.secret)
                pipe.write(b"1" if known else b"0")
        except (OSError, ProtocolError, TimeoutError) as error:
            self._log.warning("a cancel request from another worker was lost", problem=str(error))
        finally:
            pipe.close(PATIENCE)

    async def _forward(self, replica: int, process: int, secret: bytes) -> None:
        address = self._peers.get(replica)
        if address is None:
            return
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        try:
            _, pipe = await loop.create_connection(Pipe, host.strip("[]"), int(port))
            try:
                await _encrypt(pipe)
                pipe.write(upstream.cancel_request(INT32.pack(process - FORWARDED) + secret))
                with suppress(ConnectionResetError):  # it closes when it has told its upstream
                    await pipe.read(1)
            finally:
                pipe.abort()
        except (OSError, ProtocolError) as error:
            self._log.warning("a cancel request could not be forwarded", replica=replica, problem=str(error))
        else:
            self._log.info("cancel forwarded", replica=replica)


async def _encrypt(pipe: Pipe) -> None:
    """If the peer offers it. Who it is need not be proven: a key is worth one cancel, and its session is the peer's."""
    pipe.write(upstream.ssl_request())
    answer = await pipe.read(1)
    if pipe.waiting:
        raise ProtocolError("the peer sent data before the TLS handshake")
    if answer == b"S":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        await pipe.start_tls(context, server_side=False)


def _socket(folder: Path, worker: int) -> Path:
    return folder / f"cancel-{worker}.sock"
