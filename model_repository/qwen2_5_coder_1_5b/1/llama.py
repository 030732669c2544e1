"""llama.cpp's server, in this process (``xllamacpp``) or in its own (``llama-server``, compiled for this machine).

Both speak the same: completions as ``POST /v1/completions`` has them, slots that are saved and restored. The wheel of
xllamacpp is compiled for every processor with AVX2; ``nlsql-gateway model build`` compiles the same sources for the
processor that is there, which reads twice as fast where it has AVX-512. Both listen by HTTP on a Unix socket in a
private folder, with a random key.

llama.cpp, tools/server/README.md.
"""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from weights import Weights

Take = Callable[[dict[str, Any]], bool]
"Called with each chunk of an answer; True stops it."

_SPINS = "1000"
"""How often a thread of OpenMP looks whether the others have come before it sleeps. libgomp's own 300,000 is right for
a machine that does nothing else; beside other busy programs each waits for threads that the waiting keeps from running.
3 threads on 4 processors, tokens a second: alone 33 instead of 35, beside three busy programs 10 instead of 1."""

_READY_TIMEOUT = 120.0
"Seconds until a process must have loaded the model."
_END_TIMEOUT = 3.0
"Seconds from SIGTERM to SIGKILL."
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class LlamaError(Exception):
    """llama.cpp does not start; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class Settings:
    weights: Weights
    slots: int
    context: int
    "Tokens of a slot."
    batch: int
    "Tokens of prompt read at a time."
    threads: int
    folder: Path
    "Private: the socket and the saved slots."


class Llama(Protocol):
    def complete(self, body: dict[str, Any], take: Take) -> None:
        """Stream the completion of ``body``. What fails is a chunk ``{"error": {"code": …, "message": …}}``."""

    def close(self) -> None:
        """End it; running completions end with it."""


def start(program: str, settings: Settings) -> Llama:
    """``program``: the path of a llama-server; empty: xllamacpp. Raises LlamaError."""
    os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)  # noqa: TID251 - before libgomp is loaded
    key = settings.folder / "key"
    with open(key, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(secrets.token_hex(16))
    if not program:
        return _Inside(settings, key.read_text())
    return _Outside(Path(program), settings, key)


def slot_action(folder: Path, slot: int, action: str, name: str) -> bool:
    """``save`` or ``restore`` a slot's state in the file ``name``. False: it did not work."""
    connection = _UnixConnection(folder, timeout=30.0)
    try:
        connection.post(f"/slots/{slot}?action={action}", {"filename": name})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class _Inside:
    def __init__(self, settings: Settings, key: str) -> None:
        try:
            import xllamacpp
        except ImportError as error:
            raise LlamaError(f"xllamacpp cannot be loaded: {error}") from error
        params = xllamacpp.CommonParams()
        params.model.path = str(settings.weights.file)
        if settings.weights.adapter is not None:
            params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(settings.weights.adapter), 1.0)]
        params.n_parallel = settings.slots
        params.n_ctx = settings.context * settings.slots
        params.n_batch = params.n_ubatch = settings.batch
        for cpu in (params.cpuparams, params.cpuparams_batch):
            cpu.n_threads = settings.threads
            cpu.poll = 0  # idle threads sleep
        params.cache_ram_mib = 0  # a state loaded from that cache leaves it; ours are files, for all slots
        params.slot_save_path = f"{settings.folder}/"
        params.hostnames = [str(_socket(settings.folder))]
        params.api_keys = [key]
        params.endpoint_slots = True
        params.ui = False
        params.verbosity = 1  # errors; from 4 on it would log prompts
        try:
            self._server = xllamacpp.Server(params)
        except Exception as error:
            raise LlamaError(_cannot_load(settings.weights, str(error))) from error

    def complete(self, body: dict[str, Any], take: Take) -> None:
        self._server.handle_completions({**body, "stream": True}, take)

    def close(self) -> None:
        del self._server


@dataclass(frozen=True, slots=True)
class _Fault:
    name: str
    begun: bool
    "Part of the answer had come."


