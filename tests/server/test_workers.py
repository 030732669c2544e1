"""The supervisor with real processes: small programs that do as the test's job for them says."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nlsql_gateway import log
from nlsql_gateway.errors import ConfigError, GatewayError
from nlsql_gateway.server.workers import Workers, private_folder, reserved_port, take_job

PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from nlsql_gateway.server.workers import obey, take_job

job = take_job(0).decode()
note = Path(job.split()[0])
lives = len(list(note.parent.glob(note.name + ".*")))
note.with_name(f"{note.name}.{lives}").write_text(str(os.getpid()))

async def main():
    over = asyncio.Event()
    def said(word, end):
        with note.open("a") as file:
            file.write(word + "\\n")
        if end:
            over.set()
    obey(0, stop=lambda: said("stop", "stubborn" not in job), abort=lambda: said("abort", True),
         reload=lambda: said("reload", False), orphan=lambda: said("orphan", True))
    print("ready here", flush=True)
    await over.wait()

if "broken" in job:
    sys.exit(2)
if job.endswith("crash") or job.endswith("crash-once") and lives == 0:
    os.abort()
asyncio.run(main())
"""


def command() -> list[str]:
    return [sys.executable, "-c", PROGRAM]


def workers(
    *jobs: str, died: Callable[[int], None] = lambda number: None, grace: float = 5, margin: float = 10
) -> Workers:
    encoded = [job.encode for job in jobs]
    return Workers(command(), encoded, grace=grace, margin=margin, died=died, log=log.logger("test"))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - it waits for files of another process
            await asyncio.sleep(0.02)


def test_all_are_told_and_ready_once(tmp_path: Path) -> None:
    ready: list[bool] = []
    notes = [tmp_path / "a", tmp_path / "b"]

    async def main() -> None:
        several = workers(*map(str, notes))
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(several.run(lambda: ready.append(True)))
            await until(lambda: bool(ready))
            several.reload()
            several.stop()
            await run

    asyncio.run(main())
    assert ready == [True]
    assert [note.read_text().split() for note in notes] == [["reload", "stop"]] * 2


def test_a_second_stop_aborts(tmp_path: Path) -> None:
    async def main() -> None:
        several = workers(f"{tmp_path}/a stubborn")
        ready = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(several.run(ready.set))
            await ready.wait()
            several.stop()
            await until((tmp_path / "a").exists)
            assert not run.done()
            several.stop()
            await run

    asyncio.run(main())
    assert (tmp_path / "a").read_text().split() == ["stop", "abort"]


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    async def main() -> None:
        several = workers(f"{tmp_path}/a stubborn", f"{tmp_path}/b", grace=0.5, margin=0.5)
        await several.run(several.stop)

    with pytest.raises(GatewayError, match="worker 1 failed at its end"):
        asyncio.run(main())
    assert (tmp_path / "b").read_text().split() == ["stop"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "a.0").read_text()), 0)


def test_a_dead_worker_is_started_again_and_the_others_stay(tmp_path: Path) -> None:
    died: list[int] = []

    async def main() -> None:
        several = workers(f"{tmp_path}/a", f"{tmp_path}/b crash-once", died=died.append)
        ready = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(several.run(ready.set))
            await ready.wait()
            assert died == [1]
            os.kill(int((tmp_path / "a.0").read_text()), signal.SIGKILL)
            await until((tmp_path / "a.1").exists)
            assert died == [1, 0]
            several.stop()
            await run

    asyncio.run(main())
    assert sorted(file.name for file in tmp_path.glob("*.*")) == ["a.0", "a.1", "b.0", "b.1"]


@pytest.mark.parametrize(("how", "error"), [("crash", GatewayError), ("broken", ConfigError)])
def test_it_gives_up_at_start_and_leaves_nobody(tmp_path: Path, how: str, error: type[GatewayError]) -> None:
    async def main() -> None:
        several = workers(f"{tmp_path}/a", f"{tmp_path}/b {how}")
        await several.run(lambda: pytest.fail("it is not ready"))

    with pytest.raises(error, match="worker 2") as caught:
        asyncio.run(main())
    assert type(caught.value) is error
    assert len(list(tmp_path.glob("b.*"))) == (3 if how == "crash" else 1)
    assert (tmp_path / "a").read_text().split() == ["orphan"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "a.0").read_text()), 0)


def test_stop_ends_the_wait_for_a_dead_worker(tmp_path: Path) -> None:
    async def main() -> None:
        dead: list[int] = []
        several = workers(f"{tmp_path}/a crash", died=dead.append)
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(several.run(lambda: pytest.fail("it is not ready")))
            await until(lambda: bool(dead))
            several.stop()
            await run

    asyncio.run(main())


def test_a_worker_is_not_started_by_hand() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from nlsql_gateway.server.workers import take_job; take_job(0)"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "EOFError: a worker is started by nlsql-gateway serve" in done.stderr


def test_a_job_is_read_to_its_last_byte_and_not_further() -> None:
    read, write = os.pipe()
    try:
        os.write(write, (5).to_bytes(8, "big") + b"abcdes")
        assert take_job(read) == b"abcde"
        assert os.read(read, 10) == b"s"
    finally:
        os.close(read)
        os.close(write)


# The port


def listening(port: int, *, shared: bool) -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind(("127.0.0.1", port))
    one.listen()
    return one


def test_the_port_is_held_for_those_that_share_it() -> None:
    with reserved_port("127.0.0.1", 0) as port:
        assert port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        with listening(port, shared=True) as first, listening(port, shared=True) as second:
            with socket.create_connection(("127.0.0.1", port)):
                first.settimeout(0.5)
                second.settimeout(0.5)
                accepted = 0
                for one in (first, second):
                    try:
                        one.accept()[0].close()
                        accepted += 1
                    except TimeoutError:
                        pass
                assert accepted == 1
            with pytest.raises(ConfigError, match="in use"), reserved_port("127.0.0.1", port):
                pass


def test_a_port_where_somebody_listens_is_refused() -> None:
    for shared in (True, False):
        with listening(0, shared=shared) as other, pytest.raises(ConfigError, match="in use"):
            reserved_port("127.0.0.1", other.getsockname()[1]).__enter__()


def test_a_name_of_two_addresses_has_one_port() -> None:
    with reserved_port("localhost", 0) as port, reserved_port("127.0.0.1", 0) as other:
        assert port != other


def test_the_folder_is_private_short_and_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    for place in (tmp_path, deep):
        monkeypatch.setattr("tempfile.tempdir", str(place))
        with private_folder() as folder:
            assert folder.stat().st_mode & 0o777 == 0o700
            assert len(str(folder / "cancel-127.sock")) < 108
            (folder / "cancel-0.sock").write_text("")
        assert not folder.exists()
