"""Readiness: whether clients should be sent here, from what each part does when it is tried.

Probes come often and from several sides, and a part may take long to say that it does not answer. So a part is tried
at most once in ``every`` seconds, whoever asks; who asks waits ``PATIENCE`` for a try that goes on, then is told what
the last one found.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from nlsql_gateway.errors import GatewayError

PATIENCE: Final = 0.8
"""Seconds; Kubernetes gives a probe one."""

UNTRIED: Final = "not tried yet"


@dataclass(slots=True)
class Part:
    """What is needed to serve clients."""

    name: str
    attempt: Callable[[], Awaitable[None]]
    "Returns when it is well. Raises GatewayError, whose message holds no secret."
    every: float
    "Seconds."
    needed: bool = True
    "Without it the gateway is not ready; else it is only told."
    problem: str = UNTRIED
    "Of the last try; empty: none."
    _tried: float = field(default=float("-inf"))
    trying: asyncio.Task[None] | None = None
    "The try that goes on."

    def due(self, tasks: asyncio.TaskGroup) -> asyncio.Task[None] | None:
        """The try that goes on, begun now if it is time; None: the last one is fresh."""
        if self.trying is None and monotonic() - self._tried >= self.every:
            self.trying = tasks.create_task(self._try())
        return self.trying

    async def _try(self) -> None:
        try:
            await self.attempt()
        except GatewayError as error:
            self.problem = error.message
        except Exception as error:  # noqa: BLE001 - told by its kind: its words may hold anything
            self.problem = f"failed: {type(error).__name__}"
        else:
            self.problem = ""
        finally:
            self._tried = monotonic()
            self.trying = None


class Readiness:
    """``state``: what the gateway does; only ``serving`` is ready."""

    def __init__(self, state: Callable[[], str], parts: Sequence[Part]) -> None:
        self._state = state
        self._parts = parts
        self._tasks: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """While this lasts parts can be tried; what is tried at the end is cancelled."""
        failure: BaseException | None = None
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                yield
            except BaseException as error:  # noqa: BLE001 - as it is, not in the group of a TaskGroup
                failure = error
            finally:
                self._tasks = None
                for part in self._parts:
                    if part.trying is not None:
                        part.trying.cancel()
        if failure is not None:
            raise failure

    async def report(self) -> tuple[bool, dict[str, object]]:
        """Whether it is ready, and what to tell: each part with ``ok`` or what is wrong."""
        if self._tasks is not None and self._state() == "serving":
            trying = [task for part in self._parts if (task := part.due(self._tasks)) is not None]
            if trying:
                await asyncio.wait(trying, timeout=PATIENCE)
        state = self._state()
        ready = state == "serving" and not any(part.needed and part.problem for part in self._parts)
        return ready, {
            "ready": ready,
            "gateway": state,
            **{part.name: part.problem or "ok" for part in self._parts},
        }

    def known(self) -> dict[str, bool]:
        """Each part that was tried, with whether it was well: nothing is tried."""
        return {part.name: not part.problem for part in self._parts if part.problem != UNTRIED}