class _Outside:
    """A process that is started again when it has ended; what it was answering then fails."""

    def __init__(self, program: Path, settings: Settings, key: Path) -> None:
        self._folder = settings.folder
        self._weights = settings.weights
        self._command: list[str | Path] = [
            program, "--model", settings.weights.file, "--parallel", str(settings.slots),
            "--ctx-size", str(settings.context * settings.slots),
            "--batch-size", str(settings.batch), "--ubatch-size", str(settings.batch),
            "--threads", str(settings.threads), "--threads-batch", str(settings.threads), "--poll", "0",
            "--cache-ram", "0", "--slots", "--slot-save-path", f"{settings.folder}/",
            "--host", _socket(settings.folder), "--api-key-file", key,
            "--no-ui", "--offline", "--verbosity", "1",
            *(("--lora", settings.weights.adapter) if settings.weights.adapter is not None else ()),
        ]  # fmt: skip
        self._lock = threading.Lock()
        self._closed = False
        self._process = self._run()

    def _run(self) -> subprocess.Popen[bytes]:
        _socket(self._folder).unlink(missing_ok=True)
        words = self._folder / "llama.log"
        parent = os.getpid()

        def end_with_parent() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

        try:
            with words.open("wb") as log:
                process = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent
                )
        except OSError as error:
            raise LlamaError(f"{self._command[0]} cannot be run: {error.strerror}") from error
        try:
            self._wait_until_ready(process, words)
        except BaseException:
            _end(process)
            raise
        return process

    def _wait_until_ready(self, process: subprocess.Popen[bytes], words: Path) -> None:
        end = time.monotonic() + _READY_TIMEOUT
        while not self._answers():
            if (status := process.poll()) is not None:
                last = words.read_text(errors="replace").strip().splitlines()
                because = last[-1] if last else f"exit status {status}"
                if status == -signal.SIGILL:
                    because = "it is compiled for another processor; run `nlsql-gateway model build` on this machine"
                raise LlamaError(_cannot_load(self._weights, because))
            if time.monotonic() > end:
                raise LlamaError(_cannot_load(self._weights, f"not loaded within {_READY_TIMEOUT:g} s"))
            time.sleep(0.05)

    def _answers(self) -> bool:
        connection = _UnixConnection(self._folder, timeout=5.0)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def complete(self, body: dict[str, Any], take: Take) -> None:
        fault = self._stream(body, take)
        if fault is not None and not fault.begun and self._has_ended():
            fault = self._stream(body, take)
        if fault is not None:
            take({"error": {"code": 500, "message": f"llama-server is gone ({fault.name})"}})

    def _has_ended(self) -> bool:
        """What is killed lets go of its connections before it has ended."""
        try:
            self._process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            return False
        return not self._closed

    def _stream(self, body: dict[str, Any], take: Take) -> _Fault | None:
        with self._lock:
            if self._process.poll() is not None and not self._closed:
                self._process = self._run()
        begun = False
        # Between two chunks lies a part of the prompt or a token, whatever else is decoded beside it.
        connection = _UnixConnection(self._folder, timeout=120.0)
        try:
            connection.post("/v1/completions", {**body, "stream": True})
            answer = connection.getresponse()
            begun = True
            if answer.status != 200:
                take(json.loads(answer.read()))
                return None
            for line in answer:
                kind, _, data = line.strip().partition(b": ")
                if data == b"[DONE]" or (kind in (b"data", b"error") and take(json.loads(data))):
                    return None
        except (OSError, http.client.HTTPException, ValueError) as error:
            return _Fault(type(error).__name__, begun)
        finally:
            connection.close()  # before its end: the completion is cancelled
        return _Fault("EOF", begun)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            _end(self._process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, folder: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._folder = folder

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(_socket(self._folder)))

    def post(self, path: str, body: dict[str, Any]) -> None:
        key = (self._folder / "key").read_text()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.request("POST", path, json.dumps(body), headers)


def _socket(folder: Path) -> Path:
    return folder / "http.sock"


def _cannot_load(weights: Weights, because: str) -> str:
    if weights.adapter is not None:
        made_for = f"with the adapter {weights.adapter}: is that a whole LoRA made for this model?"
        return f"llama.cpp cannot load {weights.file.name} {made_for} ({because})"
    return f"llama.cpp cannot load {weights.file.name}: {because}"
