"""TritonGenerator: a model on NVIDIA Triton Inference Server, over gRPC.

One interface for all our models, that of Triton's vLLM backend (its README, "Using the vLLM Backend"): ``text_input``,
``stream``, ``sampling_parameters`` (JSON), ``exclude_input_in_output`` in, ``text_output`` out, always decoupled, hence
``stream_infer``. Whatever changes the answer is an input tensor: Triton's response cache knows no request parameters.

tritonclient is bound to its event loop, so the client is made on first use and again in another loop. Every call has a
time limit of the client's own (``client_timeout``, ``stream_timeout``, seconds); Triton's ``timeout`` is only the
queue's. Queue full, waited too long in the queue, model not loaded and server down all come as UNAVAILABLE: ``_FAULTS``
tells them apart by their messages.
"""

from __future__ import annotations

import asyncio
import json
import math
import queue
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import grpc  # type: ignore[import-untyped]  # has no stubs
import numpy as np
from tritonclient.grpc import InferenceServerClient as BlockingClient
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from nlsql_gateway.ask.generator import Completion, Sampling
from nlsql_gateway.errors import AskError, AskTimeout, ConfigError, ModelUnavailable

READY_TIMEOUT = 10.0
"Seconds for ``ready``, canary included, unless the caller says otherwise."

_CANARY = "SELECT 1"

_NUMBERS = {
    "return_num_input_tokens": "num_input_tokens",
    "return_num_output_tokens": "num_output_tokens",
    "return_cumulative_logprob": "cumulative_logprob",
}
"Inputs of newer vLLM backends that ask for these outputs; sent only to a model that has them."

_ONLY_VERSION = "only_version"
"Input of the embedded model: to be told the output ``model_version`` at once, and no answer."

_CONSTRAINED = frozenset({"python"})
"Backends whose models take a GBNF ``grammar``; to vLLM it is an unknown sampling parameter, hence an error."


_CHANNEL = [
    ("grpc.max_receive_message_length", 16 * 1024**2),
    ("grpc.keepalive_time_ms", 60_000),  # a connection that dies unseen while a question waits is noticed
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),  # gRPC's own 2 minutes would go on after Triton is back
]
"Arguments of the gRPC channel (grpc_types.h)."


@dataclass(frozen=True, slots=True)
class _Fault:
    status: str
    "gRPC status code; empty: any."
    words: str
    "Part of the server's message, lower case; empty: any."
    message: str
    hint: str
    fault: Literal["down", "busy", "refused"] = "down"


_DOWN = "start it, or correct ask.url in gateway.yaml"
_BUSY = "ask again in a moment; if it happens often, serve the model on more or faster machines"
_NOT_LOADED = "load it on Triton, or correct ask.model in gateway.yaml"

_FAULTS = (
    _Fault("", "exceeds maximum queue size", "the model {model} is overloaded: its queue is full", _BUSY, "busy"),
    _Fault(
        "",
        "request timeout expired",
        "the model {model} is overloaded: the question waited too long in its queue",
        _BUSY,
        "busy",
    ),
    _Fault("", "unknown model", "Triton at {where} has no model {model}, or it is not loaded", _NOT_LOADED),
    _Fault("", "no available versions", "the model {model} on Triton at {where} is not ready", _NOT_LOADED),
    _Fault("NOT_FOUND", "", "Triton at {where} has no model {model}, or it is not loaded", _NOT_LOADED),
    _Fault("", "is not ready", "the model {model} on Triton at {where} is not ready", _NOT_LOADED),
    _Fault("UNAVAILABLE", "", "Triton at {where} cannot be reached", _DOWN),
    _Fault("CANCELLED", "", "Triton at {where} cancelled the question", _BUSY),
    _Fault(
        "INVALID_ARGUMENT", "", "the model {model} refused the request", "the model's log names the reason", "refused"
    ),
    _Fault("", "", "the model {model} failed", "the log of Triton at {where} names the reason"),
)
"""The first that fits. "Exceeds maximum queue size" and "Request timeout expired" are the words of Triton's scheduler
(core, dynamic batching's queue policy); our own models use the same."""


