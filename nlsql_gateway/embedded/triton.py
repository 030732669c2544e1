"""EmbeddedTriton: NVIDIA Triton Inference Server from the ``nvidia-pytriton`` wheel, as our child process.

Only gRPC is on, and on loopback. How the wheel is made ready to run: ``triton_wheel.py``.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from nlsql_gateway import log
from nlsql_gateway.ask.triton import probe
from nlsql_gateway.embedded import child
from nlsql_gateway.embedded.triton_wheel import RunFolder, environment, lay_out_backends, wheel
from nlsql_gateway.errors import ConfigError, ModelUnavailable

HOST = "127.0.0.1"
CACHE = Path("~/.cache/nlsql-gateway")
"Where the backend directory is laid out, unless the caller says otherwise."

_EXIT_TIMEOUT = 3
"""Seconds that the server waits for running questions and for its models when it is told to stop. About one stop in
ten it waits in vain for a model of the Python backend, whose stub idles: triton-inference-server/server#8755."""
_STOP_PATIENCE = 6.0
"Seconds until SIGKILL, stubs included."
_LOG_PAUSE = 0.1
"Seconds between two looks at the server's output."
_LINE = re.compile(r"(?P<level>[IWEFV])\d{4} [\d:.]+ \d+ (?P<text>.*)")
"Triton's log line: severity and date, time, process, file and message."

_NOISE = (
    "pinned memory pool will not be available",  # no GPU: as intended
    "CudaDriverHelper has not been initialized",
    "Exit timeout expired",  # see _EXIT_TIMEOUT
    "HandleCancellation called even when the context was not cancelled",  # after each fault sent with its gRPC status
)
"Parts of Triton's warnings and errors that tell an operator nothing; logged at debug."

_log = log.logger(__name__)


