"""The real model with many questions at once: decoded together, and all cancelled at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

from nlsql_gateway.ask.generator import Sampling
from nlsql_gateway.ask.triton import TritonGenerator
from nlsql_gateway.embedded.model import EMBEDDED
from nlsql_gateway.errors import AskTimeout, ModelUnavailable
from tests.model_repository.test_qwen2_5_coder_1_5b import changed, question, serve

pytestmark = pytest.mark.model

SLOTS = 3
WAITING = 4


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("qwen")
    with serve(changed(folder, threads=2, slots=SLOTS, context=2048, queue_size=WAITING), folder) as server:
        yield server.grpc_url


def inputs(prompt: str, max_tokens: int) -> list[InferInput]:
    found = []
    sampling = json.dumps({"max_tokens": max_tokens, "ignore_eos": True})
    for name, kind, value in (
        ("text_input", "BYTES", prompt.encode()),
        ("sampling_parameters", "BYTES", sampling.encode()),
        ("stream", "BOOL", True),
    ):
        tensor = InferInput(name, [1], kind)
        tensor.set_data_from_numpy(np.array([value], dtype=np.object_ if kind == "BYTES" else bool))
        found.append(tensor)
    return found


def test_a_question_joins_those_that_are_being_answered(url: str) -> None:
    """It comes when the others have begun, and is answered before they are: none waits for another's end."""
    ended: list[str] = []

    async def ask(client: InferenceServerClient, name: str, tokens: int, begun: asyncio.Event) -> None:
        async def requests() -> Any:
            yield {"model_name": EMBEDDED.name, "inputs": inputs(f"A story about {name}:", tokens)}

        async for result, error in client.stream_infer(requests(), stream_timeout=300):
            assert error is None
            begun.set()
            if result.get_response().parameters["triton_final_response"].bool_param:
                break
        ended.append(name)

    async def main() -> None:
        client = InferenceServerClient(url.removeprefix("grpc://"))
        try:
            async with asyncio.TaskGroup() as group:
                for name in ("the sea", "a ship"):
                    begun = asyncio.Event()
                    group.create_task(ask(client, name, 60, begun))
                    await begun.wait()
                group.create_task(ask(client, "a bird", 4, asyncio.Event()))
        finally:
            await client.close()

    asyncio.run(main())
    assert ended[0] == "a bird"
    assert set(ended[1:]) == {"the sea", "a ship"}


async def ask_all(generator: TritonGenerator, prompts: list[str], tokens: int, timeout: float) -> list[str]:
    async def one(prompt: str) -> str:
        try:
            await generator.generate(prompt, Sampling(tokens), timeout=timeout)
        except AskTimeout:
            return "late"
        except ModelUnavailable as error:
            return error.fault
        return "answered"

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(prompt)) for prompt in prompts]
    return [task.result() for task in tasks]


async def answers_as_many_as_fit(generator: TritonGenerator) -> bool:
    """Soon: those who left are noticed when llama.cpp has done its part of a prompt, or a token."""
    for _ in range(100):
        if set(await ask_all(generator, ["SELECT"] * (SLOTS + WAITING), 1, 60)) == {"answered"}:
            return True
        await asyncio.sleep(0.1)
    return False


def test_all_slots_and_the_queue_are_free_again_once_everybody_has_left(url: str) -> None:
    """Some are being decoded, some wait for a slot, some for a schema that another one reads."""
    crowd = [f"Count to {number} thousand: 1, 2, 3," for number in range(SLOTS - 1)]
    crowd += [question(number) + " *" for number in range(SLOTS + WAITING - len(crowd))]

    async def main() -> list[str]:
        generator = TritonGenerator(url, EMBEDDED.name)
        try:
            left = await ask_all(generator, crowd, 1500, 1.5)
            assert await answers_as_many_as_fit(generator)
            return left
        finally:
            await generator.aclose()

    assert set(asyncio.run(main())) == {"late"}


def test_one_more_than_slots_and_queue_is_refused(url: str) -> None:
    async def main() -> list[str]:
        generator = TritonGenerator(url, EMBEDDED.name)
        try:
            assert await answers_as_many_as_fit(generator)
            return await ask_all(generator, ["Count: 1, 2, 3,"] * (SLOTS + WAITING + 2), 1500, 3)
        finally:
            await generator.aclose()

    assert sorted(asyncio.run(main())) == ["busy"] * 2 + ["late"] * (SLOTS + WAITING)
