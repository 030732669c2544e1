"""Our own commands as child processes that say when they are ready: ``serve``, ``model serve``."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from nlsql_gateway.embedded import child
from nlsql_gateway.errors import UpstreamError


def start_program(
    name: str, parts: ExitStack, arguments: Sequence[str], log: Path, *, timeout: float
) -> tuple[subprocess.Popen[bytes], str]:
    """Start one of our own commands and wait for its line ``ready HOST PORT``. Returns it and ``HOST:PORT``.

    Its standard error goes to ``log``. Raises UpstreamError with the end of the log when it does not come up.
    """
    with log.open("wb") as errors:
        process = child.spawn(ourselves(arguments), death_signal=signal.SIGTERM, stdout=subprocess.PIPE, stderr=errors)
    parts.callback(child.end, process, signal.SIGTERM, patience=20)
    assert process.stdout is not None
    parts.callback(process.stdout.close)
    deadline = time.monotonic() + timeout
    said = b""
    while not said.endswith(b"\n"):
        readable, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        more = os.read(process.stdout.fileno(), 4096) if readable else b""
        if not more:
            late = f"was not ready within {timeout:g} s" if not readable else "did not start"
            words = "\n".join(line[:160] for line in log.read_text(errors="replace").splitlines()[-8:])
            raise UpstreamError(f"{name} {late}", detail=words, hint=f"all it said is in {log}")
        said += more
    word, host, port = said.decode().split()
    assert word == "ready", said
    return process, f"{host}:{port}"


def ourselves(arguments: Sequence[str]) -> list[str | Path]:
    """The command line of one of our own commands."""
    return [sys.executable, "-m", "nlsql_gateway", *arguments]
