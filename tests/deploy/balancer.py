"""A real HAProxy with deploy/haproxy.cfg, but for addresses, for tests."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nlsql_gateway.embedded import child

PROGRAM: Final = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")  # noqa: TID251
SHIPPED: Final = Path(__file__).parents[2] / "deploy" / "haproxy.cfg"


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as free:
        free.bind((host, 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def haproxy(folder: Path, gateways: Sequence[tuple[str, int]]) -> Iterator[int]:
    """The port of one before these, on loopback."""
    assert PROGRAM is not None
    port = free_port()
    addresses = iter(gateways)
    text, count = re.subn(
        r"(?m)^(  server \w+) \S+$", lambda m: "{} {}:{}".format(m[1], *next(addresses)), SHIPPED.read_text()
    )
    assert count == len(gateways)
    text, count = re.subn(r"(?m)^  bind \S+$", f"  bind 127.0.0.1:{port}", text)
    assert count == 1
    file = folder / "haproxy.cfg"
    file.write_text(text)
    checked = subprocess.run([PROGRAM, "-c", "-f", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr, checked.stderr
    with (folder / "haproxy.log").open("wb") as log:
        process = child.spawn([PROGRAM, "-db", "-f", file], death_signal=signal.SIGKILL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 10
        while True:
            assert process.poll() is None, (folder / "haproxy.log").read_text()
            assert time.monotonic() < deadline
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        child.end(process, signal.SIGTERM, patience=5)