def address(url: str) -> tuple[str, bool]:
    """``host:port`` of ``url``, and whether it is TLS. Raises ConfigError."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in ("grpc", "grpcs") or not parts.hostname or port is None or parts.path.strip("/"):
        raise ConfigError(f"ask.url: {url}: expected grpc://host:port or grpcs://host:port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}", parts.scheme == "grpcs"


def probe(url: str, model: str, *, timeout: float, version: str = "") -> bool:
    """Whether ``model`` answers a canary within ``timeout`` seconds. Blocks; for a caller without an event loop.

    Not ``ready`` in a loop of its own: grpc.aio serves one event loop at a time in a process.
    """
    where, tls = address(url)
    client = BlockingClient(where, ssl=tls)
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    try:
        if not client.is_model_ready(model, version, client_timeout=timeout):
            return False
        client.start_stream(lambda result, error: answers.put(error), stream_timeout=timeout)  # noqa: ARG005 - by keyword
        client.async_stream_infer(model, _inputs(_CANARY, {"max_tokens": 1}), model_version=version)
        return answers.get(timeout=timeout) is None
    except (InferenceServerException, queue.Empty):
        return False
    finally:
        client.close()


def told_version(client: BlockingClient, model: str, version: str, *, timeout: float) -> str:
    """What version ``version`` of ``model`` names as its version, without asking it; empty when it cannot tell."""
    metadata = client.get_model_metadata(model, version, client_timeout=timeout)
    if _ONLY_VERSION not in {tensor.name for tensor in metadata.inputs}:
        return ""
    answers: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
    client.start_stream(lambda result, error: answers.put((result, error)), stream_timeout=timeout)
    try:
        client.async_stream_infer(model, _version_inputs(), model_version=version)
        result, error = answers.get(timeout=timeout)
    except queue.Empty:
        return ""
    finally:
        client.stop_stream()
    return "" if error is not None else next(iter(_strings(result, "model_version")), "")


class TritonGenerator:
    """A Generator. ``url`` is ``grpc://host:port``, or ``grpcs://`` for TLS checked against the system's authorities
    or those in ``root_certificates`` (a PEM file's path). ``version`` is the number of one of the model's versions at
    the server; empty: the newest that is loaded. Raises ConfigError for another form of URL.
    """

    def __init__(self, url: str, model: str, *, version: str = "", root_certificates: str | None = None) -> None:
        self._where, self._tls = address(url)
        self._root_certificates = root_certificates
        self._model = model
        self._version = version
        self._client: InferenceServerClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._traits: _Traits | None = None

    @property
    def model(self) -> str:
        return self._model

    async def generate(self, prompt: str, sampling: Sampling, *, timeout: float) -> Completion:
        """See Generator. Cancelling the task cancels the stream, and with it the request on the server."""
        try:
            async with asyncio.timeout(timeout) as limit:
                return await self._generate(prompt, sampling, timeout)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise self._too_late(timeout) from error
        except (InferenceServerException, grpc.RpcError) as error:
            raise self._fault(error, timeout) from error

    async def ready(self, *, timeout: float = READY_TIMEOUT) -> None:
        """See Generator. Server-ready says nothing of a model, and a loaded model may still fail: so a canary too."""
        try:
            async with asyncio.timeout(timeout) as limit:
                if not await self._connected().is_model_ready(self._model, self._version, client_timeout=timeout):
                    raise ModelUnavailable(
                        f"the model {self._model} on Triton at {self._where} is not ready", hint=_NOT_LOADED
                    )
                self._traits = None  # the model may be another one since
                await self._generate(_CANARY, Sampling(max_tokens=1), timeout)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise ModelUnavailable(
                f"the model {self._model} on Triton at {self._where} did not answer within {timeout:g} s", hint=_BUSY
            ) from error
        except (InferenceServerException, grpc.RpcError) as error:
            fault = self._fault(error, timeout)
            if isinstance(fault, AskTimeout):
                raise ModelUnavailable(fault.message, hint=_BUSY) from error
            raise fault from error

    async def serving(self) -> str:
        """See Generator: the number of the version that serves, and what that or its configuration names as its own."""
        try:
            client = self._connected()
            traits = self._traits = await _read_traits(client, self._model, self._version, READY_TIMEOUT)
            if _ONLY_VERSION in traits.inputs:
                return f"{traits.number} {await self._told_version(client)}".rstrip()
        except (InferenceServerException, grpc.RpcError) as error:
            raise self._fault(error, READY_TIMEOUT) from error
        return f"{traits.number} {traits.label}".rstrip()

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    async def _told_version(self, client: InferenceServerClient) -> str:
        async def requests() -> AsyncIterator[dict[str, Any]]:
            yield {"model_name": self._model, "model_version": self._version, "inputs": _version_inputs()}

        told = ""
        responses = client.stream_infer(requests(), stream_timeout=READY_TIMEOUT, headers={"triton_grpc_error": "true"})
        try:
            async for result, error in responses:
                if error is not None:
                    raise error
                told = next(iter(_strings(result, "model_version")), told)
                if _is_last(result):
                    break
        finally:
            responses.cancel()
        return told

    async def _generate(self, prompt: str, sampling: Sampling, timeout: float) -> Completion:
        client = self._connected()
        traits = self._traits
        if traits is None:
            traits = self._traits = await _read_traits(client, self._model, self._version, timeout)
        inputs = _inputs(prompt, _sampling_parameters(sampling, traits))
        inputs.extend(_flag(name, value=True) for name in _NUMBERS if name in traits.inputs)

        async def requests() -> AsyncIterator[dict[str, Any]]:
            yield {"model_name": self._model, "model_version": self._version, "inputs": inputs}

        text: list[str] = []
        numbers: dict[str, float] = {}
        version = ""
        number = traits.number
        # triton_grpc_error: faults end the stream with their gRPC status, instead of coming as text without one.
        responses = client.stream_infer(requests(), stream_timeout=timeout, headers={"triton_grpc_error": "true"})
        try:
            async for result, error in responses:
                if error is not None:
                    raise error
                text.extend(_strings(result, "text_output"))
                version = next(iter(_strings(result, "model_version")), version)
                number = result.get_response().model_version or number
                for name in _NUMBERS.values():
                    values = result.as_numpy(name)
                    if values is not None and values.size and math.isfinite(values.flat[0]):
                        numbers[name] = float(values.flat[0])
                if _is_last(result):
                    break
        finally:
            responses.cancel()  # no effect once it has ended
        if not version:
            if number != traits.number:  # another version has been loaded since
                traits = self._traits = await _read_traits(client, self._model, number, timeout)
            version = traits.label or number
        return Completion(
            "".join(text),
            self._model,
            version,
            int(numbers.get("num_input_tokens", 0)),
            int(numbers.get("num_output_tokens", 0)),
            numbers.get("cumulative_logprob"),
        )

    def _connected(self) -> InferenceServerClient:
        """The client of the running event loop."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client = InferenceServerClient(
                self._where,
                ssl=self._tls,
                root_certificates=self._root_certificates,
                channel_args=_CHANNEL,
            )
            self._loop = loop
            self._traits = None
        return self._client

    def _too_late(self, timeout: float) -> AskTimeout:
        return AskTimeout(
            f"the model {self._model} did not answer within {timeout:.3g} s",
            hint="ask something simpler, or raise ask.deadline",
        )

    def _fault(self, error: InferenceServerException | grpc.RpcError, timeout: float) -> AskError:
        status, words = _status(error)
        if status == "DEADLINE_EXCEEDED":
            return self._too_late(timeout)
        names = {"model": self._model, "where": self._where}
        fault = next(f for f in _FAULTS if f.status in ("", status) and f.words in words.lower())
        return ModelUnavailable(
            fault.message.format_map(names),
            hint=fault.hint.format_map(names),
            detail=(words.splitlines() or [""])[0][:200],
            fault=fault.fault,
        )


