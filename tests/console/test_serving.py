"""The console as a process: the command, and the child of ``serve``."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from nlsql_gateway import console_serving
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import ConfigError
from tests.console.conftest import DATABASE, POLICY, House
from tests.e2e import harness
from tests.e2e.harness import COMMAND


def run(config: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(COMMAND), "console", "--config", str(config), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_the_command_serves_until_sigterm(house: House) -> None:
    gateway = f"127.0.0.1:{house.gateway.port}"
    with run(house.gateway.config, "--port", "0", "--gateway", gateway) as process:
        assert process.stdout is not None
        name, host, port = process.stdout.readline().split()
        assert (name, host) == ("console", "127.0.0.1")
        assert httpx.get(f"http://127.0.0.1:{port}/sign-in").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {}, "listen.port is 0: say where the gateway listens"),
        ({"console": {"listen": {"host": "0.0.0.0"}}}, {}, "passwords would be sent in clear"),
        (
            {"auth": {"method": "trust"}, "console": {"listen": {"host": "0.0.0.0", "behind_tls": True}}},
            {"gateway": ("127.0.0.1", 1)},
            "trust asks for no password",
        ),
        ({}, {"host": "0.0.0.0", "gateway": ("127.0.0.1", 1)}, "passwords would be sent in clear"),
    ],
)
def test_what_does_not_start(
    house: House, tmp_path: Path, changes: dict[str, object], options: dict[str, Any], message: str
) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(yaml.safe_dump({**yaml.safe_load(house.gateway.config.read_text()), **changes}))
    with pytest.raises(ConfigError, match=message):
        console_serving.serve(config, **{"host": None, "port": None, "gateway": None, "ready": unready, **options})


def unready(host: str, port: int) -> None:
    raise AssertionError(f"it is not to serve at {host} port {port}")


def test_a_taken_port_is_named(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1 port {number}: Address already in use"):
            console_serving.serve(house.gateway.config, host=None, port=number, gateway=("127.0.0.1", 1), ready=unready)


def test_serve_keeps_one_running_and_ends_it(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    with harness.gateway(
        tmp_path, postgres, database=DATABASE, policy=policy, role=postgres.superuser, password=postgres.password,
        console={"listen": {"port": 0}},
    ) as gateway:  # fmt: skip
        first = port(tmp_path, 0)
        assert httpx.get(f"http://127.0.0.1:{first}/sign-in").status_code == 200
        (child,) = children(gateway.process.pid)
        os.kill(child, signal.SIGKILL)
        second = port(tmp_path, 1)
        assert httpx.get(f"http://127.0.0.1:{second}/sign-in").status_code == 200
        (child,) = children(gateway.process.pid)
        assert gateway.stop() == 0
        assert not Path(f"/proc/{child}").exists()


def children(pid: int) -> list[int]:
    """The consoles of a gateway."""
    found = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return [child for child in found if b"\0console\0" in Path(f"/proc/{child}/cmdline").read_bytes()]


def port(folder: Path, before: int) -> int:
    """Of the console that said so after ``before`` others."""
    deadline = time.monotonic() + 30
    while True:
        said = [line for line in (folder / "gateway.log").read_text().splitlines() if line.startswith("console ")]
        if len(said) > before:
            return int(said[before].split()[2])
        assert time.monotonic() < deadline, (folder / "gateway.log").read_text()
        time.sleep(0.05)
