"""How long vocabularies are kept, for whom, and in how much memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nlsql_gateway.admission.vocabularies import SHARE, Vocabularies, Whose
from nlsql_gateway.ask import Vocabulary
from nlsql_gateway.ask.vocabulary import Held
from nlsql_gateway.errors import UpstreamError
from tests.ask.shop import SHOP

T = TypeVar("T")

ADA = Whose("shop", "ada's", "p1", "c1")


class Reader:
    """Reads as many values as it is told, of the place that the number of the reading is."""

    def __init__(self, values: int = 1, *, failing: bool = False, gate: asyncio.Event | None = None) -> None:
        self.readings = 0
        self.values = values
        self.failing = failing
        self.gate = gate

    async def __call__(self) -> Vocabulary:
        self.readings += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.failing:
            raise UpstreamError("the value Berlin is wrong")
        held = Held((("public", "customers"), "city"), tuple(map(str, range(self.values))))
        return Vocabulary([held], SHOP, 1 << 30)


def run(use: Callable[[Vocabularies], Awaitable[T]], *, seconds: float = 60, most: int = 1 << 20) -> T:
    async def main() -> T:
        async with asyncio.TaskGroup() as tasks:
            vocabularies = Vocabularies(seconds, most)
            vocabularies.tasks = tasks
            try:
                return await use(vocabularies)
            finally:
                await vocabularies.aclose()

    return asyncio.run(main())


def test_who_has_the_same_rights_shares_one_and_nobody_else() -> None:
    reader = Reader()

    async def use(vocabularies: Vocabularies) -> list[int]:
        first = await vocabularies.of(ADA, reader)
        assert await vocabularies.of(ADA, reader) is first
        others = [ADA._replace(rights="emil's"), ADA._replace(policy="p2"), ADA._replace(catalog="c2")]
        found = [await vocabularies.of(one, reader) for one in (*others, ADA._replace(database="other"))]
        assert first not in found
        return [reader.readings]

    assert run(use) == [5]


def test_an_old_one_is_not_used() -> None:
    reader = Reader()

    async def use(vocabularies: Vocabularies) -> None:
        first = await vocabularies.of(ADA, reader)
        await asyncio.sleep(0.06)
        assert await vocabularies.of(ADA, reader) is not first

    run(use, seconds=0.05)
    assert reader.readings == 2


def test_nothing_is_read_where_that_is_turned_off() -> None:
    reader = Reader()
    assert run(lambda vocabularies: vocabularies.of(ADA, reader), seconds=0) is None
    assert reader.readings == 0


def test_a_question_waits_a_little_and_then_goes_on_without() -> None:
    async def use(vocabularies: Vocabularies) -> None:
        reader = Reader(gate=asyncio.Event())
        assert await vocabularies.of(ADA, reader) is None
        assert await vocabularies.of(ADA, reader) is None
        assert reader.gate is not None
        reader.gate.set()
        assert await vocabularies.of(ADA, reader) is not None
        assert reader.readings == 1

    run(use)


def test_what_is_being_read_at_the_end_is_given_up() -> None:
    assert run(lambda vocabularies: vocabularies.of(ADA, Reader(gate=asyncio.Event()))) is None


def test_a_failure_tells_no_value_and_is_not_tried_again_at_once() -> None:
    told: list[str] = []
    reader = Reader(failing=True)

    async def use() -> None:
        async with asyncio.TaskGroup() as tasks:
            vocabularies = Vocabularies(60, 1 << 20, told.append)
            vocabularies.tasks = tasks
            assert await vocabularies.of(ADA, reader) is None
            assert await vocabularies.of(ADA, reader) is None

    asyncio.run(use())
    assert told == ["UpstreamError"]
    assert reader.readings == 1


def test_together_they_take_no_more_than_allowed() -> None:
    async def use(vocabularies: Vocabularies) -> None:
        assert vocabularies.largest == (1 << 20) // SHARE
        kept = []
        for number in range(20):
            vocabulary = await vocabularies.of(ADA._replace(rights=str(number)), Reader(300))
            assert vocabulary is not None
            kept.append(vocabulary)
            assert vocabularies.size <= 1 << 20
        assert vocabularies.size == len(vocabularies) * kept[0].size
        assert 1 < len(vocabularies) < 20
        assert await vocabularies.of(ADA._replace(rights="19"), Reader()) is kept[-1]

    run(use)
