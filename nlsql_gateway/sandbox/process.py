"""``analyse``: a person's Python over the rows of an answer, in a process of its own (``child.py``), within limits."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from nlsql_gateway.errors import GatewayError

_CHILD: Final = Path(__file__).with_name("child.py")
_UNAVAILABLE: Final = 3
_STARTING: Final = 20.0
"""Seconds beside the person's own that the process has to start and to load its libraries."""

_LARGEST: Final = 8 * 1024**2
"""Bytes of an answer."""

_ENVIRONMENT: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
"""All of it."""


class AnalysisFailed(GatewayError):
    """The code did not come to its end; ``line`` is of the code, from 1, where that is known."""

    default_sqlstate = "38000"  # external_routine_exception

    def __init__(self, message: str, *, line: int | None = None, printed: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.printed = printed


@dataclass(frozen=True, slots=True)
class Limits:
    seconds: int = 10
    "Of processor time, and of waiting."
    memory: int = 512 * 1024**2
    "Bytes, beside what the libraries take."
    rows: int = 10_000
    "Of the result."


@dataclass(frozen=True, slots=True)
class Analysed:
    text: str
    "What was printed."
    columns: tuple[tuple[str, str], ...]
    "Name and kind: number, time, boolean, text; none: there is no result but the text."
    rows: list[tuple[str | None, ...]]
    more: bool
    "The result had more rows."


def missing() -> str:
    """What must be installed for it; nothing: ''."""
    return "" if find_spec("pandas") is not None else "pip install 'nlsql-gateway[analysis]'"


async def analyse(
    code: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[str | None]], limits: Limits
) -> Analysed:
    """Run ``code``, in which ``rows`` is a pandas frame; its last expression, or ``result``, is what comes of it.

    ``columns``: name and kind. Nothing that comes back is trusted. Raises AnalysisFailed. Cancelling ends the process.
    """
    if needed := missing():
        raise AnalysisFailed("pandas is not installed", hint=needed)
    request = json.dumps({
        "code": code, "columns": [{"name": name, "kind": kind} for name, kind in columns], "rows": rows,
        "seconds": limits.seconds, "memory": limits.memory, "most": limits.rows,
    }).encode()  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-B", _CHILD,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=_ENVIRONMENT, cwd="/", start_new_session=True, limit=64 * 1024,
    )  # fmt: skip
    try:
        async with asyncio.timeout(limits.seconds + _STARTING):
            answer = await _exchange(process, request)
            status = await process.wait()
    except TimeoutError as error:
        raise AnalysisFailed(f"it took more than {limits.seconds} s", hint="do less, or on fewer rows") from error
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return _read(answer, status, limits)


async def _exchange(process: asyncio.subprocess.Process, request: bytes) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None

    async def send(stream: asyncio.StreamWriter) -> None:
        try:
            stream.write(request)
            await stream.drain()
            stream.close()
        except (BrokenPipeError, ConnectionResetError):
            pass  # it ended before it read; its status says why

    answer = bytearray()
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(send(process.stdin))
        while len(answer) <= _LARGEST and (chunk := await process.stdout.read(64 * 1024)):
            answer += chunk
        sending.cancel()
    if len(answer) > _LARGEST:
        raise AnalysisFailed("its answer is too large", hint="print less, or give fewer rows")
    return bytes(answer)


def _read(answer: bytes, status: int, limits: Limits) -> Analysed:
    if status in (-signal.SIGXCPU, -signal.SIGALRM, -signal.SIGKILL):
        raise AnalysisFailed(f"it took more than {limits.seconds} s", hint="do less, or on fewer rows")
    try:
        found = json.loads(answer)
        if status == _UNAVAILABLE:
            raise AnalysisFailed(f"the sandbox is not available: {_text(found['error'])}", hint=_KERNEL)
        if "error" in found:
            line = found["line"] if isinstance(found["line"], int) else None
            raise AnalysisFailed(_text(found["error"]), line=line, printed=_text(found["text"]))
        return _checked(found, limits)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        ended = f"by signal {-status}" if status < 0 else f"with status {status}"
        raise AnalysisFailed(f"the process ended {ended} and without a readable answer") from error


_KERNEL: Final = "it needs Linux on x86-64 with seccomp"
_KINDS: Final = ("number", "time", "boolean", "text")


def _checked(found: dict[str, Any], limits: Limits) -> Analysed:
    """Raises ValueError and its like: it has another form than ``child.py`` gives it."""
    table = found["table"]
    if table is None:
        return Analysed(_text(found["text"]), (), [], more=False)
    columns = tuple((_text(one["name"]), one["kind"]) for one in table["columns"])
    rows = [tuple(cell if cell is None else _text(cell) for cell in row) for row in table["rows"]]
    if any(kind not in _KINDS for _, kind in columns) or any(len(row) != len(columns) for row in rows):
        raise ValueError("no table")
    return Analysed(_text(found["text"]), columns, rows[: limits.rows], more=bool(table["more"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value.encode(errors="replace").decode()
