"""TritonGenerator against the real Triton, with a scripted model."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
import tritonclient.grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nlsql_gateway.ask.generator import Completion, Sampling
from nlsql_gateway.ask.triton import TritonGenerator, _sampling_parameters, _Traits, probe
from nlsql_gateway.errors import AskTimeout, ConfigError, ModelUnavailable
from tests.model_repository.serving import Scripted, scripted

T = TypeVar("T")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted(tmp_path_factory.mktemp("triton")) as running:
        yield running


def use(url: str, work: Callable[[TritonGenerator], Awaitable[T]], model: str = "scripted") -> T:
    """Run ``work`` with a generator in an event loop of its own."""

    async def main() -> T:
        generator = TritonGenerator(url, model)
        try:
            return await work(generator)
        finally:
            await generator.aclose()

    return asyncio.run(main())


def generate(
    url: str,
    prompt: str = "a question",
    sampling: Sampling | None = None,
    *,
    timeout: float = 10,
    model: str = "scripted",
) -> Completion:
    return use(url, lambda generator: generator.generate(prompt, sampling or Sampling(), timeout=timeout), model)


def free_port() -> int:
    """Below the ports that outgoing connections take (ip_local_port_range), so that it stays free for a while."""
    while True:
        with socket.socket() as probe_, suppress(OSError):
            probe_.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
            return int(probe_.getsockname()[1])


# Answers


def test_text_and_version(server: Scripted) -> None:
    server.script({"contains": "how many", "text": "SELECT count(*) FROM orders", "logprob": -1.5})
    answer = generate(server.url, "how many orders, é €?")
    assert answer == Completion("SELECT count(*) FROM orders", "scripted", "scripted-1", tokens=4, logprob=-1.5)
    assert server.questions()[0]["prompt"] == "how many orders, é €?"


def test_what_serves_is_told_without_asking_the_model(server: Scripted) -> None:
    server.script({"contains": "", "error": "it was asked"})
    assert (use(server.url, lambda generator: generator.serving()), server.questions()) == ("1", [])
    with pytest.raises(ModelUnavailable, match="has no model nonesuch"):
        use(server.url, lambda generator: generator.serving(), model="nonesuch")


def test_what_changes_the_answer_travels_with_it(server: Scripted) -> None:
    server.script({"contains": "", "text": "SELECT 1; SELECT 2"})
    sampling = Sampling(7, temperature=0.25, top_p=0.5, seed=3, stop=(";", "\n\n"), grammar='root ::= "SELECT"')
    assert generate(server.url, sampling=sampling).text == "SELECT 1"
    assert server.questions()[0]["sampling"] == {
        "max_tokens": 7,
        "temperature": 0.25,
        "top_p": 0.5,
        "seed": 3,
        "logprobs": 1,
        "stop": [";", "\n\n"],
        "grammar": 'root ::= "SELECT"',
    }


def test_a_grammar_is_not_sent_to_a_backend_that_would_refuse_it() -> None:
    vllm = _Traits("vllm", frozenset(), "1", "")
    assert _sampling_parameters(Sampling(grammar="root ::= [0-9]+"), vllm) == {"max_tokens": 400, "temperature": 0.0}


def test_a_model_that_counts_nothing_is_not_asked_to() -> None:
    with_it = _Traits("vllm", frozenset({"return_cumulative_logprob"}), "1", "")
    assert _sampling_parameters(Sampling(), with_it) == {"max_tokens": 400, "temperature": 0.0, "logprobs": 1}


def test_a_logprob_that_is_none(server: Scripted) -> None:
    """vLLM's backend sends NaN for what it did not compute."""
    server.script({"contains": "", "text": "SELECT 1", "logprob": "nan"})
    assert generate(server.url).logprob is None


@pytest.mark.parametrize("parts", [1, 2, 7])
@pytest.mark.parametrize("late", [False, True])
def test_all_parts_of_a_stream(server: Scripted, parts: int, late: bool) -> None:
    server.script({"contains": "", "text": "SELECT name FROM t", "parts": parts, "late_final": late})
    assert generate(server.url).text == "SELECT name FROM t"


def test_an_empty_answer_is_an_answer(server: Scripted) -> None:
    server.script({"contains": "", "text": ""})
    assert generate(server.url).text == ""


