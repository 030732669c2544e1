"""Between workers: real sockets, in one event loop."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from nlsql_gateway import log
from nlsql_gateway.config import Cancel
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.server.cancel import CancelKeys, Place
from nlsql_gateway.server.cancel_routes import CancelRoutes
from nlsql_gateway.wire.downstream import CancelRequest
from nlsql_gateway.wire.messages import CANCEL_REQUEST


class Worker:
    """One process' keys and routes; ``cancelled`` has the sessions that were cancelled."""

    def __init__(self, number: int, folder: Path) -> None:
        place = Place(0, number)
        self.keys = CancelKeys(place)
        self.routes = CancelRoutes(self.keys, place, Cancel(), folder, log.logger("test"))
        self.cancelled: list[str] = []

    def session(self, name: str, takes: float = 0) -> CancelRequest:
        """A session, and the request that cancels it."""

        async def cancel() -> None:
            await asyncio.sleep(takes)
            self.cancelled.append(name)

        return CancelRequest(*self.keys.mint(cancel, length=4))


def served(folder: Path, count: int, test: Any) -> None:
    """Run ``test`` with so many workers."""

    async def main() -> None:
        workers = [Worker(number, folder) for number in range(count)]
        async with asyncio.TaskGroup() as tasks:
            for worker in workers:
                await worker.routes.open(tasks)
            steps: Coroutine[Any, Any, None] = test(*workers)
            await steps
            for worker in workers:
                worker.routes.close()

    asyncio.run(main())


def test_a_request_is_handed_to_its_worker_and_waits_for_it(tmp_path: Path) -> None:
    async def test(first: Worker, second: Worker) -> None:
        mine, other = first.session("mine"), second.session("other", takes=0.2)
        await first.routes.request(mine, "a")
        await first.routes.request(other, "a")
        assert (first.cancelled, second.cancelled) == (["mine"], ["other"])
        await second.routes.request(mine, "a")
        assert first.cancelled == ["mine", "mine"]

    served(tmp_path, 2, test)


def test_a_wrong_secret_and_a_worker_that_is_not_there_are_guesses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def test(first: Worker, second: Worker) -> None:
        other = second.session("other")
        for _ in range(30):
            await first.routes.request(CancelRequest(other.process, b"\0\0\0\0"), "a")
            await first.routes.request(CancelRequest(Place(0, 7).base | 1, b"\0\0\0\0"), "a")
        assert second.cancelled == []
        await asyncio.gather(*(first.routes.request(CancelRequest(other.process, b"1234"), "a") for _ in range(20)))

    served(tmp_path, 2, test)
    assert capsys.readouterr().out.count("too many wrong cancel keys") == 1


def test_the_socket_of_a_dead_worker_is_taken_over(tmp_path: Path) -> None:
    async def test(first: Worker) -> None:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / "cancel-1.sock"))
        await first.routes.request(CancelRequest(Place(0, 1).base | 1, b"1234"), "a")  # nobody listens there
        second = Worker(1, tmp_path)
        async with asyncio.TaskGroup() as tasks:
            await second.routes.open(tasks)
            await first.routes.request(second.session("new"), "a")
            second.routes.close()
        assert second.cancelled == ["new"]

    served(tmp_path, 1, test)


@pytest.mark.parametrize(
    "said", [b"", b"\0\0", b"\0\0\0\1", b"\0\0\0\x08\0\3\0\0", struct.pack("!i", 10**6), b"x" * 40]
)
def test_what_is_no_request_harms_nobody(tmp_path: Path, said: bytes) -> None:
    async def test(first: Worker) -> None:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "cancel-0.sock")
        writer.write(said)
        writer.write_eof()
        assert await reader.read() in (b"", b"0")
        writer.close()
        await first.routes.request(first.session("fine"), "a")
        assert first.cancelled == ["fine"]

    served(tmp_path, 1, test)


def test_a_folder_that_is_gone_is_a_clear_error(tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            await Worker(0, tmp_path / "gone").routes.open(tasks)

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(main())
    assert caught.group_contains(ConfigError, match="cancel-0.sock")


def test_the_packet_is_an_ordinary_one(tmp_path: Path) -> None:
    """Whatever reads CancelRequests can be the other worker."""

    async def test(first: Worker) -> None:
        seen: list[bytes] = []

        async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await reader.readexactly(16))
            writer.write(b"1")
            writer.close()

        async with await asyncio.start_unix_server(other, tmp_path / "cancel-5.sock"):
            process = Place(0, 5).base | 9
            await first.routes.request(CancelRequest(process, b"four"), "a")
        assert seen == [struct.pack("!iii", 16, CANCEL_REQUEST, process) + b"four"]

    served(tmp_path, 1, test)
