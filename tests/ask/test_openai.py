"""OpenAIGenerator against llama.cpp's own OpenAI-compatible server with the real model, and against faults."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import pytest

from nlsql_gateway.ask.generator import Completion, Sampling
from nlsql_gateway.ask.openai import OpenAIGenerator
from nlsql_gateway.embedded import model
from nlsql_gateway.errors import AskTimeout, ConfigError, ModelUnavailable

T = TypeVar("T")

PROMPT = "CREATE TABLE orders (id integer, total numeric);\n-- the number of orders\nSELECT"


def use(url: str, work: Callable[[OpenAIGenerator], Awaitable[T]], *, key: str | None = None, name: str = "m") -> T:
    async def main() -> T:
        generator = OpenAIGenerator(url, name, api_key=key)
        try:
            return await work(generator)
        finally:
            await generator.aclose()

    return asyncio.run(main())


def generate(url: str, *, sampling: Sampling | None = None, timeout: float = 60, key: str | None = None) -> Completion:
    return use(url, lambda g: g.generate(PROMPT, sampling or Sampling(max_tokens=20), timeout=timeout), key=key)


# A real server


_LLAMA = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.model_alias = {"qwen"}
params.n_ctx = 2048
params.n_parallel = 1
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
params.api_keys = ["the-key"]
params.verbosity = 1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    file = model.find()
    assert file is not None, "the model is not here: nlsql-gateway model pull"
    with subprocess.Popen(
        [sys.executable, "-c", _LLAMA, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip() + "/v1"
        process.kill()


@pytest.mark.model
def test_a_real_server_answers(llama: str) -> None:
    answer = generate(llama, sampling=Sampling(max_tokens=20, stop=(";",)), key="the-key")
    assert "count(*)" in answer.text.lower()
    assert ";" not in answer.text
    assert answer.model == "m"
    assert answer.version
    assert answer.prompt_tokens > 10
    assert 1 <= answer.tokens <= 20
    assert answer.logprob is not None
    assert -20 < answer.logprob < 0
    use(llama, lambda generator: generator.ready(), key="the-key")


@pytest.mark.model
@pytest.mark.parametrize("key", [None, "wrong"])
def test_a_real_server_refuses_a_key(llama: str, key: str | None) -> None:
    with pytest.raises(ModelUnavailable, match="refused the API key") as failure:
        generate(llama, key=key)
    assert "ask.api_key_env" in failure.value.hint
    assert "wrong" not in failure.value.message + failure.value.hint + failure.value.detail


@pytest.mark.model
def test_a_real_server_stops_when_we_leave(llama: str) -> None:
    """It has one slot: if it went on with 1,500 tokens, the next question would have to wait for them."""
    with pytest.raises(AskTimeout, match=r"did not answer within 1 s"):
        generate(llama, sampling=Sampling(max_tokens=1500, temperature=1.5), timeout=1, key="the-key")
    started = time.monotonic()
    generate(llama, sampling=Sampling(max_tokens=1), key="the-key")
    assert time.monotonic() - started < 20


# A server that does what a test says


@dataclass
class Script:
    """What a server answers, and what it was asked."""

    status: int = 200
    body: bytes = b""
    delay: float = 0.0
    cut: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    "Set when the client closes its connection while it waits."


@contextmanager
def serving(script: Script) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            script.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            script.headers.append({"path": self.path, **dict(self.headers.items())})
            if script.delay:
                self.connection.settimeout(script.delay)
                try:
                    if self.connection.recv(1) == b"":
                        script.left.set()
                        self.close_connection = True
                        return
                except TimeoutError:
                    pass
            self.send_response(script.status)
            self.send_header("Content-Length", str(len(script.body) + script.cut))
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()
            self.wfile.write(script.body)
            self.close_connection = script.cut

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def completion(text: str, **more: object) -> bytes:
    return json.dumps({"choices": [{"text": text}], **more}).encode()


def test_what_is_asked() -> None:
    script = Script(body=completion("SELECT 1", model="m-7b", system_fingerprint="fp_1", usage={"prompt_tokens": 3}))
    with serving(script) as url:
        sampling = Sampling(9, temperature=0.5, top_p=0.9, seed=7, stop=(";", "--"), grammar="root ::= [0-9]")
        answer = generate(url + "/", sampling=sampling, key="the-key")
    assert answer == Completion("SELECT 1", "m", "m-7b fp_1", 3, 0)
    sent = {"max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "seed": 7, "logprobs": 1, "stop": [";", "--"]}
    assert script.asked == [{"model": "m", "prompt": PROMPT, **sent}]
    assert script.headers[0]["path"] == "/v1/completions"
    assert script.headers[0]["Authorization"] == "Bearer the-key"


def test_what_is_asked_of_chat_completions() -> None:
    turns = [{"role": "system", "content": "Write SQL."}, {"role": "user", "content": "How many?\n\nNow!"}]
    prompt = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in turns)
    logprobs = {"content": [{"token": "SELECT", "logprob": -0.5}]}
    message = {"role": "assistant", "content": "```sql\nSELECT 1\n```"}
    script = Script(body=json.dumps({"choices": [{"message": message, "logprobs": logprobs}]}).encode())

    async def main(url: str) -> Completion:
        generator = OpenAIGenerator(url, "m", chat=True)
        try:
            await generator.ready()
            return await generator.generate(prompt, Sampling(9), timeout=10)
        finally:
            await generator.aclose()

    with serving(script) as url:
        answer = asyncio.run(main(url))
    assert (answer.text, answer.logprob) == (message["content"], -0.5)
    canary, asked = script.asked
    assert canary["messages"] == [{"role": "user", "content": "SELECT 1"}]
    assert asked == {"model": "m", "messages": turns, "max_tokens": 9, "temperature": 0.0, "logprobs": True}
    assert script.headers[1]["path"] == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("logprobs", "logprob"),
    [
        ({"tokens": ["SELECT", " 1"], "token_logprobs": [-0.5, -0.25]}, -0.75),
        ({"token_logprobs": [None, -0.25]}, -0.25),
        ({"content": [{"token": "SELECT", "logprob": -0.5}, {"token": " 1", "logprob": -1.5}]}, -2.0),
        ({"content": []}, None),
        (None, None),
    ],
)
def test_how_sure_it_was(logprobs: object, logprob: float | None) -> None:
    body = json.dumps({"choices": [{"text": "SELECT 1", "logprobs": logprobs}]}).encode()
    with serving(Script(body=body)) as url:
        assert generate(url).logprob == logprob


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "refused the API key"),
        (403, "refused the API key"),
        (404, "has no model m, or no such completions"),
        (429, "the model m is overloaded"),
        (503, "the model m at 127.0.0.1:[0-9]+ is not ready"),
        (400, "the model m at 127.0.0.1:[0-9]+ failed: HTTP 400"),
        (500, "failed: HTTP 500"),
        (307, "did not answer with a completion"),
    ],
)
def test_statuses(status: int, message: str) -> None:
    with serving(Script(status=status, body=b'{"error": "the prompt, repeated"}')) as url:
        with pytest.raises(ModelUnavailable, match=message) as failure:
            generate(url, key="the-key")
        assert failure.value.hint
        assert "repeated" not in failure.value.message + failure.value.hint + failure.value.detail


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"[]", b"3", b"{}", b'{"choices": []}', b'{"choices": [{}]}', b'{"choices": 1}']
)
def test_answers_that_are_none(body: bytes) -> None:
    with serving(Script(body=body)) as url, pytest.raises(ModelUnavailable, match="did not answer with a completion"):
        generate(url)


def test_an_endless_answer_is_cut_off() -> None:
    body = completion("x" * 5_000_000)
    with serving(Script(body=body)) as url, pytest.raises(ModelUnavailable, match="more than 4194304 bytes"):
        generate(url)


def test_an_answer_cut_short() -> None:
    script = Script(body=completion("SELECT 1"), cut=True)
    with serving(script) as url, pytest.raises(ModelUnavailable, match=r"connection to .* failed: RemoteProtocolError"):
        generate(url)


def test_nobody_there() -> None:
    with serving(Script()) as url:
        pass
    with pytest.raises(ModelUnavailable, match="cannot be reached") as failure:
        generate(url)
    assert "ask.url" in failure.value.hint


def test_a_timeout_closes_the_connection() -> None:
    script = Script(delay=20)
    with serving(script) as url:
        with pytest.raises(AskTimeout, match=r"did not answer within 0\.3 s"):
            generate(url, timeout=0.3)
        assert script.left.wait(5)


def test_cancelling_closes_the_connection() -> None:
    script = Script(delay=20)

    async def work(generator: OpenAIGenerator) -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(generator.generate(PROMPT, Sampling(), timeout=60))
            await asyncio.sleep(0.3)
            task.cancel()

    with serving(script) as url:
        use(url, work)
        assert script.left.wait(5)


def test_ready_asks_for_one_token() -> None:
    script = Script(body=completion("x"))
    with serving(script) as url:
        use(url, lambda generator: generator.ready())
    assert script.asked[0]["max_tokens"] == 1
    script = Script(delay=20)
    with serving(script) as url, pytest.raises(ModelUnavailable, match="did not answer within"):
        use(url, lambda generator: generator.ready(timeout=0.3))


@pytest.mark.parametrize("url", ["127.0.0.1:8000/v1", "grpc://127.0.0.1:8001", "http:///v1"])
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(ConfigError, match=r"ask\.url"):
        OpenAIGenerator(url, "m")


def test_a_password_in_the_url_is_not_shown() -> None:
    with pytest.raises(ModelUnavailable) as failure:
        generate("http://me:secret@127.0.0.1:1/v1")
    assert "secret" not in failure.value.message + failure.value.detail + failure.value.hint