def test_many_at_once(server: Scripted) -> None:
    server.script(*({"contains": f"number {n};", "text": f"SELECT {n}", "seconds": 0.2} for n in range(20)))

    async def work(generator: TritonGenerator) -> list[str]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(generator.generate(f"number {n};", Sampling(), timeout=10)) for n in range(20)]
        return [task.result().text for task in tasks]

    started = time.monotonic()
    assert use(server.url, work) == [f"SELECT {n}" for n in range(20)]
    assert time.monotonic() - started < 2


def test_the_same_generator_in_another_event_loop(server: Scripted) -> None:
    server.script({"contains": "", "text": "SELECT 1"})
    generator = TritonGenerator(server.url, "scripted")

    async def once() -> str:
        return (await generator.generate("x", Sampling(), timeout=10)).text

    async def last() -> str:
        try:
            return await once()
        finally:
            await generator.aclose()

    assert asyncio.run(once()) == "SELECT 1"
    assert asyncio.run(last()) == "SELECT 1"


# Too late, and cancelled


def test_a_slow_model_is_a_timeout_and_its_question_is_cancelled(server: Scripted) -> None:
    server.script({"contains": "", "text": "SELECT 1", "seconds": 20})
    started = time.monotonic()
    with pytest.raises(AskTimeout, match=r"did not answer within 0\.5 s") as failure:
        generate(server.url, timeout=0.5)
    assert time.monotonic() - started < 2
    assert "ask.deadline" in failure.value.hint
    assert outcome(server) == "cancelled"


def test_a_cancelled_task_cancels_the_question_at_the_server(server: Scripted) -> None:
    server.script({"contains": "", "text": "SELECT 1", "seconds": 20})

    async def work(generator: TritonGenerator) -> bool:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(generator.generate("x", Sampling(), timeout=60))
            await asyncio.sleep(0.5)
            task.cancel()
        return task.cancelled()

    assert use(server.url, work)
    assert outcome(server) == "cancelled"


def outcome(server: Scripted) -> str:
    """Of the one question; it is noted a moment after we have left."""
    deadline = time.monotonic() + 5
    while not server.questions() and time.monotonic() < deadline:
        time.sleep(0.02)
    return str(server.questions()[0]["outcome"])


def test_a_server_that_says_nothing(server: Scripted) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        url = f"grpc://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(AskTimeout):
            generate(url, timeout=0.5)
        with pytest.raises(ModelUnavailable, match=r"did not answer within 0\.5 s"):
            use(url, lambda generator: generator.ready(timeout=0.5))


# Faults, each with its own words


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"error": "Exceeds maximum queue size", "code": "UNAVAILABLE"}, "scripted is overloaded: its queue is full"),
        ({"error": "Request timeout expired", "code": "UNAVAILABLE"}, "overloaded: the question waited too long"),
        ({"error": "prompt is too long", "code": "INVALID_ARG"}, "scripted refused the request"),
        ({"error": "something broke", "code": "INTERNAL"}, "the model scripted failed"),
        ({"error": "something broke"}, "the model scripted failed"),
    ],
)
def test_faults_of_the_model(server: Scripted, rule: dict[str, str], message: str) -> None:
    server.script({"contains": "", **rule})
    with pytest.raises(ModelUnavailable, match=message) as failure:
        generate(server.url)
    assert failure.value.sqlstate == "NL002"
    assert failure.value.hint
    assert failure.value.detail == rule["error"]


def test_a_model_that_is_not_there(server: Scripted) -> None:
    with pytest.raises(ModelUnavailable, match=r"has no model nonesuch, or it is not loaded") as failure:
        generate(server.url, model="nonesuch")
    assert "ask.model" in failure.value.hint


def test_no_server() -> None:
    url = f"grpc://127.0.0.1:{free_port()}"
    for attempt in (lambda: generate(url), lambda: use(url, lambda generator: generator.ready())):
        with pytest.raises(ModelUnavailable, match="cannot be reached") as failure:
            attempt()
        assert "ask.url" in failure.value.hint


