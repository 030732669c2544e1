"""The image's health check against a server that speaks PostgreSQL, one that hangs and none."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from nlsql_gateway.embedded.postgres import EmbeddedPostgres

SCRIPT = Path(__file__).parents[2] / "deploy" / "healthcheck.py"


def _check(host: str, port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, host, str(port)], capture_output=True, text=True, check=False)


def test_is_content_with_a_server(postgres: EmbeddedPostgres) -> None:
    result = _check(postgres.host, postgres.port)
    assert (result.returncode, result.stdout) == (0, "")


def test_says_what_is_wrong_when_nobody_listens() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else gets the port
        port = reserved.getsockname()[1]
        result = _check("127.0.0.1", port)
    assert result.returncode == 1
    assert f"127.0.0.1:{port}" in result.stdout


def test_is_not_content_with_an_open_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = _check("127.0.0.1", silent.getsockname()[1])
    assert result.returncode == 1
    assert "timed out" in result.stdout
