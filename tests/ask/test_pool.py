"""Pool over two real Tritons with a scripted model each."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import tritonclient.grpc

from nlsql_gateway.ask.figures import BUCKETS, Figures
from nlsql_gateway.ask.generator import Completion, Sampling
from nlsql_gateway.ask.pool import FIRST_REST, Pool
from nlsql_gateway.ask.triton import TritonGenerator
from nlsql_gateway.errors import AskTimeout, ModelUnavailable
from tests.model_repository.serving import Scripted, scripted

T = TypeVar("T")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scripted, Scripted]]:
    with scripted(tmp_path_factory.mktemp("one")) as one, scripted(tmp_path_factory.mktemp("two")) as two:
        yield one, two


@pytest.fixture
def pair(servers: tuple[Scripted, Scripted]) -> tuple[Scripted, Scripted]:
    """Both answer with their number."""
    for number, server in enumerate(servers, start=1):
        server.script({"contains": "", "text": f"SELECT {number}"})
    return servers


def use(pair: tuple[Scripted, Scripted], work: Callable[[Pool], Awaitable[T]], clock: Any = time.monotonic) -> T:
    async def main() -> T:
        pool = Pool({name: TritonGenerator(s.url, "scripted") for name, s in zip("ab", pair, strict=True)}, clock=clock)
        try:
            return await work(pool)
        finally:
            await pool.aclose()

    return asyncio.run(main())


async def ask(pool: Pool, prompt: str = "x", timeout: float = 10) -> str:
    return (await pool.generate(prompt, Sampling(), timeout=timeout)).text


async def ask_all(pool: Pool, count: int) -> list[str]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(pool)) for _ in range(count)]
    return [task.result() for task in tasks]


def test_the_first_is_asked_while_it_is_free(pair: tuple[Scripted, Scripted]) -> None:
    async def work(pool: Pool) -> list[str]:
        return [await ask(pool) for _ in range(3)]

    assert use(pair, work) == ["SELECT 1"] * 3


def test_the_least_loaded_is_asked(pair: tuple[Scripted, Scripted]) -> None:
    pair[0].script({"contains": "", "text": "SELECT 1", "seconds": 5})
    pair[1].script({"contains": "", "text": "SELECT 2", "seconds": 0.3})

    async def work(pool: Pool) -> tuple[list[str], list[str]]:
        async with asyncio.TaskGroup() as group:
            four = group.create_task(ask_all(pool, 4))
            async with asyncio.timeout(4):
                while pool.figures()["b"].answered < 2:  # noqa: ASYNC110 - it counts, and tells nobody
                    await asyncio.sleep(0.02)
            assert [figures.open for figures in pool.figures().values()] == [2, 0]
            later = await ask_all(pool, 2)
        return four.result(), later

    four, later = use(pair, work)
    assert sorted(four) == ["SELECT 1", "SELECT 1", "SELECT 2", "SELECT 2"]
    assert later == ["SELECT 2", "SELECT 2"]


@pytest.mark.parametrize(
    ("rule", "answered", "counted"),
    [
        ({"error": "something broke", "code": "INTERNAL"}, True, "unavailable"),
        ({"error": "Exceeds maximum queue size", "code": "UNAVAILABLE"}, True, "overloaded"),
        ({"error": "Request timeout expired", "code": "UNAVAILABLE"}, True, "overloaded"),
        ({"error": "prompt is too long", "code": "INVALID_ARG"}, False, "refused"),
    ],
)
def test_what_is_tried_elsewhere(
    pair: tuple[Scripted, Scripted], rule: dict[str, str], answered: bool, counted: str
) -> None:
    pair[0].script({"contains": "", **rule})

    async def work(pool: Pool) -> Figures:
        if answered:
            assert await ask(pool) == "SELECT 2"
        else:
            with pytest.raises(ModelUnavailable, match="refused the request"):
                await ask(pool)
            assert pool.figures()["b"].asked == 0
        return pool.figures()["a"]

    figures = use(pair, work)
    assert (figures.asked, getattr(figures, counted), figures.elsewhere) == (1, 1, int(answered))
    assert figures.resting == (counted == "unavailable")


def test_only_once_and_then_the_fault_is_told(pair: tuple[Scripted, Scripted]) -> None:
    for server in pair:
        server.script({"contains": "", "error": "something broke"})

    async def work(pool: Pool) -> int:
        with pytest.raises(ModelUnavailable, match="the model scripted failed"):
            await ask(pool)
        with pytest.raises(ModelUnavailable, match="the model scripted failed"):
            await pool.ready()
        return sum(figures.asked for figures in pool.figures().values())

    assert use(pair, work) == 2


def test_late_is_late_and_the_next_question_goes_elsewhere(pair: tuple[Scripted, Scripted]) -> None:
    pair[0].script({"contains": "", "text": "SELECT 1", "seconds": 60})

    async def work(pool: Pool) -> tuple[str, Figures]:
        with pytest.raises(AskTimeout):
            await ask(pool, timeout=2)
        return await ask(pool), pool.figures()["a"]

    answer, figures = use(pair, work)
    assert answer == "SELECT 2"
    assert (figures.late, figures.open, figures.resting) == (1, 0, True)


def test_a_cancelled_question_is_cancelled_at_its_server(pair: tuple[Scripted, Scripted]) -> None:
    pair[0].script({"contains": "", "text": "SELECT 1", "seconds": 60})

    async def work(pool: Pool) -> Figures:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(ask(pool))
            await asyncio.sleep(1)  # it is there by then
            task.cancel()
        return pool.figures()["a"]

    figures = use(pair, work)
    deadline = time.monotonic() + 5
    while not pair[0].questions() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert pair[0].questions()[0]["outcome"] == "cancelled"
    assert (figures.cancelled, figures.open, figures.resting) == (1, 0, False)


def test_a_server_that_is_well_again_is_asked_again(pair: tuple[Scripted, Scripted]) -> None:
    """Its canary goes beside a question that does not wait for it; while it rests, there is none."""
    pair[0].script({"contains": "", "error": "something broke"})
    pair[1].script({"contains": "", "text": "SELECT 2", "seconds": 0.5})
    now = [0.0]

    async def work(pool: Pool) -> list[str]:
        answers = [await ask(pool)]
        answers.append(await ask(pool))
        assert len(pair[0].questions()) == 1
        now[0] += FIRST_REST
        answers.append(await ask(pool))  # the canary fails: it rests twice as long
        assert len(pair[0].questions()) == 2
        pair[0].script({"contains": "", "text": "SELECT 1"})
        now[0] += 1.5 * FIRST_REST
        answers.append(await ask(pool))
        assert not pair[0].questions()
        now[0] += 0.5 * FIRST_REST
        answers.extend([await ask(pool), await ask(pool)])
        assert [question["prompt"] for question in pair[0].questions()] == ["SELECT 1", "x"]
        return answers

    assert use(pair, work, clock=lambda: now[0]) == [*["SELECT 2"] * 5, "SELECT 1"]


def test_a_server_whose_model_is_gone(pair: tuple[Scripted, Scripted]) -> None:
    with tritonclient.grpc.InferenceServerClient(pair[0].url.removeprefix("grpc://")) as control:
        control.unload_model("scripted")
        try:
            deadline = time.monotonic() + 10
            while control.is_model_ready("scripted") and time.monotonic() < deadline:
                time.sleep(0.05)

            async def work(pool: Pool) -> str:
                await pool.ready()
                assert await pool.serving() == "1", "the other one's"
                return await ask(pool)

            assert use(pair, work) == "SELECT 2"
        finally:
            control.load_model("scripted")


def test_what_serves_is_told_of_all_of_them(pair: tuple[Scripted, Scripted]) -> None:
    assert use(pair, lambda pool: pool.serving()) == "1, 1"


def test_a_server_killed_while_it_answers(pair: tuple[Scripted, Scripted], tmp_path: Path) -> None:
    """No question is lost, and the next ones do not try it first."""
    with scripted(tmp_path) as doomed:
        doomed.script({"contains": "", "text": "SELECT 0", "seconds": 60})

        async def work(pool: Pool) -> tuple[list[str], dict[str, Figures]]:
            async with asyncio.TaskGroup() as group:
                questions = group.create_task(ask_all(pool, 3))
                await asyncio.sleep(0.5)
                pid = doomed.server.pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
            return [*questions.result(), await ask(pool)], pool.figures()

        answers, figures = use((doomed, pair[1]), work)
    assert answers == ["SELECT 2"] * 4
    assert (figures["a"].asked, figures["a"].unavailable, figures["a"].elsewhere) == (2, 2, 2)
    assert (figures["b"].asked, figures["b"].answered) == (4, 4)


def test_what_is_counted(pair: tuple[Scripted, Scripted]) -> None:
    pair[0].script({"contains": "", "text": "SELECT count(*) FROM t", "seconds": 0.3})

    async def work(pool: Pool) -> Figures:
        completion: Completion = await pool.generate("x", Sampling(), timeout=10)
        assert (completion.text, completion.tokens) == ("SELECT count(*) FROM t", 4)
        figures = pool.figures()["a"]
        await ask(pool)
        assert figures.asked == 1  # a copy
        return pool.figures()["a"]

    figures = use(pair, work)
    assert (figures.asked, figures.answered, figures.tokens, figures.open) == (2, 2, 8, 0)
    assert 0.6 <= figures.seconds < 10
    assert sum(figures.latencies) == 2
    assert sum(figures.latencies[:2]) == 0  # 0.3 s is above the second bucket's end
    assert len(figures.latencies) == len(BUCKETS) + 1
