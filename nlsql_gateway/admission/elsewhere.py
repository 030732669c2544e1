"""Elsewhere: large texts are read and decided on in a process of their own, so that nobody else waits meanwhile.

To read a statement and decide on it takes a few microseconds a character, and the event loop serves all clients. A
thread would not help: the parser holds the interpreter's lock. So there is one process, started when the gateway
starts, which is sent what it needs and nothing else, and is started again when it dies (a text that takes all memory
takes that process along, not the gateway).

Both sides speak in frames: four bytes of length, then a pickle. The peer is our own child on a pipe.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO, Final, NamedTuple

from nlsql_gateway.admission.values import Judgement
from nlsql_gateway.errors import LimitError
from nlsql_gateway.policy import Policy, Principal
from nlsql_gateway.sql import Catalog

LARGE: Final = 1000
"""Characters of a text that goes there: a new one of this size takes some milliseconds."""

PATIENCE: Final = 60.0
"""Seconds for one text."""

_LENGTH: Final = 4
_KEPT: Final = 4
"""Pairs of policy and catalog that the process keeps."""


class Read(NamedTuple):
    judgement: Judgement | None
    "None: the text is a question."
    sample: Judgement | None
    "On the sample of the text's template, if that was asked for and there is one."


class Job(NamedTuple):
    text: str
    principal: Principal
    versions: tuple[str, str]
    with_sample: bool
    parts: bytes
    "The pickled pair of policy and catalog; empty when the process has it."


class Elsewhere:
    """One text at a time, in the order in which they come. Bound to one event loop."""

    def __init__(self, command: Sequence[str]) -> None:
        """``command`` runs ``serve`` on its standard input and output."""
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._known: list[tuple[str, str]] = []
        "What the process was sent, as it keeps it."
        self._turn = asyncio.Lock()

    async def judge(
        self, text: str, principal: Principal, policy: Policy, catalog: Catalog | None, *, with_sample: bool
    ) -> Read:
        """Raises LimitError when the process died of the text, or took too long."""
        async with self._turn:
            process = await self._started()
            versions = (policy.version, catalog.version if catalog is not None else "")
            parts = b"" if versions in self._known else pickle.dumps((policy, catalog))
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await _exchange(process, pickle.dumps(Job(text, principal, versions, with_sample, parts)))
            except (TimeoutError, ConnectionError, asyncio.IncompleteReadError) as error:
                await self._end()
                raise LimitError("the statement is too large to be read", hint="send a shorter one") from error
            except BaseException:
                await self._end()  # cancelled: the answer that is to come is not the next one's
                raise
            if parts:
                self._known = [*self._known[1 - _KEPT :], versions]
            return answer

    async def start(self) -> None:
        """So that the first large text does not wait for it."""
        async with self._turn:
            await self._started()

    async def aclose(self) -> None:
        async with self._turn:
            await self._end()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._known = []
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,  # Ctrl-C at the terminal is for the gateway, which ends it in order
            )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _exchange(process: asyncio.subprocess.Process, job: bytes) -> Read:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(len(job).to_bytes(_LENGTH, "big"))
    process.stdin.write(job)
    await process.stdin.drain()
    length = int.from_bytes(await process.stdout.readexactly(_LENGTH), "big")
    answer = pickle.loads(await process.stdout.readexactly(length))  # noqa: S301 - from our own child
    assert isinstance(answer, Read)
    return answer


class Parts:
    """In the process: what it was sent."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[Policy, Catalog | None]] = {}

    def of(self, job: Job) -> tuple[Policy, Catalog | None]:
        if job.parts:
            while len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            self._known[job.versions] = pickle.loads(job.parts)  # noqa: S301 - from our own parent
        return self._known[job.versions]


def receive(source: BinaryIO) -> Job | None:
    """None: the gateway is gone."""
    length = source.read(_LENGTH)
    if len(length) < _LENGTH:
        return None
    body = source.read(int.from_bytes(length, "big"))
    job = pickle.loads(body)  # noqa: S301 - from our own parent
    assert isinstance(job, Job)
    return job


def send(target: BinaryIO, answer: Read) -> None:
    body = pickle.dumps(answer)
    target.write(len(body).to_bytes(_LENGTH, "big"))
    target.write(body)
    target.flush()
