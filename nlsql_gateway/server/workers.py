"""Workers: a gateway of several processes. The supervisor starts them, starts a dead one again, and ends with the last.

Each worker is a new Python (no fork), serves like a gateway of one process, and listens on the same port with
SO_REUSEPORT, so that the kernel deals the connections out. What the supervisor tells a worker goes through its standard
input: first its job, then commands of one byte. When that pipe closes, the supervisor is gone, and the worker ends at
once: none is left over, however the supervisor ended.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

from nlsql_gateway.errors import ConfigError, GatewayError

STOP: Final = b"s"
ABORT: Final = b"a"
RELOAD: Final = b"r"

TRIES: Final = 3
"""How often a worker may die before all have been ready once; then the gateway gives up."""

PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
"""Seconds before a dead worker is started again; doubled each time that it did not live for as long as this."""

MARGIN: Final = 10.0
"""Seconds after ``grace`` that a worker has to end; then it is killed."""


class Workers:
    """Drive it with ``run``; ``stop`` and ``reload`` come from signals."""

    def __init__(
        self,
        command: Sequence[str],
        jobs: Sequence[Callable[[], bytes]],
        *,
        grace: float,
        margin: float = MARGIN,
        died: Callable[[int], None],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """``command`` starts a worker; ``died`` gets the index of a dead one.

        ``jobs`` gives what each is to do, asked when it is started and when it is started again.

        A worker prints a line that begins with ``ready`` on standard output when it accepts connections.
        """
        self._command = command
        self._jobs = jobs
        self._grace = grace
        self._margin = margin
        self._died = died
        self._log = log
        self._processes: dict[int, Process] = {}
        self._not_ready = set(range(len(jobs)))
        self._failed: list[int] = []
        self._all_ready = asyncio.Event()
        self._stopping = asyncio.Event()

    async def run(self, ready: Callable[[], None]) -> None:
        """Until ``stop``, then until all workers are gone; ``ready`` is called once, when all accept connections.

        Raises GatewayError when a worker cannot be started or does not end well, ConfigError when it has already said
        on standard error why it cannot start.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                keepers = [tasks.create_task(self._keep(number)) for number in range(len(self._jobs))]
                herald = tasks.create_task(self._announce(ready))
                await asyncio.wait(keepers)
                herald.cancel()
        except* GatewayError as failures:
            raise failures.exceptions[0] from None
        if self._failed:
            raise GatewayError(f"worker {self._failed[0]} failed at its end")

    def stop(self) -> None:
        """Let all workers finish what runs. A second call ends it."""
        if self._stopping.is_set():
            self._tell(ABORT)
        else:
            self._stopping.set()
            self._tell(STOP)
            asyncio.get_running_loop().call_later(self._grace + self._margin, self._kill)

    def reload(self) -> None:
        self._tell(RELOAD)

    def _tell(self, command: bytes) -> None:
        for process in self._processes.values():
            assert process.stdin is not None
            process.stdin.write(command)

    def _kill(self) -> None:
        for number, process in self._processes.items():
            self._log.error("a worker did not end and is killed", worker=number + 1)
            process.kill()

    async def _announce(self, ready: Callable[[], None]) -> None:
        await self._all_ready.wait()
        ready()

    async def _keep(self, number: int) -> None:
        """One worker, as often as it must be started."""
        tries, pause = 0, PAUSE
        while not self._stopping.is_set():
            began = time.monotonic()
            status = await self._one(number)
            self._died(number)
            if self._stopping.is_set():
                if status != 0:
                    self._log.error("a worker failed at its end", worker=number + 1, status=status)
                    self._failed.append(number + 1)
                return
            tries += 1
            (self._log.error if status else self._log.info)("a worker ended", worker=number + 1, status=status)
            if not self._all_ready.is_set():
                if status == 2:  # the CLI's status for a wrong file; it has said which
                    raise ConfigError(f"worker {number + 1} cannot start; see its error above")
                if tries >= TRIES:
                    raise GatewayError(
                        f"worker {number + 1} ended {tries} times before it was ready, last with {status}"
                    )
            if time.monotonic() - began > LONGEST_PAUSE:
                pause = PAUSE
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _one(self, number: int) -> int:
        """Start the worker and wait for its end; its exit status, negative for a signal."""
        process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        job = self._jobs[number]()
        process.stdin.write(len(job).to_bytes(8, "big") + job)
        self._processes[number] = process
        if self._stopping.is_set():
            process.stdin.write(STOP)
        try:
            while line := await process.stdout.readline():
                if line.startswith(b"ready "):
                    self._not_ready.discard(number)
                    if not self._not_ready:
                        self._all_ready.set()
            return await process.wait()
        finally:
            del self._processes[number]
            if process.returncode is None:  # we give up
                process.stdin.close()
                try:
                    async with asyncio.timeout(self._margin):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()


def take_job(descriptor: int) -> bytes:
    """In a worker: what the supervisor wants of it. Raises EOFError when there is no supervisor.

    Nothing is read beyond it: what follows are commands.
    """
    return _exactly(descriptor, int.from_bytes(_exactly(descriptor, 8), "big"))


def _exactly(descriptor: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = os.read(descriptor, count - len(data))
        if not more:
            raise EOFError("a worker is started by nlsql-gateway serve, not by hand")
        data += more
    return data


def obey(
    descriptor: int,
    *,
    stop: Callable[[], None],
    abort: Callable[[], None],
    reload: Callable[[], None],
    orphan: Callable[[], None],
) -> None:
    """In a worker's loop: carry out what comes through ``descriptor``. ``orphan``: the supervisor is gone."""
    loop = asyncio.get_running_loop()
    os.set_blocking(descriptor, False)

    def read() -> None:
        commands = os.read(descriptor, 64)
        if not commands:
            loop.remove_reader(descriptor)
            orphan()
        for command in commands:
            {STOP[0]: stop, ABORT[0]: abort, RELOAD[0]: reload}[command]()

    loop.add_reader(descriptor, read)


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder that only we may enter, with a path short enough for the address of a Unix socket (107 bytes)."""
    folder = Path(tempfile.mkdtemp(prefix="nlsql-gateway-"))
    if len(os.fsencode(folder)) > 80:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="nlsql-gateway-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def reserved_port(host: str, port: int) -> Iterator[int]:
    """The port to listen on, a free one for 0, held for our workers by sockets that are bound and do not listen.

    Raises ConfigError when somebody else listens there: with SO_REUSEPORT alone a second gateway of the same user
    would share the port unnoticed.
    """
    with ExitStack() as held:
        try:
            for family, address in _addresses(host):
                with socket.socket(family, socket.SOCK_STREAM) as alone:
                    alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    _bind(alone, (address[0], port, *address[2:]))
                one = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                _bind(one, (address[0], port, *address[2:]))
                port = one.getsockname()[1]
        except OSError as error:
            raise ConfigError(f"listen: {host} port {port}: {error.strerror}") from error
        yield port


def _addresses(host: str) -> list[tuple[int, tuple[object, ...]]]:
    """As asyncio's create_server finds them."""
    found = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _bind(one: socket.socket, address: tuple[object, ...]) -> None:
    if one.family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.bind(address)
