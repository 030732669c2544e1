"""Pool: several servers of one model as one Generator.

1. A question goes to the server with the fewest open requests; among equals to the first as configured, which then is
   the one that has the schemas read.
2. One that cannot be reached, is not ready, fails or is overloaded: the question is tried at another one, once.
   A refused request is not, since it would be refused there too; nor one that is late, since its time is over.
3. A server that failed or was late rests: others are asked. When its rest is over, a canary goes to it beside the next
   question, and if that is answered it is asked again; if not, it rests twice as long. When all rest, all are asked.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic

from nlsql_gateway.ask.figures import Figures
from nlsql_gateway.ask.generator import Completion, Generator, Sampling
from nlsql_gateway.errors import AskError, AskTimeout, ModelUnavailable

FIRST_REST = 1.0
LONGEST_REST = 30.0
"Seconds."

SHORT = 2.0
"Seconds. A request that had less time than this may be late at a server that is well."


@dataclass(slots=True)
class _Server:
    name: str
    generator: Generator
    figures: Figures = field(default_factory=Figures)
    failures: int = 0
    "In a row; 0: it is well."
    rested: float = 0.0
    "When its rest is over, by the clock."
    serving: str = ""
    "As it said last."
    tried: bool = False
    "A canary is on its way to it."


class Pool:
    """A Generator. ``servers``: by name, at least one, in the order of preference; all serve the same model."""

    def __init__(self, servers: Mapping[str, Generator], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._servers = [_Server(name, generator) for name, generator in servers.items()]
        self._clock = clock

    @property
    def model(self) -> str:
        return self._servers[0].generator.model

    def figures(self) -> dict[str, Figures]:
        """Of each server by its name, as of now; the caller may keep them."""
        return {server.name: copy.deepcopy(server.figures) for server in self._servers}

    async def generate(self, prompt: str, sampling: Sampling, *, timeout: float) -> Completion:
        """See Generator."""
        due = self._due()
        if due is None:
            return await self._ask(prompt, sampling, timeout)
        result: Completion | AskError
        async with asyncio.TaskGroup() as group:
            canary = group.create_task(self._try(due))
            try:
                result = await self._ask(prompt, sampling, timeout)
            except AskError as error:  # out of the group it would come wrapped
                result = error
            canary.cancel()
        if isinstance(result, AskError):
            raise result
        return result

    async def ready(self) -> None:
        """See Generator: when one of them answers. Raises the first one's fault when none does."""
        faults = await asyncio.gather(*(self._fault(server) for server in self._servers))
        if None not in faults:
            raise next(fault for fault in faults if fault is not None)

    async def serving(self) -> str:
        """See Generator: of all servers, each as it last said, since a question may go to any."""

        async def look(server: _Server) -> None:
            try:
                server.serving = await server.generator.serving()
            except AskError:
                return  # what it said before: the others answer meanwhile

        await asyncio.gather(*map(look, self._servers))
        return ", ".join(server.serving for server in self._servers).strip(", ")

    async def aclose(self) -> None:
        for server in self._servers:
            await server.generator.aclose()

    async def _ask(self, prompt: str, sampling: Sampling, timeout: float) -> Completion:
        end = monotonic() + timeout
        first = self._choose(None)
        try:
            return await self._ask_one(first, prompt, sampling, timeout)
        except ModelUnavailable as error:
            left = end - monotonic()
            if error.fault == "refused" or len(self._servers) == 1 or left <= 0:
                raise
        first.figures.elsewhere += 1
        return await self._ask_one(self._choose(first), prompt, sampling, left)

    async def _ask_one(self, server: _Server, prompt: str, sampling: Sampling, timeout: float) -> Completion:
        figures = server.figures
        figures.asked += 1
        figures.open += 1
        started = monotonic()
        try:
            completion = await server.generator.generate(prompt, sampling, timeout=timeout)
        except ModelUnavailable as error:
            if error.fault == "down":
                figures.unavailable += 1
                self._rest(server)
            elif error.fault == "busy":
                figures.overloaded += 1
            else:
                figures.refused += 1
            raise
        except AskTimeout:
            figures.late += 1
            if timeout >= SHORT:
                self._rest(server)
            raise
        except asyncio.CancelledError:
            figures.cancelled += 1
            raise
        except BaseException:
            figures.failed += 1
            raise
        finally:
            figures.open -= 1
        figures.answer(monotonic() - started, completion.prompt_tokens, completion.tokens)
        self._wake(server)
        return completion

    def _choose(self, but: _Server | None) -> _Server:
        others = [server for server in self._servers if server is not but]
        return min(others, key=lambda server: (server.failures, server.figures.open))

    def _rest(self, server: _Server) -> None:
        now = self._clock()
        if now < server.rested:
            return  # those that were open together fail together
        server.rested = now + min(LONGEST_REST, FIRST_REST * 2.0 ** min(server.failures, 10))
        server.failures += 1
        server.figures.resting = True

    def _wake(self, server: _Server) -> None:
        server.failures = 0
        server.rested = 0.0
        server.figures.resting = False

    def _due(self) -> _Server | None:
        """One that has rested, if there is one that is well: else the question itself is the canary."""
        if all(server.failures == 0 for server in self._servers) or all(server.failures for server in self._servers):
            return None
        now = self._clock()
        return next((s for s in self._servers if s.failures and not s.tried and now >= s.rested), None)

    async def _try(self, server: _Server) -> None:
        server.tried = True
        try:
            fault = await self._fault(server)
            if fault is None or fault.fault == "busy":
                self._wake(server)
            else:
                self._rest(server)
        finally:
            server.tried = False

    async def _fault(self, server: _Server) -> ModelUnavailable | None:
        try:
            await server.generator.ready()
        except ModelUnavailable as error:
            return error
        return None
