"""A deterministic model: the first rule of a JSON file whose ``contains`` is in the prompt says what happens.

The file is named by the environment variable SCRIPTED_ANSWERS and read again for each question, so a test may change
it while Triton runs. It holds a list of rules, each an object with

- ``contains``: part of the prompt ("" fits all), or a list of parts that must all be there;
- ``text``: the answer, cut at the first stop string and at ``max_tokens`` words, as a real model would be;
- ``logprob``: the sum of the tokens' log probabilities, 0 unless given; a token is a word;
- ``seconds``: how long it takes (a cancelled question ends at once);
- ``error``: a message to fail with, and ``code``: the name of a TritonError code;
- ``parts``: stream the text in so many responses even when not asked to; ``late_final``: the FINAL flag comes alone.

No rule fits: the answer is "no rule". When SCRIPTED_SEEN names a file, each prompt with its sampling parameters and
what became of it ("done", "cancelled", "failed") is appended there as one JSON line.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

_FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


_ENVIRONMENT = os.environ  # noqa: TID251 - not the gateway's process but Triton's


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        self._version = f"scripted-{args['model_version']}"
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()

    def execute(self, requests: list[Any]) -> None:
        for request in requests:
            thread = threading.Thread(target=self._answer, args=(request, request.get_response_sender()))
            thread.start()
            self._threads = [other for other in self._threads if other.is_alive()] + [thread]

    def finalize(self) -> None:
        for thread in self._threads:
            thread.join()

    def _answer(self, request: Any, sender: Any) -> None:
        prompt = _input(request, "text_input", b"").decode()
        sampling = json.loads(_input(request, "sampling_parameters", b"{}"))
        rule = _rule(prompt)
        end = time.monotonic() + float(rule.get("seconds", 0))
        outcome = "failed" if "error" in rule else "done"
        while time.monotonic() < end:
            if sender.is_cancelled():
                outcome = "cancelled"
                break
            time.sleep(min(0.01, max(0.0, end - time.monotonic())))
        self._note({"prompt": prompt, "sampling": sampling, "outcome": outcome})
        if outcome == "done":
            self._send(sender, rule, prompt, sampling, echo=not _input(request, "exclude_input_in_output", False))
        else:
            code = getattr(
                pb_utils.TritonError, "CANCELLED" if outcome == "cancelled" else rule.get("code", "INTERNAL")
            )
            error = pb_utils.TritonError(str(rule.get("error", "cancelled")), code)
            sender.send(pb_utils.InferenceResponse(output_tensors=[], error=error), flags=_FINAL)

    def _send(self, sender: Any, rule: dict[str, Any], prompt: str, sampling: dict[str, Any], *, echo: bool) -> None:
        text = _cut(rule.get("text", ""), sampling)
        size = -(-len(text) // int(rule.get("parts", 1))) or 1
        parts = [text[start : start + size] for start in range(0, len(text), size)] or [""]
        if echo:
            parts[0] = prompt + parts[0]
        for index, part in enumerate(parts):
            tensors = [
                _tensor("text_output", part),
                _tensor("model_version", self._version),
                pb_utils.Tensor("cumulative_logprob", np.array([rule.get("logprob", 0)], dtype=np.float32)),
                pb_utils.Tensor("num_output_tokens", np.array([len(text.split())], dtype=np.uint32)),
            ]
            last = index == len(parts) - 1 and not rule.get("late_final")
            sender.send(pb_utils.InferenceResponse(tensors), flags=_FINAL if last else 0)
        if rule.get("late_final"):
            sender.send(flags=_FINAL)

    def _note(self, line: dict[str, Any]) -> None:
        path = _ENVIRONMENT.get("SCRIPTED_SEEN")
        if path:
            with self._lock, Path(path).open("a") as file:
                file.write(json.dumps(line) + "\n")


def _end_with(triton: int) -> None:
    """A stub goes on waiting for a Triton that is gone; see the embedded model."""
    while os.getppid() == triton:
        time.sleep(0.5)
    os._exit(1)


def _rule(prompt: str) -> dict[str, Any]:
    for rule in json.loads(Path(_ENVIRONMENT["SCRIPTED_ANSWERS"]).read_text()):
        contains = rule["contains"]
        if all(part in prompt for part in ([contains] if isinstance(contains, str) else contains)):
            return dict(rule)
    return {"text": "no rule"}


def _cut(text: str, sampling: dict[str, Any]) -> str:
    for stop in sampling.get("stop", []):
        text = text.split(stop)[0]
    words = text.split(" ")
    return " ".join(words[: int(sampling.get("max_tokens", len(words)))])


def _input(request: Any, name: str, default: Any) -> Any:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return default if tensor is None else tensor.as_numpy().reshape(-1)[0]


def _tensor(name: str, text: str) -> Any:
    return pb_utils.Tensor(name, np.array([text.encode()], dtype=np.object_))