def test_a_server_lost_in_the_middle(tmp_path: Path) -> None:
    with scripted(tmp_path) as doomed:
        doomed.script({"contains": "", "text": "SELECT 1", "seconds": 20})

        async def work(generator: TritonGenerator) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(generator.generate("x", Sampling(), timeout=20))
                await asyncio.sleep(0.5)
                await asyncio.to_thread(doomed.server.stop)

        with pytest.raises(ExceptionGroup) as failure:
            use(doomed.url, work)
        assert failure.group_contains(ModelUnavailable)


def test_the_server_may_come_back(tmp_path: Path) -> None:
    """A generator outlives its server: no restart of the gateway is needed."""
    with scripted(tmp_path, free_port()) as once:

        async def work(generator: TritonGenerator) -> str:
            await generator.generate("x", Sampling(), timeout=10)
            await asyncio.to_thread(once.server.stop)
            with pytest.raises(ModelUnavailable):
                await generator.generate("x", Sampling(), timeout=10)
            once.server.start()
            for _ in range(100):  # gRPC waits a little before it connects again
                try:
                    return (await generator.generate("x", Sampling(), timeout=10)).text
                except ModelUnavailable:
                    await asyncio.sleep(0.1)
            return ""

        assert use(once.url, work) == "SELECT 1"


# Ready


def test_ready(server: Scripted) -> None:
    server.script({"contains": "", "text": "SELECT 1"})
    use(server.url, lambda generator: generator.ready())
    assert [question["prompt"] for question in server.questions()] == ["SELECT 1"]
    assert probe(server.url, "scripted", timeout=10)


def test_not_ready_when_the_canary_fails(server: Scripted) -> None:
    server.script({"contains": "", "error": "something broke"})
    with pytest.raises(ModelUnavailable, match="the model scripted failed"):
        use(server.url, lambda generator: generator.ready())
    assert not probe(server.url, "scripted", timeout=10)


def test_not_ready_when_the_canary_hangs(server: Scripted) -> None:
    server.script({"contains": "", "text": "SELECT 1", "seconds": 20})
    with pytest.raises(ModelUnavailable, match="did not answer"):
        use(server.url, lambda generator: generator.ready(timeout=0.5))
    assert not probe(server.url, "scripted", timeout=0.5)


def test_a_server_whose_model_is_gone(server: Scripted) -> None:
    server.script({"contains": "", "text": "SELECT 1"})
    with tritonclient.grpc.InferenceServerClient(server.url.removeprefix("grpc://")) as control:
        control.unload_model("scripted")
        try:
            deadline = time.monotonic() + 10
            while control.is_model_ready("scripted") and time.monotonic() < deadline:
                time.sleep(0.05)
            assert control.is_server_live()
            with pytest.raises(ModelUnavailable, match="is not ready"):
                use(server.url, lambda generator: generator.ready())
            with pytest.raises(ModelUnavailable, match=r"not ready|not loaded"):
                generate(server.url)
        finally:
            control.load_model("scripted")


# Where it is


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8001", "http://127.0.0.1:8000", "grpc://127.0.0.1", "grpc://:8001", "grpc://h:x", "grpc://h:1/p"]
)
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(ConfigError, match=r"ask\.url: .*: expected grpc://host:port"):
        TritonGenerator(url, "scripted")


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "triton for a test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "certificate.pem", folder / "key.pem"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass


def test_tls(server: Scripted, tmp_path: Path) -> None:
    """A TLS proxy in front of Triton, as an ingress would be: with its authority known it works, else not."""
    server.script({"contains": "", "text": "SELECT 1"})
    certificate, key = _certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])

    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        inner, outer = await asyncio.open_connection("127.0.0.1", server.server.grpc_port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, outer))
                both.create_task(_pump(inner, writer))
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            outer.transport.abort()
            writer.transport.abort()
            connections.discard(task)

    async def main() -> str:
        proxy = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
        url = f"grpcs://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        trusting = TritonGenerator(url, "scripted", root_certificates=str(certificate))
        other = TritonGenerator(url, "scripted")
        try:
            answer = await trusting.generate("x", Sampling(), timeout=10)
            with pytest.raises(ModelUnavailable, match="cannot be reached"):
                await other.generate("x", Sampling(), timeout=10)
            return answer.text
        finally:
            await trusting.aclose()
            await other.aclose()
            proxy.close()
            for connection in connections:
                connection.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    assert asyncio.run(main()) == "SELECT 1"
