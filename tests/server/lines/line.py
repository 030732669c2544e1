"""Line: a TCP proxy that cuts, halves, splits, joins and delays what passes, after any byte.

One leads from clients to the gateway, one from the gateway to PostgreSQL. What is done to a connection stands in its
``Plan``. A plan for the upstream's line is found by the ``application_name`` of the startup packet, which the gateway
hands on.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

Side = Literal["client", "upstream", "cancel"]
"""Between client and gateway, gateway and PostgreSQL; of the client's cancel request."""
Direction = Literal["up", "down"]
"""Towards PostgreSQL, towards the client."""
How = Literal["reset", "close", "half", "bytes", "join", "delay"]
"""The line is reset (RST); closed both ways (FIN); closed one way; or: single bytes, few large pieces, pauses."""

CUTS: tuple[How, ...] = ("reset", "close", "half")
_NAME = re.compile(rb"application_name\0(case-\d+)\0")


@dataclass(frozen=True, slots=True)
class Plan:
    side: Side
    direction: Direction
    how: How
    offset: int = 0
    "Bytes that still pass in this direction before a cut."


@dataclass
class Line:
    """``port`` leads to ``target``. ``passed`` counts the bytes of each case by direction."""

    target: tuple[str, int]
    plans: dict[str, Plan] = field(default_factory=dict)
    "By case."
    passed: dict[tuple[str, Direction], int] = field(default_factory=dict)
    port: int = 0

    @asynccontextmanager
    async def open(self, case: str = "") -> AsyncIterator[None]:
        """Listen; all connections are gone afterwards. ``case``: of every connection, else its startup packet says."""
        async with asyncio.TaskGroup() as tasks:
            ends: set[asyncio.StreamWriter] = set()

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                ends.add(writer)
                task = tasks.create_task(self._serve(reader, writer, case))
                task.add_done_callback(lambda _: ends.discard(writer))

            server = await asyncio.start_server(accept, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            try:
                yield
            finally:
                server.close()
                for end in list(ends):
                    end.transport.abort()  # then the rest of its connection ends by itself

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, case: str) -> None:
        far: asyncio.StreamWriter | None = None
        try:
            first = b""
            if not case:
                head = await reader.readexactly(4)
                first = head + await reader.readexactly(struct.unpack("!i", head)[0] - 4)
                found = _NAME.search(first)
                case = found[1].decode() if found else ""
            far_reader, far = await asyncio.open_connection(*self.target)
            plan = self.plans.get(case)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass(first, reader, far, writer, case, "up", plan))
                tasks.create_task(self._pass(b"", far_reader, writer, far, case, "down", plan))
        except* (OSError, asyncio.IncompleteReadError, _CutError):
            pass
        finally:
            for end in (writer, far):
                if end is not None:
                    end.close()
            for end in (writer, far):
                if end is not None:
                    with contextlib.suppress(OSError):
                        await end.wait_closed()

    async def _pass(
        self,
        data: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
        case: str,
        direction: Direction,
        plan: Plan | None,
    ) -> None:
        """Until the sender has ended; then so does what it sent, and the other direction goes on."""
        if plan is not None and plan.direction != direction:
            plan = None
        passed = 0
        halved = False
        cuts = plan is not None and plan.how in CUTS
        while True:
            if plan is not None and cuts and not halved and passed + len(data) >= plan.offset:
                writer.write(data[: plan.offset - passed])
                await writer.drain()
                self.passed[case, direction] = plan.offset
                await _cut(plan.how, writer, back)
                halved = True
            elif data and not halved:
                await _write(data, writer, plan)
                passed += len(data)
                self.passed[case, direction] = passed
            if plan is not None and plan.how == "join":
                await asyncio.sleep(0.02)
            data = await reader.read(65536)
            if not data:
                break
        if not halved:
            with contextlib.suppress(OSError):
                writer.write_eof()


class _CutError(Exception):
    """Both directions end."""


async def _cut(how: How, writer: asyncio.StreamWriter, back: asyncio.StreamWriter) -> None:
    if how == "half":
        writer.write_eof()
        return
    if how == "reset":
        for end in (writer, back):
            found: socket.socket = end.get_extra_info("socket")
            with contextlib.suppress(OSError):
                # Linger for no time: close() then sends RST (socket(7))
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.transport.abort()
    raise _CutError


async def _write(data: bytes, writer: asyncio.StreamWriter, plan: Plan | None) -> None:
    how = plan.how if plan is not None else "join"
    if how == "bytes":
        for position in range(len(data)):
            writer.write(data[position : position + 1])
            await asyncio.sleep(0)
    elif how == "delay":
        for half in (data[: len(data) // 2], data[len(data) // 2 :]):
            writer.write(half)
            await asyncio.sleep(random.random() * 0.01)
    else:
        writer.write(data)
    await writer.drain()
