"""Readiness: who is asked how often, and what is told meanwhile."""

from __future__ import annotations

import asyncio

from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.figures import MOST, OTHER, Tally
from nlsql_gateway.observing import readiness
from nlsql_gateway.observing.readiness import Part, Readiness


class Tried:
    """A part that a test makes well, ill or slow."""

    def __init__(self) -> None:
        self.times = 0
        self.problem: Exception | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self) -> None:
        self.times += 1
        await self.go_on.wait()
        if self.problem is not None:
            raise self.problem


def test_many_probes_are_one_try() -> None:
    async def main() -> None:
        tried = Tried()
        one = Readiness(lambda: "serving", [Part("upstream", tried, 60)])
        async with one.open():
            assert (
                await asyncio.gather(*(one.report() for _ in range(20)))
                == [(True, {"ready": True, "gateway": "serving", "upstream": "ok"})] * 20
            )
            await one.report()
        assert tried.times == 1

    asyncio.run(main())


def test_who_is_ill_is_not_ready_unless_not_needed() -> None:
    async def main() -> None:
        tried = Tried()
        tried.problem = UpstreamError("it is gone")
        for needed in (True, False):
            one = Readiness(lambda: "serving", [Part("upstream", tried, 0, needed=needed)])
            async with one.open():
                ready, told = await one.report()
                assert ready is not needed
                assert told["upstream"] == "it is gone"
                tried.problem = None
                assert (await one.report())[0]
                tried.problem = UpstreamError("it is gone")

    asyncio.run(main())


def test_a_fault_of_another_kind_is_told_by_its_name_alone() -> None:
    async def main() -> None:
        tried = Tried()
        tried.problem = RuntimeError("canary")
        one = Readiness(lambda: "serving", [Part("upstream", tried, 0)])
        async with one.open():
            assert (await one.report())[1]["upstream"] == "failed: RuntimeError"

    asyncio.run(main())


def test_a_slow_part_leaves_what_was_known() -> None:
    async def main() -> None:
        tried = Tried()
        one = Readiness(lambda: "serving", [Part("upstream", tried, 0)])
        async with one.open():
            tried.go_on.clear()
            assert (await one.report())[1]["upstream"] == readiness.UNTRIED
            assert one.known() == {}
            tried.go_on.set()
            assert (await one.report())[0]
            tried.go_on.clear()
            assert (await one.report())[0]  # as it was last
            assert tried.times == 2
            assert one.known() == {"upstream": True}

    asyncio.run(main())


def test_who_stops_tries_nothing() -> None:
    async def main() -> None:
        tried = Tried()
        one = Readiness(lambda: "stopping", [Part("upstream", tried, 0)])
        async with one.open():
            assert await one.report() == (
                False,
                {"ready": False, "gateway": "stopping", "upstream": readiness.UNTRIED},
            )
        assert tried.times == 0

    asyncio.run(main())


def test_a_tally_has_few_keys_whatever_comes() -> None:
    tally = Tally()
    for number in range(3 * MOST):
        tally.add(str(number))
        tally.add("deny", f"reason {number}")
    assert len(tally.counts) <= MOST + 2
    assert sum(tally.counts.values()) == 6 * MOST
    assert tally.counts[OTHER, ""] > 0
    assert tally.counts["deny", OTHER] > 0
