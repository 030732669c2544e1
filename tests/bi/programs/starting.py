"""A tool that is a web server of its own: a free port, and waiting until it answers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def version(python: Path, package: str) -> str:
    """Of a package in another interpreter's environment."""
    program = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def server(command: Sequence[str | Path], url: str, environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """Run ``command`` until the block ends; raises with its log when ``url`` does not answer within two minutes."""
    with log.open("w") as out:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},  # noqa: TID251 - a program's
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        for _ in range(1200):
            if process.poll() is not None:
                break
            try:
                urllib.request.urlopen(url, timeout=10).close()
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise TimeoutError(log.read_text()[-5000:])
        if process.poll() is not None:
            raise RuntimeError(log.read_text()[-5000:])
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)
