"""``nlsql-gateway model serve``: the model repository through Triton alone, until SIGTERM or SIGINT."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from nlsql_gateway.embedded import llama, model
from nlsql_gateway.embedded.triton import HOST, EmbeddedTriton
from nlsql_gateway.errors import ConfigError, ModelUnavailable

REPOSITORY = Path(__file__).resolve().parents[2] / "model_repository"
EMBEDDED_MODEL = "qwen2_5_coder_1_5b"


def run(grpc_port: int, models: Sequence[str], *, adapter: str = "", ready: Callable[[str, int], None]) -> None:
    """Serve ``models`` (none: the embedded one) on loopback; ``ready`` is called when they answer.

    ``adapter`` is a LoRA adapter's file for the embedded model; empty: the one that it brings along, if any; "none":
    not even that. llama.cpp is the one that ``llama.build`` compiled for this processor, if it did. Call it from the
    main thread. Raises ConfigError, ModelUnavailable when the server does not start or ends by itself.
    """
    wanted = tuple(models) or (EMBEDDED_MODEL,)
    embedded = EMBEDDED_MODEL in wanted
    if adapter and not embedded:
        raise ConfigError(f"--adapter is for the model {EMBEDDED_MODEL}, which is not served here")
    if adapter not in ("", "none") and not Path(adapter).is_file():
        raise ConfigError(f"{adapter}: there is no such adapter")
    file = model.pull() if embedded else None
    # Blocked before Triton starts, so that a signal during the start is kept until we wait for it.
    stops = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    with EmbeddedTriton(
        REPOSITORY,
        wanted,
        grpc_port,
        model_file=file,
        model_version=model.EMBEDDED.version if embedded else "",
        adapter=adapter,
        llama_server=llama.find() if embedded else None,
    ) as triton:
        ready(HOST, triton.grpc_port)
        signal.pthread_sigmask(signal.SIG_BLOCK, stops | {signal.SIGCHLD})
        if signal.sigwait(stops | {signal.SIGCHLD}) == signal.SIGCHLD:
            raise ModelUnavailable("Triton has ended by itself", hint="its last log lines above say why")
