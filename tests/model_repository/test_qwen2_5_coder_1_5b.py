"""The real model in the real Triton: its interface, parallel questions, the shared prefix, cancelling, its limits."""

from __future__ import annotations

import asyncio
import json
import queue
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil
import pytest
import tritonclient.grpc

from nlsql_gateway.ask.generator import Completion, Sampling
from nlsql_gateway.ask.triton import TritonGenerator
from nlsql_gateway.embedded.model import EMBEDDED, find
from nlsql_gateway.embedded.triton import EmbeddedTriton
from nlsql_gateway.errors import AskTimeout, ModelUnavailable
from tests.embedded.processes import runs

pytestmark = pytest.mark.model

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = "".join(
    f"CREATE TABLE shop_{number} (id integer, customer integer, ordered date, total numeric, note text);\n"
    for number in range(20)
)
"""About 500 tokens: reading them takes seconds, answering a few tokens does not."""


def question(number: int, about: str = "SELECT") -> str:
    return f"{SCHEMA}-- the number of rows in shop_{number}\n{about}"


def serve(repository: Path, cache: Path) -> EmbeddedTriton:
    file = find()
    assert file is not None, "the model is not here: nlsql-gateway model pull"
    return EmbeddedTriton(repository, [EMBEDDED.name], model_file=file, model_version=EMBEDDED.version, cache=cache)


def changed(folder: Path, **parameters: object) -> Path:
    """A copy of the repository with other parameters in config.pbtxt."""
    shutil.copytree(ROOT / "model_repository" / EMBEDDED.name, folder / "models" / EMBEDDED.name)
    config = folder / "models" / EMBEDDED.name / "config.pbtxt"
    text = config.read_text()
    for name, value in parameters.items():
        text, count = re.subn(rf'(key: "{name}" value {{ string_value: ")[^"]*', rf"\g<1>{value}", text)
        assert count == 1
    config.write_text(text)
    return folder / "models"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("qwen")
    with serve(changed(folder, threads=2, context=4096), folder) as server:
        yield server.grpc_url


def use(url: str, work: Callable[[TritonGenerator], Awaitable[T]]) -> T:
    async def main() -> T:
        generator = TritonGenerator(url, EMBEDDED.name)
        try:
            return await work(generator)
        finally:
            await generator.aclose()

    return asyncio.run(main())


def ask(url: str, prompt: str, *, timeout: float = 120, **sampling: Any) -> Completion:
    settings = Sampling(**{"max_tokens": 12, "stop": (";",), **sampling})
    return use(url, lambda generator: generator.generate(prompt, settings, timeout=timeout))


def raw(url: str, prompt: str, sampling: str = "{}", **flags: bool) -> list[dict[str, Any]]:
    """All responses to one request as the wire has them. Raises the error of the stream."""
    inputs = []
    for name, kind, value in (
        ("text_input", "BYTES", prompt.encode()),
        ("sampling_parameters", "BYTES", sampling.encode()),
        *((name, "BOOL", value) for name, value in flags.items()),
    ):
        tensor = tritonclient.grpc.InferInput(name, [1], kind)
        tensor.set_data_from_numpy(np.array([value], dtype=np.object_ if kind == "BYTES" else bool))
        inputs.append(tensor)
    answers: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
    responses = []
    with tritonclient.grpc.InferenceServerClient(url.removeprefix("grpc://")) as client:
        client.start_stream(lambda result, error: answers.put((result, error)), stream_timeout=120)
        client.async_stream_infer(EMBEDDED.name, inputs)
        while True:
            result, error = answers.get(timeout=120)
            if error is not None:
                raise error
            response = result.get_response()
            responses.append({output.name: result.as_numpy(output.name)[0] for output in response.outputs})
            if response.parameters["triton_final_response"].bool_param:
                return responses


# The interface


def test_sql_and_what_it_is_from(url: str) -> None:
    answer = ask(url, question(3))
    assert re.fullmatch(r"\s*count\(\*\) from shop_3\s*", answer.text, re.IGNORECASE)
    assert answer.version == "cc324af070c2"
    assert answer.prompt_tokens > 400
    assert 3 <= answer.tokens <= 12


