"""The real tritonserver as our child: it starts, says what is wrong, and leaves nothing behind."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from nlsql_gateway.embedded.triton import EmbeddedTriton
from nlsql_gateway.errors import ConfigError, ModelUnavailable
from tests.embedded.processes import runs
from tests.model_repository.serving import REPOSITORY, Scripted, scripted


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    os.environ["NLSQL_TEST_SECRET"] = "do not pass on"  # noqa: TID251
    with scripted(tmp_path_factory.mktemp("triton")) as server:
        del os.environ["NLSQL_TEST_SECRET"]  # noqa: TID251
        yield server


def processes(server: EmbeddedTriton) -> list[psutil.Process]:
    """tritonserver and the stubs of its models."""
    assert server.pid is not None
    parent = psutil.Process(server.pid)
    return [parent, *parent.children(recursive=True)]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder that nobody else uses."""
    folder = tmp_path / "t"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def all_end(pids: list[int], *, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while any(runs(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(runs(pid) for pid in pids)


def test_says_where_it_listens(running: Scripted) -> None:
    assert running.url == f"grpc://127.0.0.1:{running.server.grpc_port}"
    assert running.server.is_running
    deadline = time.monotonic() + 5
    while "Started GRPCInferenceService" not in running.server.last_words and time.monotonic() < deadline:
        time.sleep(0.05)  # the log is looked at ten times a second
    assert "Started GRPCInferenceService" in running.server.last_words


def test_listens_on_loopback_only_and_by_grpc_only(running: Scripted) -> None:
    listening = {
        (connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port)  # IPv4 on a socket for both
        for process in processes(running.server)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", running.server.grpc_port)}


def test_models_get_no_variable_of_ours(running: Scripted) -> None:
    names = processes(running.server)
    assert len(names) >= 2
    for process in names:
        assert "NLSQL_TEST_SECRET" not in process.environ()
        assert "SCRIPTED_ANSWERS" in process.environ()


def test_a_second_one_beside_it_and_nothing_left_after(running: Scripted, tmp_path: Path, temporary: Path) -> None:
    with scripted(tmp_path) as second:
        assert second.url != running.url
        pids = [process.pid for process in processes(second.server)]
        (folder,) = temporary.iterdir()
        regions = f"nlsql_{folder.name.removeprefix('nlsql-triton-')}_*"
        assert list(Path("/dev/shm").glob(regions))
    assert not any(runs(pid) for pid in pids)
    assert list(temporary.iterdir()) == []
    assert list(Path("/dev/shm").glob(regions)) == []
    assert second.server.pid is None
    second.server.stop()


def test_it_can_be_started_again(tmp_path: Path) -> None:
    with scripted(tmp_path) as once:
        first = once.server.pid
        once.server.stop()
        assert once.server.pid is None
        once.server.start()
        assert once.server.is_running
        assert once.server.pid != first


def test_a_taken_port_is_said_at_once(running: Scripted) -> None:
    second = EmbeddedTriton(REPOSITORY, ["scripted"], running.server.grpc_port)
    with pytest.raises(ConfigError, match=f"port {running.server.grpc_port} is taken"):
        second.start()


def test_a_port_can_be_chosen(tmp_path: Path) -> None:
    while True:
        # Below the ports that outgoing connections take, so that it stays free until Triton is there.
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
            port = probe.getsockname()[1]
            break
    with scripted(tmp_path, port) as chosen:
        assert chosen.server.grpc_port == port


def test_a_server_that_died_leaves_no_stub(tmp_path: Path) -> None:
    with scripted(tmp_path) as crashed:
        everything = processes(crashed.server)
        assert len(everything) >= 2
        everything[0].send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 10
        while crashed.server.is_running and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not crashed.server.is_running
    assert all_end([process.pid for process in everything], patience=5)


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(ConfigError, match="no model nonesuch"):
        EmbeddedTriton(REPOSITORY, ["nonesuch"]).start()


def _repository(folder: Path, code: str) -> Path:
    (folder / "models" / "broken" / "1").mkdir(parents=True)
    (folder / "models" / "broken" / "config.pbtxt").write_text('name: "broken"\nbackend: "python"\n')
    (folder / "models" / "broken" / "1" / "model.py").write_text(code)
    return folder / "models"


def test_a_model_that_does_not_load_gives_its_reason(tmp_path: Path, temporary: Path) -> None:
    broken = EmbeddedTriton(_repository(tmp_path, "raise RuntimeError('no such file')\n"), ["broken"], cache=tmp_path)
    with pytest.raises(ModelUnavailable, match="Triton did not start") as failure:
        broken.start()
    assert "no such file" in failure.value.detail
    assert broken.pid is None
    assert list(temporary.iterdir()) == []


def test_a_model_that_never_loads_is_given_up(tmp_path: Path) -> None:
    code = "import time\nclass TritonPythonModel:\n    def initialize(self, args):\n        time.sleep(60)\n"
    slow = EmbeddedTriton(_repository(tmp_path, code), ["broken"], cache=tmp_path)
    with pytest.raises(ModelUnavailable, match="not ready in time"):
        slow.start(timeout=3)
    assert not slow.is_running


def test_the_models_find_our_packages(tmp_path: Path) -> None:
    code = (
        "import sys, xllamacpp, numpy\n"
        f"assert sys.version_info[:2] == {sys.version_info[:2]!r}\n"
        f"assert numpy.__file__.startswith({sys.prefix!r}), numpy.__file__\n"
        "raise RuntimeError('found them all')\n"
    )
    with pytest.raises(ModelUnavailable) as failure:
        EmbeddedTriton(_repository(tmp_path, code), ["broken"], cache=tmp_path).start()
    assert "found them all" in failure.value.detail


_PARENT = r"""
import sys, time
from pathlib import Path
from tests.model_repository.serving import scripted
with scripted(Path(sys.argv[1])) as server:
    Path(sys.argv[1], "pid").write_text(f"{server.server.pid}\n")
    time.sleep(600)
"""


def test_it_ends_with_us_even_when_we_are_killed(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    pid = tmp_path / "pid"
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tmp_path)], cwd=root, stdout=subprocess.DEVNULL
    ) as parent:
        while not (pid.exists() and pid.read_text().endswith("\n")) and parent.poll() is None:
            time.sleep(0.05)
        server = psutil.Process(int(pid.read_text()))
        everything = [server.pid, *(process.pid for process in server.children(recursive=True))]
        assert len(everything) >= 2
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert all_end(everything, patience=30)
