"""The Transformers model in the real Triton, with a tiny random model. `make test-torch` fetches what it needs."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from nlsql_gateway.ask.generator import Completion, Sampling
from nlsql_gateway.ask.triton import TritonGenerator
from nlsql_gateway.embedded.triton import CACHE, EmbeddedTriton
from nlsql_gateway.errors import AskTimeout, ModelUnavailable

TORCH = CACHE.expanduser() / "torch"
"The virtual environment of `make test-torch`."

pytestmark = pytest.mark.skipif(not (TORCH / ".installed").exists(), reason="no torch: make test-torch")

T = TypeVar("T")
MODELS = Path(__file__).resolve().parents[2] / "model_repository"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("transformers")
    tiny = folder / "tiny"
    subprocess.run([TORCH / "bin" / "python", Path(__file__).with_name("tiny.py"), tiny], check=True)
    shutil.copytree(MODELS / "transformers", folder / "models" / "transformers")
    config = folder / "models" / "transformers" / "config.pbtxt"
    text = config.read_text()
    for old, new in (('"8192"', '"2048"'), ('"32"', '"4"')):
        assert old in text
        text = text.replace(old, new)
    config.write_text(text)
    environment = {
        "NLSQL_TRANSFORMERS_MODEL": str(tiny),
        "PATH": f"{TORCH}/bin:/usr/bin:/bin",  # Triton's stub takes the packages of the python3 that it finds
        "OMP_NUM_THREADS": "1",
    }
    with EmbeddedTriton(folder / "models", ["transformers"], environment=environment, cache=folder) as server:
        yield server.grpc_url


def use(url: str, work: Callable[[TritonGenerator], Awaitable[T]]) -> T:
    async def main() -> T:
        generator = TritonGenerator(url, "transformers")
        try:
            return await work(generator)
        finally:
            await generator.aclose()

    return asyncio.run(main())


def ask(url: str, prompt: str = "SELECT", *, timeout: float = 60, **sampling: Any) -> Completion:
    settings = Sampling(**{"max_tokens": 24, **sampling})
    return use(url, lambda generator: generator.generate(prompt, settings, timeout=timeout))


def test_it_answers_and_counts(url: str) -> None:
    answer = ask(url)
    assert (answer.model, answer.version, answer.prompt_tokens) == ("transformers", "tiny", 6)
    assert 1 <= answer.tokens <= 24
    assert answer.logprob is not None
    assert answer.logprob < 0
    assert ask(url) == answer


def test_many_at_once_get_what_each_would_get_alone(url: str) -> None:
    """Prompts of different lengths, padded; greedy and sampled in one batch."""
    prompts = ["a", "two words", "SELECT count(*) FROM orders WHERE", "é €"]
    samplings = [Sampling(20), Sampling(9, temperature=0.8, top_p=0.9, seed=3), Sampling(15), Sampling(20)]

    async def work(generator: TritonGenerator) -> list[Completion]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(generator.generate(prompt, sampling, timeout=60))
                for prompt, sampling in zip(prompts, samplings, strict=True)
            ]
        return [task.result() for task in tasks]

    async def alone(generator: TritonGenerator) -> list[Completion]:
        return [await generator.generate(p, s, timeout=60) for p, s in zip(prompts, samplings, strict=True)]

    together, each = use(url, work), use(url, alone)
    assert [answer.text for answer in together] == [answer.text for answer in each]
    assert [answer.logprob for answer in together] == pytest.approx([answer.logprob for answer in each], rel=1e-3)


def test_chance_has_a_seed(url: str) -> None:
    def once(seed: int, top_p: float = 1.0) -> str:
        return ask(url, temperature=1.5, seed=seed, top_p=top_p).text

    assert once(1) == once(1)
    assert len({once(seed) for seed in range(4)}) == 4
    assert once(5, top_p=0.000001) == ask(url).text


def test_the_end(url: str) -> None:
    whole = ask(url).text
    assert len(whole) > 6
    word = whole[3:5]
    assert ask(url, stop=(word,)).text == whole[: whole.index(word)]
    assert ask(url, max_tokens=2).tokens == 2
    assert ask(url, max_tokens=1500, temperature=3.0, seed=1, timeout=120).tokens < 1500  # by the model's own end


def test_a_cancelled_question_ends(url: str) -> None:
    with pytest.raises(AskTimeout):
        ask(url, max_tokens=2000, timeout=0.5)
    started = time.monotonic()
    ask(url, max_tokens=1)
    assert time.monotonic() - started < 20


def test_what_is_refused(url: str) -> None:
    with pytest.raises(ModelUnavailable, match="refused the request") as failure:
        ask(url, "x" * 3000)
    assert "context" in failure.value.detail
    with pytest.raises(ModelUnavailable, match="refused the request"):
        ask(url, max_tokens=0)


def test_its_queue_is_limited(url: str) -> None:
    async def work(generator: TritonGenerator) -> list[str]:
        async def one() -> str:
            try:
                await generator.generate("x", Sampling(300), timeout=60)
            except ModelUnavailable as error:
                return error.fault
            return "answered"

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one()) for _ in range(24)]
        return [task.result() for task in tasks]

    ends = use(url, work)
    assert set(ends) == {"answered", "busy"}
    assert ends.count("answered") >= 4


def test_ready(url: str) -> None:
    use(url, lambda generator: generator.ready())