@dataclass(frozen=True, slots=True)
class _Traits:
    """What kind of model it is, as Triton says."""

    backend: str
    inputs: frozenset[str]
    number: str
    "The version's, of the newest when none was asked for."
    label: str
    "What its configuration names as its version; empty: nothing."


async def _read_traits(client: InferenceServerClient, model: str, version: str, timeout: float) -> _Traits:
    metadata = await client.get_model_metadata(model, version, client_timeout=timeout)
    config = (await client.get_model_config(model, version, client_timeout=timeout)).config
    return _Traits(
        backend=config.backend,
        inputs=frozenset(tensor.name for tensor in metadata.inputs),
        number=version or max(metadata.versions, key=int, default=""),
        label=config.parameters["model_version"].string_value if "model_version" in config.parameters else "",
    )


def _inputs(prompt: str, parameters: dict[str, object]) -> list[InferInput]:
    return [
        _text("text_input", prompt),
        _flag("stream", value=False),
        _flag("exclude_input_in_output", value=True),
        _text("sampling_parameters", json.dumps(parameters)),
    ]


def _version_inputs() -> list[InferInput]:
    return [_text("text_input", ""), _flag(_ONLY_VERSION, value=True)]


def _sampling_parameters(sampling: Sampling, traits: _Traits) -> dict[str, object]:
    """Names as vLLM's SamplingParams has them."""
    parameters: dict[str, object] = {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature}
    if sampling.temperature > 0:
        parameters["top_p"] = sampling.top_p
        if sampling.seed is not None:
            parameters["seed"] = sampling.seed
    if sampling.stop:
        parameters["stop"] = list(sampling.stop)
    if "return_cumulative_logprob" in traits.inputs:
        parameters["logprobs"] = 1  # vLLM sums them up only when it was told to compute them
    if sampling.grammar and traits.backend in _CONSTRAINED:
        parameters["grammar"] = sampling.grammar
    return parameters


def _text(name: str, value: str) -> InferInput:
    tensor = InferInput(name, [1], "BYTES")
    tensor.set_data_from_numpy(np.array([value.encode()], dtype=np.object_))
    return tensor


def _flag(name: str, value: bool) -> InferInput:
    tensor = InferInput(name, [1], "BOOL")
    tensor.set_data_from_numpy(np.array([value], dtype=bool))
    return tensor


def _strings(result: Any, name: str) -> list[str]:
    values = result.as_numpy(name)
    return [] if values is None else [value.decode(errors="replace") for value in values.reshape(-1)]


def _is_last(result: Any) -> bool:
    """Whether Triton says so: the flag that a decoupled model sets on its last response (server's protocol doc,
    "extension_parameters", triton_final_response)."""
    parameters = result.get_response().parameters
    return "triton_final_response" in parameters and bool(parameters["triton_final_response"].bool_param)


def _status(error: InferenceServerException | grpc.RpcError) -> tuple[str, str]:
    """gRPC's status code and the server's words; tritonclient wraps the error of a call, but not of a stream."""
    if isinstance(error, InferenceServerException):
        return str(error.status() or "").removeprefix("StatusCode."), str(error.message() or "")
    return error.code().name, str(error.details() or "")
