"""llama.cpp behind the interface of Triton's vLLM backend, for machines without a GPU.

One llama.cpp server lives inside this process or beside it (``llama.py``). Its slots decode parallel questions together
(continuous batching); ``slots.py`` says which slot takes which prompt, so that a schema is read once. Every question
runs in a thread of its own that sends its responses; ``execute`` returns at once and Triton's own queue stays empty,
so the limits of the queue are kept here, in the words of Triton's scheduler. Prompts and answers are never logged.

Triton's Python backend, README: "Decoupled mode", "Request Cancellation Handling", "Error Handling".
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).parent))
from llama import LlamaError, Settings, slot_action, start
from slots import CancelledError, Lease, QueueTimeoutError, Slots
from weights import WeightsError, find

_NUMBERS = {
    "max_tokens": "n_predict",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "seed": "seed",
    "repetition_penalty": "repeat_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "logprobs": "logprobs",
}
"vLLM's name of a sampling parameter -> llama.cpp's."

_DEFAULTS = {"n_predict": 256, "temperature": 0.0, "seed": 1}
"Greedy and repeatable: SQL has one best answer."

_MAX_PROMPT = 1024 * 1024
"Bytes; the context is far smaller, but the count of tokens is only known after the work of making them."


class _RefusalError(Exception):
    """A request that cannot be answered. ``code`` is the name of a TritonError code (which is no exception itself)."""

    def __init__(self, message: str, code: str = "INVALID_ARG") -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class _Question:
    prompt: str
    body: dict[str, Any]
    stream: bool
    echo: bool
    wants: frozenset[str]
    "Names of the extra outputs that were asked for."


@dataclass(slots=True)
class _Answer:
    text: list[str] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    fault: dict[str, Any] | None = None
    cancelled: bool = False

    @property
    def read(self) -> bool:
        """The whole prompt is in the slot."""
        return bool(self.text or self.finish_reason)


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        parameters = {
            key: value["string_value"] for key, value in json.loads(args["model_config"])["parameters"].items()
        }
        environment = os.environ  # noqa: TID251 - not the gateway's process but Triton's
        try:
            weights = find(parameters, environment, Path(__file__).parent)
        except WeightsError as error:
            raise RuntimeError(str(error)) from None
        self._version = weights.version
        self._context = int(parameters["context"])
        self._queue_timeout = float(parameters["queue_timeout"])
        count = int(parameters["slots"])
        self._slots = Slots(count, int(parameters["saved_prompts"]))
        self._folder = Path(tempfile.mkdtemp(prefix="nlsql-llama-", dir=_short_folder()))
        threads = _processors() if parameters["threads"] == "auto" else int(parameters["threads"])
        program = parameters.get("llama_server", "") or environment.get("NLSQL_LLAMA_SERVER", "")
        settings = Settings(weights, count, self._context, int(parameters["batch"]), threads, self._folder)
        try:
            self._server = start("" if program == "none" else program, settings)
        except LlamaError as error:
            raise RuntimeError(str(error)) from error
        self._limit = count + int(parameters["queue_size"])
        self._open = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(self._limit, thread_name_prefix="question")
        threading.Thread(target=_end_with, args=(os.getppid(), self._stopping), daemon=True).start()
        # The first question would otherwise pay for the pages of the file and for the threads; and a version that does
        # not answer must not take over from one that does.
        canary = {"prompt": "SELECT 1;", "n_predict": 2, "temperature": 0.0, "id_slot": 0, "ignore_eos": True}
        words: list[str] = []
        self._server.complete(
            canary, lambda chunk: words.append(chunk.get("choices", [{}])[0].get("text", "")) or False
        )
        if not any(words):
            raise RuntimeError("the model is loaded, but does not answer")
        pb_utils.Logger.log_info(
            f"{weights.file.name} {self._version}: {count} slots of {self._context} tokens, "
            f"{threads} threads, {Path(program).name if program not in ('', 'none') else 'xllamacpp'}"
        )

    def execute(self, requests: list[Any]) -> None:
        """Decoupled: each request is answered by its own thread through its response sender."""
        for request in requests:
            sender = request.get_response_sender()
            if _input(request, "only_version", False):
                told = self._response(_Question("", {}, False, False, frozenset({"model_version"})), _Answer(), "")
                sender.send(told, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
                continue
            with self._lock:
                admitted = self._open < self._limit
                self._open += admitted
            if admitted:
                self._threads.submit(self._run, request, sender)
            else:
                _fail(sender, "Exceeds maximum queue size", "UNAVAILABLE")

    def finalize(self) -> None:
        self._stopping.set()
        self._threads.shutdown()
        self._server.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, request: Any, sender: Any) -> None:
        try:
            self._answer(_question(request), sender)
        except CancelledError:
            _fail(sender, "cancelled", "CANCELLED")
        except QueueTimeoutError:
            _fail(sender, "Request timeout expired", "UNAVAILABLE")
        except _RefusalError as error:
            _fail(sender, str(error), error.code)
        except Exception as error:  # noqa: BLE001 - a question never takes the model down; the text may hold its words
            pb_utils.Logger.log_error(f"unexpected {type(error).__name__}")
            _fail(sender, f"unexpected {type(error).__name__}", "INTERNAL")
        finally:
            with self._lock:
                self._open -= 1

    def _answer(self, question: _Question, sender: Any) -> None:
        def is_cancelled() -> bool:
            return self._stopping.is_set() or sender.is_cancelled()

        lease = self._slots.take(question.prompt, self._queue_timeout, is_cancelled)
        answer = _Answer()
        try:
            if lease.restore is not None:
                slot_action(self._folder, lease.slot.number, "restore", lease.restore)
            if lease.save is not None:
                # Read first and saved before it is answered: others may be waiting to start from it. Once a schema;
                # it takes some tens of milliseconds, and the last token is read twice.
                self._decode(question, lease, answer, sender, only_read=True)
                if answer.read and slot_action(self._folder, lease.slot.number, "save", lease.save):
                    self._slots.saved(lease)
            if not answer.cancelled and answer.fault is None:
                self._decode(question, lease, answer, sender)
            self._finish(question, answer, sender)
        finally:
            self._slots.give_back(lease, read=answer.read)
            while (name := self._slots.forget()) is not None:
                (self._folder / name).unlink(missing_ok=True)

    def _finish(self, question: _Question, answer: _Answer, sender: Any) -> None:
        """Send the last response, with the FINAL flag. Raises what there is to send instead."""
        if answer.cancelled:
            raise CancelledError
        if answer.fault is not None:
            code = "INVALID_ARG" if answer.fault.get("code") == 400 else "INTERNAL"
            raise _RefusalError(str(answer.fault.get("message", "llama.cpp failed")), code)
        text = "" if question.stream else "".join(answer.text)
        sender.send(self._response(question, answer, text), flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _decode(
        self, question: _Question, lease: Lease, answer: _Answer, sender: Any, *, only_read: bool = False
    ) -> None:
        """Let llama.cpp answer. It calls ``take`` after each part of the prompt and each token; True stops it."""

        def take(chunk: dict[str, Any]) -> bool:
            try:
                return step(chunk)
            except Exception as error:  # noqa: BLE001 - it must not reach llama.cpp, which calls this
                answer.fault = {"message": f"unexpected {type(error).__name__}"}
                return True

        def step(chunk: dict[str, Any]) -> bool:
            if "error" in chunk:
                answer.fault = chunk["error"]
                return True
            answer.cancelled = self._stopping.is_set() or sender.is_cancelled()
            choice = chunk["choices"][0]
            answer.finish_reason = choice.get("finish_reason") or ""
            if only_read:
                return answer.cancelled
            answer.usage = chunk.get("usage") or answer.usage
            answer.logprobs.extend((choice.get("logprobs") or {}).get("content") or [])
            if choice["text"]:
                answer.text.append(choice["text"])
                if question.stream:
                    sender.send(self._response(question, answer, choice["text"]))
            return answer.cancelled

        body = {**question.body, "id_slot": lease.slot.number, "cache_prompt": True}
        if only_read:
            body["n_predict"] = 0
        self._server.complete({**body, "return_progress": True}, take)

    def _response(self, question: _Question, answer: _Answer, text: str) -> Any:
        if question.echo:
            text = question.prompt + text
        values: dict[str, tuple[Any, Any]] = {
            "text_output": (text.encode(), np.object_),
            "model_version": (self._version.encode(), np.object_),
            "finish_reason": (answer.finish_reason.encode(), np.object_),
            "num_input_tokens": (answer.usage.get("prompt_tokens", 0), np.uint32),
            "num_output_tokens": (answer.usage.get("completion_tokens", 0), np.uint32),
            "cumulative_logprob": (sum(token["logprob"] for token in answer.logprobs), np.float32),
            "logprobs": (json.dumps(answer.logprobs).encode(), np.object_),
        }
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor(name, np.array([value], dtype=kind))
                for name, (value, kind) in values.items()
                if name in question.wants
            ]
        )


def _question(request: Any) -> _Question:
    """The request, checked. Raises _RefusalError."""
    prompt = _input(request, "text_input", b"")
    if not prompt or len(prompt) > _MAX_PROMPT:
        raise _RefusalError(f"text_input must have 1 to {_MAX_PROMPT} bytes")
    stream = bool(_input(request, "stream", False))
    wants = {"text_output", "model_version"}
    for name in ("finish_reason", "cumulative_logprob", "logprobs", "num_input_tokens", "num_output_tokens"):
        if _input(request, f"return_{name}", False):
            wants.add(name)
    body = _sampling(_input(request, "sampling_parameters", b"{}"))
    if wants & {"cumulative_logprob", "logprobs"}:
        body.setdefault("logprobs", 1)
    body["prompt"] = prompt.decode(errors="replace")
    echo = not stream and not _input(request, "exclude_input_in_output", False)
    return _Question(body["prompt"], body, stream, echo, frozenset(wants))


def _sampling(text: bytes) -> dict[str, Any]:
    """vLLM's sampling parameters as llama.cpp's. An unknown one is an error: silently ignored it would mislead."""
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise _RefusalError("sampling_parameters must be a JSON object")
    body: dict[str, Any] = dict(_DEFAULTS)
    for name, value in given.items():
        if name in _NUMBERS:
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise _RefusalError(f"sampling_parameters: {name} must be a number") from None
            if name == "max_tokens" and number < 1:
                raise _RefusalError("sampling_parameters: max_tokens must be at least 1")
            body[_NUMBERS[name]] = int(number) if number.is_integer() and name != "temperature" else number
        elif name == "stop":
            words = [value] if isinstance(value, str) else value
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise _RefusalError("sampling_parameters: stop must be a string or a list of strings")
            body["stop"] = words
        elif name == "grammar":
            body["grammar"] = str(value)
        elif name == "ignore_eos":
            body["ignore_eos"] = bool(value)
        else:
            raise _RefusalError(f"sampling_parameters: {name} is not known")
    return body


def _input(request: Any, name: str, default: Any) -> Any:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return default if tensor is None else tensor.as_numpy().reshape(-1)[0]


def _fail(sender: Any, message: str, code: str) -> None:
    error = pb_utils.TritonError(message, getattr(pb_utils.TritonError, code))
    with contextlib.suppress(Exception):  # the client is gone: then nobody waits for the error either
        sender.send(
            pb_utils.InferenceResponse(output_tensors=[], error=error),
            flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL,
        )


def _end_with(parent: int, stopping: threading.Event) -> None:
    """End this process when Triton is gone: the stub would go on waiting for it, holding the model's memory."""
    while not stopping.wait(1.0):
        if os.getppid() != parent:
            os._exit(1)


def _short_folder() -> str | None:
    """Where a Unix socket's path stays under its 107 bytes; None: the usual temporary folder."""
    return "/tmp" if len(tempfile.gettempdir()) > 60 else None  # noqa: S108 - a private folder is made in it


def _processors() -> int:
    """Threads to decode with: what this process may use, less one for the others from three on."""
    usable = float(len(os.sched_getaffinity(0)))
    with contextlib.suppress(OSError, ValueError):  # a container's limit: cgroup v2, cpu.max "quota period"
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        usable = min(usable, float(quota) / float(period))
    return max(1, int(usable) - (usable >= 3))