class EmbeddedTriton:
    """One server on ``model_repository`` that loads ``models``; a context manager that starts and stops it.

    ``grpc_port`` 0: any free one. ``model_file`` is the GGUF that the embedded model reads and ``model_version`` what
    it names as its version; a repository without that model needs neither. ``adapter`` is the path of a LoRA for it;
    empty: its own, if it has one; "none": none. ``llama_server`` is the program that decodes (``llama.find``); None:
    xllamacpp. ``environment`` is added to the models'. ``cache`` is the folder that
    keeps the backend directory between runs.
    """

    def __init__(
        self,
        model_repository: Path,
        models: Sequence[str],
        grpc_port: int = 0,
        *,
        model_file: Path | None = None,
        model_version: str = "",
        adapter: str = "",
        llama_server: Path | None = None,
        environment: Mapping[str, str] | None = None,
        cache: Path | None = None,
    ) -> None:
        self.model_repository = model_repository.resolve()
        self.models = tuple(models)
        self.grpc_port = grpc_port
        "The port asked for; once started, the port listened on."
        self._any_port = grpc_port == 0
        self._environment = {
            **({"NLSQL_MODEL_FILE": str(model_file.resolve())} if model_file is not None else {}),
            **({"NLSQL_MODEL_VERSION": model_version} if model_version else {}),
            **(
                {"NLSQL_MODEL_ADAPTER": adapter if adapter == "none" else str(Path(adapter).resolve())}
                if adapter
                else {}
            ),
            **({"NLSQL_LLAMA_SERVER": str(llama_server)} if llama_server is not None else {}),
            **(environment or {}),
        }
        self._cache = (CACHE if cache is None else cache).expanduser()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: RunFolder | None = None
        self._reader: threading.Thread | None = None
        self._words: deque[str] = deque(maxlen=60)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def grpc_url(self) -> str:
        """For ``ask.url``; known once started."""
        return f"grpc://{HOST}:{self.grpc_port}"

    @property
    def pid(self) -> int | None:
        """The server's process id; None when not running."""
        return None if self._process is None else self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and not _has_ended(self._process)

    @property
    def last_words(self) -> str:
        """The end of the server's log."""
        return "\n".join(self._words)

    def start(self, *, timeout: float = 180.0) -> None:
        """Start the server and wait until every model has answered one canary question.

        Call it from a thread that outlives the server (see ``child``); it blocks. Raises ConfigError when something
        that must be installed is not, ModelUnavailable with the end of the server's log when the models are not ready
        within ``timeout`` seconds.
        """
        if self._process is not None:
            return
        for name in self.models:
            if not (self.model_repository / name / "config.pbtxt").is_file():
                raise ConfigError(f"{self.model_repository}: no model {name} (a folder with config.pbtxt)")
        self._folder = RunFolder.make()
        deadline = time.monotonic() + timeout
        try:
            backends = lay_out_backends(self._cache)
            while not self._launch(backends, deadline):
                pass
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Let running questions end (briefly), then stop. Safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            child.end(process, signal.SIGTERM, patience=_STOP_PATIENCE)
        if self._reader is not None:
            self._reader.join(timeout=5)
            self._reader = None
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    def _launch(self, backends: Path, deadline: float) -> bool:
        """Start the server and wait for it. False: the free port was taken meanwhile, try again."""
        assert self._folder is not None
        if self._any_port:
            self.grpc_port = _free_port()
        elif not _is_free(self.grpc_port):
            raise ConfigError(f"port {self.grpc_port} is taken", hint="choose another for Triton's gRPC, or 0 for any")
        command: list[str | Path] = [
            wheel() / "bin" / "tritonserver",
            f"--model-repository={self.model_repository}",
            "--model-control-mode=explicit",
            *(f"--load-model={name}" for name in self.models),
            f"--backend-directory={backends}",
            f"--backend-config=python,shm-region-prefix-name={self._folder.shared_memory}",
            f"--grpc-address={HOST}",
            f"--grpc-port={self.grpc_port}",
            "--allow-http=false",
            "--allow-metrics=false",
            f"--exit-timeout-secs={_EXIT_TIMEOUT}",
        ]
        self._words.clear()
        # A file, not a pipe: when we are killed, the first line that Triton writes into a pipe without a reader would
        # kill it before it has ended its stubs, which then wait for it, and hold the model's memory, for ever.
        output = self._folder.path / "triton.log"
        with output.open("wb") as stream:
            process = child.spawn(
                command,
                death_signal=signal.SIGTERM,
                environment={**environment(self._folder.path), **self._environment},
                folder=self._folder.path,
                stdout=stream,
                stderr=stream,
            )
        self._process = process
        self._reader = threading.Thread(target=self._take_over_log, args=(output.open("rb"), process), daemon=True)
        self._reader.start()
        for name in self.models:
            while not probe(self.grpc_url, name, timeout=30.0):
                if _has_ended(process):
                    self._reader.join(timeout=5)
                    words = self.last_words
                    if self._any_port and "failed to start GRPC service" in words and time.monotonic() < deadline:
                        self._process = None
                        child.end(process, signal.SIGKILL, patience=0)
                        return False
                    raise ModelUnavailable("Triton did not start", hint=_advice(words), detail=words)
                if time.monotonic() > deadline:
                    raise ModelUnavailable(f"the model {name} was not ready in time", detail=self.last_words)
                time.sleep(0.1)
        return True

    def _take_over_log(self, stream: IO[bytes], process: subprocess.Popen[bytes]) -> None:
        """Hand each line of the server's output to our log, until the server has ended."""
        with stream:
            ended = False
            rest = b""
            while not ended:
                ended = _has_ended(process)  # before the last look
                rest += stream.read()
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    self._take_over(line.decode(errors="replace").rstrip())
                time.sleep(0.0 if ended else _LOG_PAUSE)

    def _take_over(self, line: str) -> None:
        if not line:
            return
        self._words.append(line)
        match = _LINE.match(line)
        level = match["level"] if match is not None else "I"
        event = match["text"].strip() if match is not None else line
        if any(part in event for part in _NOISE):
            level = "I"
        if level in "EF":
            _log.error(event, part="triton")
        elif level == "W":
            _log.warning(event, part="triton")
        else:
            _log.debug(event, part="triton")


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Without waiting for it: while it keeps its number, ``child.end`` can still kill its group, stubs included."""
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _advice(words: str) -> str:
    """A hint for the faults that the person at the terminal can mend."""
    if "libgomp" in words:
        return "apt install libgomp1"
    if "bad_alloc" in words or "out of memory" in words.lower():
        return "not enough memory: lower context or slots in the model's config.pbtxt"
    return "the server's log names the reason"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free for a server
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