def test_greedy_is_repeatable(url: str) -> None:
    assert ask(url, question(4)).text == ask(url, question(4)).text


def test_a_seed_makes_chance_repeatable(url: str) -> None:
    def once(seed: int) -> Completion:
        return ask(url, "A sentence about databases:", temperature=1.5, seed=seed, max_tokens=16, top_p=0.95)

    assert once(1) == once(1)
    assert len({once(seed).text for seed in range(4)}) > 1


def test_what_is_sampled_is_less_probable_than_what_is_not(url: str) -> None:
    """Both by the model's own probabilities, not by those that temperature and top_p leave."""
    prompt = "A sentence about databases:"
    greedy = ask(url, prompt, max_tokens=16, stop=())
    sampled = ask(url, prompt, max_tokens=16, stop=(), temperature=1.5, top_p=0.95, seed=2)
    narrow = ask(url, prompt, max_tokens=16, stop=(), temperature=1.5, top_p=0.0001, seed=2)
    assert greedy.logprob is not None
    assert sampled.logprob is not None
    assert sampled.logprob < greedy.logprob - 5 < -5
    assert narrow.text == greedy.text
    assert narrow.logprob == pytest.approx(greedy.logprob, rel=0.01)


def test_max_tokens(url: str) -> None:
    answer = ask(url, "1, 2, 3, 4,", max_tokens=5, stop=())
    assert answer.tokens == 5


def test_a_grammar_constrains(url: str) -> None:
    answer = ask(url, "The answer to everything is", grammar='root ::= "SELECT " [0-9] [0-9]')
    assert re.fullmatch(r"SELECT \d\d", answer.text)


def test_one_response_unless_streaming(url: str) -> None:
    whole = raw(url, "one two three", '{"max_tokens": 6}', exclude_input_in_output=True)
    parts = raw(url, "one two three", '{"max_tokens": 6}', stream=True)
    assert len(whole) == 1
    assert len(parts) > 2
    assert b"".join(part["text_output"] for part in parts) == whole[0]["text_output"]


def test_the_prompt_comes_back_unless_excluded(url: str) -> None:
    text = raw(url, "one two three", '{"max_tokens": 2}')[0]["text_output"]
    assert text.startswith(b"one two three")


def test_extra_outputs_are_sent_when_asked_for(url: str) -> None:
    names = ("finish_reason", "num_input_tokens", "num_output_tokens", "cumulative_logprob", "logprobs")
    plain = raw(url, "one two three", '{"max_tokens": 4}')[0]
    assert set(plain) == {"text_output", "model_version"}
    full = raw(url, "one two three", '{"max_tokens": 4}', **{f"return_{name}": True for name in names})[0]
    assert full["finish_reason"] == b"length"
    assert full["num_input_tokens"] == 3
    assert full["num_output_tokens"] == 4
    tokens = json.loads(full["logprobs"])
    assert len(tokens) == 4
    assert full["cumulative_logprob"] == pytest.approx(sum(token["logprob"] for token in tokens), rel=1e-4)


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        ("not json", "must be a JSON object"),
        ("[]", "must be a JSON object"),
        ('{"max_tokens": "many"}', "max_tokens must be a number"),
        ('{"max_tokens": -1}', "max_tokens must be at least 1"),
        ('{"stop": 3}', "stop must be a string or a list"),
        ('{"stop": [";", 3]}', "stop must be a string or a list"),
        ('{"best_of": 3}', "best_of is not known"),
        ('{"grammar": "root ::= ("}', "failed to parse grammar"),
    ],
)
def test_requests_that_are_wrong(url: str, sampling: str, message: str) -> None:
    with pytest.raises(tritonclient.grpc.InferenceServerException, match=message):
        raw(url, "one two three", sampling)


def test_a_prompt_that_is_too_long(url: str) -> None:
    with pytest.raises(ModelUnavailable, match="refused the request") as failure:
        ask(url, "word " * 5000)
    assert "context" in failure.value.detail


def test_special_text_does_no_harm(url: str) -> None:
    answer = ask(url, "é € \u0000 \U0001f40d <|im_start|> '\" \\ \n", max_tokens=3)
    assert answer.tokens >= 1


# Speed: ratios only, since machines differ


def seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def test_the_schema_is_read_once(url: str) -> None:
    fresh = SCHEMA.replace("shop", "depot")
    first = seconds(lambda: ask(url, f"{fresh}-- rows of depot_1\nSELECT", max_tokens=2))
    second = seconds(lambda: ask(url, f"{fresh}-- rows of depot_2\nSELECT", max_tokens=2))
    assert second < first / 2


def test_four_at_once_share_a_schema_that_is_new(url: str) -> None:
    """As fast as one would be, not four times as slow; and each gets the answer that it would get alone."""
    fresh = SCHEMA.replace("shop", "store")
    prompts = [f"{fresh}-- the number of rows in store_{number}\nSELECT" for number in range(4)]
    alone = SCHEMA.replace("shop", "attic")
    one = seconds(lambda: ask(url, f"{alone}-- the number of rows in attic_1\nSELECT"))

    async def work(generator: TritonGenerator) -> list[str]:
        async with asyncio.TaskGroup() as group:
            sampling = Sampling(max_tokens=12, stop=(";",))
            tasks = [group.create_task(generator.generate(prompt, sampling, timeout=120)) for prompt in prompts]
        return [task.result().text for task in tasks]

    together: list[str] = []
    four = seconds(lambda: together.extend(use(url, work)))
    assert four < 2.5 * one
    assert together == [ask(url, prompt).text for prompt in prompts]


def test_a_cancelled_question_frees_its_slot(url: str) -> None:
    """While the prompt is read and while it is answered. Six schemas would take six times as long as one."""
    one = seconds(lambda: ask(url, SCHEMA.replace("shop", "garage"), max_tokens=1))
    for prompt in (SCHEMA.replace("shop", "cellar") * 6, "Count to ten thousand: 1, 2, 3,"):
        with pytest.raises(AskTimeout):
            ask(url, prompt, max_tokens=1500, stop=(), timeout=1)
    assert seconds(lambda: ask(url, "SELECT", max_tokens=1)) < 3 * one


# Limits: a server that can do one thing at a time


def test_queue_limits_and_the_end_of_a_killed_parent(tmp_path: Path) -> None:
    changed(tmp_path, threads=2, slots=1, context=2048, queue_size=1, queue_timeout=1)
    address = tmp_path / "address"
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(tmp_path)], cwd=ROOT, stdout=subprocess.DEVNULL
    ) as parent:
        while not (address.exists() and address.read_text().endswith(" ")) and parent.poll() is None:
            time.sleep(0.05)
        pid, url = address.read_text().split()
        everything = [int(pid), *(process.pid for process in psutil.Process(int(pid)).children(recursive=True))]

        async def work(generator: TritonGenerator) -> list[str]:
            async def one(delay: float) -> str:
                await asyncio.sleep(delay)
                try:
                    await generator.generate("Count: 1, 2, 3,", Sampling(max_tokens=1500, temperature=1.0), timeout=4)
                except (AskTimeout, ModelUnavailable) as error:
                    return error.message
                return "answered"

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(delay)) for delay in (0.0, 0.3, 0.6)]
            return [task.result() for task in tasks]

        first, second, third = use(url, work)
        assert "did not answer within 4 s" in first or first == "answered"
        assert "waited too long" in second
        assert "queue is full" in third
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 30
    while any(runs(pid) for pid in everything) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(runs(pid) for pid in everything)


_PARENT = r"""
import sys, time
from pathlib import Path
from tests.model_repository.test_qwen2_5_coder_1_5b import serve
folder = Path(sys.argv[1])
with serve(folder / "models", folder) as server:
    (folder / "address").write_text(f"{server.pid} {server.grpc_url} ")
    time.sleep(600)
"""


def test_prompts_reach_no_log(url: str, tmp_path: Path) -> None:
    """llama.cpp would log them from some level on."""
    with serve(changed(tmp_path, threads=2, slots=1, context=2048), tmp_path) as server:
        ask(server.grpc_url, "SELECT name FROM secret_table WHERE", max_tokens=4)
        with pytest.raises(ModelUnavailable):
            ask(server.grpc_url, "secret_table " * 3000)
        time.sleep(0.3)
        assert "Started GRPCInferenceService" in server.last_words
        assert "secret_table" not in server.last_words
