"""A model of Transformers behind the interface of Triton's vLLM backend, for GPUs that vLLM does not run on.

One thread decodes: what waits when it is free, up to ``batch`` questions, is decoded together (``decoding.py``). So
``execute`` returns at once, Triton's own queue stays empty, and the limits of the queue are kept here, in the words of
Triton's scheduler. Prompts and answers are never logged.

Triton's Python backend, README: "Decoupled mode", "Request Cancellation Handling", "Error Handling".
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).parent))
from decoding import Decoder, Row, TooLongError

_FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
_EXTRAS = ("cumulative_logprob", "num_input_tokens", "num_output_tokens")
_IGNORED = frozenset({"logprobs", "grammar"})
"The sum is always computed; decoding is not constrained, which the gateway allows for."


class _RefusalError(Exception):
    """A request that cannot be answered."""


@dataclass(slots=True)
class _Question:
    row: Row
    sender: Any
    stream: bool
    echo: bool
    wants: frozenset[str]
    deadline: float
    "When it has waited too long, by the monotonic clock."


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])["parameters"]
        parameters = {key: value["string_value"] for key, value in config.items()}
        environment = os.environ  # noqa: TID251 - not the gateway's process but Triton's
        name = parameters["model"] or environment.get("NLSQL_TRANSFORMERS_MODEL", "")
        if not name:
            raise RuntimeError("no model: set the parameter model in config.pbtxt or NLSQL_TRANSFORMERS_MODEL")
        self._version = Path(name).name if Path(name).is_dir() else name
        self._batch = int(parameters["batch"])
        self._patience = float(parameters["queue_timeout"])
        self._waiting: queue.Queue[_Question | None] = queue.Queue(int(parameters["queue_size"]))
        device = parameters["device"]
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = parameters["dtype"]
        model = transformers.AutoModelForCausalLM.from_pretrained(
            name, torch_dtype="auto" if dtype == "auto" else getattr(torch, dtype)
        ).to(device)
        tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        self._decoder = Decoder(model, tokenizer, int(parameters["context"]))
        # A version that does not answer must not take over from one that does.
        self._decoder.run([Row("SELECT 1", max_tokens=2)])
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="decoder")
        self._thread.start()
        threading.Thread(target=_end_with, args=(os.getppid(), self._stopping), daemon=True).start()

    def execute(self, requests: list[Any]) -> None:
        for request in requests:
            sender = request.get_response_sender()
            try:
                self._waiting.put_nowait(self._question(request, sender))
            except queue.Full:
                _fail(sender, "Exceeds maximum queue size", "UNAVAILABLE")
            except (_RefusalError, TooLongError) as error:
                _fail(sender, str(error), "INVALID_ARG")

    def finalize(self) -> None:
        self._stopping.set()
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            batch = [self._waiting.get()]
            with contextlib.suppress(queue.Empty):
                while len(batch) < self._batch:
                    batch.append(self._waiting.get_nowait())
            self._answer([question for question in batch if question is not None and self._is_wanted(question)])

    def _is_wanted(self, question: _Question) -> bool:
        if question.row.is_cancelled():
            _fail(question.sender, "cancelled", "CANCELLED")
        elif time.monotonic() > question.deadline:
            _fail(question.sender, "Request timeout expired", "UNAVAILABLE")
        else:
            return True
        return False

    def _answer(self, questions: list[_Question]) -> None:
        if not questions:
            return
        try:
            self._decoder.run([question.row for question in questions])
        except Exception as error:  # noqa: BLE001 - questions never take the model down; the text may hold their words
            pb_utils.Logger.log_error(f"unexpected {type(error).__name__}")
            for question in questions:
                _fail(question.sender, f"unexpected {type(error).__name__}", "INTERNAL")
            return
        for question in questions:
            if question.row.cancelled:
                _fail(question.sender, "cancelled", "CANCELLED")
            else:
                text = "" if question.stream else question.row.text
                with contextlib.suppress(Exception):  # the client is gone
                    question.sender.send(self._response(question, text), flags=_FINAL)

    def _question(self, request: Any, sender: Any) -> _Question:
        """The request, checked. Raises _RefusalError, TooLongError."""
        prompt = _input(request, "text_input", b"").decode(errors="replace")
        if not prompt:
            raise _RefusalError("text_input is empty")
        self._decoder.encode(prompt)
        stream = bool(_input(request, "stream", False))
        row = Row(prompt, **_sampling(_input(request, "sampling_parameters", b"{}")))
        wants = frozenset(name for name in _EXTRAS if _input(request, f"return_{name}", False))
        echo = not stream and not _input(request, "exclude_input_in_output", False)
        question = _Question(row, sender, stream, echo, wants, time.monotonic() + self._patience)
        row.is_cancelled = lambda: self._stopping.is_set() or bool(sender.is_cancelled())
        if stream:
            row.say = lambda text: sender.send(self._response(question, text))
        return question

    def _response(self, question: _Question, text: str) -> Any:
        row = question.row
        if question.echo:
            text = row.prompt + text
        values: dict[str, tuple[Any, Any]] = {
            "text_output": (text.encode(), np.object_),
            "model_version": (self._version.encode(), np.object_),
            "cumulative_logprob": (row.logprob, np.float32),
            "num_input_tokens": (row.prompt_tokens, np.uint32),
            "num_output_tokens": (len(row.tokens), np.uint32),
        }
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor(name, np.array([value], dtype=kind))
                for name, (value, kind) in values.items()
                if name in ("text_output", "model_version") or name in question.wants
            ]
        )


def _sampling(text: bytes) -> dict[str, Any]:
    """vLLM's sampling parameters as a Row's. An unknown one is an error: silently ignored it would mislead."""
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise _RefusalError("sampling_parameters must be a JSON object")
    found: dict[str, Any] = {"max_tokens": 256}
    for name, value in given.items():
        if name in ("max_tokens", "seed", "temperature", "top_p"):
            try:
                found[name] = int(value) if name in ("max_tokens", "seed") else float(value)
            except (TypeError, ValueError):
                raise _RefusalError(f"sampling_parameters: {name} must be a number") from None
        elif name == "stop":
            words = [value] if isinstance(value, str) else value
            if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
                raise _RefusalError("sampling_parameters: stop must be a string or a list of strings")
            found["stop"] = tuple(words)
        elif name not in _IGNORED:
            raise _RefusalError(f"sampling_parameters: {name} is not known")
    if found["max_tokens"] < 1:
        raise _RefusalError("sampling_parameters: max_tokens must be at least 1")
    return found


def _input(request: Any, name: str, default: Any) -> Any:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return default if tensor is None else tensor.as_numpy().reshape(-1)[0]


def _fail(sender: Any, message: str, code: str) -> None:
    error = pb_utils.TritonError(message, getattr(pb_utils.TritonError, code))
    with contextlib.suppress(Exception):  # the client is gone: then nobody waits for the error either
        sender.send(pb_utils.InferenceResponse(output_tensors=[], error=error), flags=_FINAL)


def _end_with(parent: int, stopping: threading.Event) -> None:
    """End this process when Triton is gone: the stub would go on waiting for it, holding the model's memory."""
    while not stopping.wait(1.0):
        if os.getppid() != parent:
            os._exit(1)
