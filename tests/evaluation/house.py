"""A gateway with a real PostgreSQL behind it, and a dict in the place of the model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nlsql_gateway import log, serving
from nlsql_gateway.ask import Asker
from nlsql_gateway.ask.generator import Completion, Sampling
from nlsql_gateway.audit import FileSink
from nlsql_gateway.config import Ask, Audit, Auth, Cache, Listen, Settings, Upstream
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import GatewayError
from nlsql_gateway.evaluation.asking import Asking, Login
from nlsql_gateway.policy import load
from nlsql_gateway.server.listener import Gateway

POLICY = """
version: 1
name: evaluation
default: [everybody]
roles:
  everybody:
    read:
      - {tables: "*.*", views: true}
"""


@dataclass
class Answers:
    """A Generator: the answer whose key stands in the prompt, an error when it is one."""

    answers: Mapping[str, str | GatewayError]
    model: str = "double"
    asked: list[str] = field(default_factory=list)
    pauses: Mapping[str, float] = field(default_factory=dict)
    "Seconds before the answer with that key."

    async def generate(self, prompt: str, sampling: Sampling, *, timeout: float) -> Completion:
        self.asked.append(prompt)
        key, answer = next((key, answer) for key, answer in self.answers.items() if key in prompt)
        await asyncio.sleep(self.pauses.get(key, 0))
        if isinstance(answer, GatewayError):
            raise answer
        return Completion(answer, self.model, "7")

    async def ready(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


@contextmanager
def asked(folder: Path, postgres: EmbeddedPostgres, model: Answers) -> Iterator[Asking]:
    """A gateway on a thread of its own; everybody may read everything, golds run at PostgreSQL itself."""
    secret = folder / "secret"
    secret.write_text(postgres.password)
    settings = Settings(
        listen=Listen(port=0),
        upstream=Upstream(host=postgres.host, port=postgres.port, user=postgres.superuser, password_file=secret),
        auth=Auth(method="trust"),
        ask=Ask(backend="none", cache=Cache(entries=0)),
        policy=Path("unused"),
        audit=Audit(path=folder / "audit.jsonl"),
    )
    policy = load(POLICY, "evaluation.yaml")
    started = threading.Event()
    box: list[tuple[int, Gateway, asyncio.AbstractEventLoop]] = []

    async def main() -> None:
        sink = FileSink(settings.audit.path, durability="written")
        try:
            async with serving.admission(settings, lambda: policy, sink) as gate:
                gate.asking.asker = Asker(model, prompt="chatml", repairs=1, max_tokens=100, max_prompt_tokens=2000)
                gateway = Gateway(settings, gate, lambda: policy, log.logger("test"))

                def ready(_: str, port: int) -> None:
                    box.append((port, gateway, asyncio.get_running_loop()))
                    started.set()

                await gateway.serve(ready=ready)
        finally:
            sink.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        assert started.wait(20)
        port, gateway, loop = box[0]
        yield Asking(
            Login("127.0.0.1", port, "ada", None),
            Login(postgres.host, postgres.port, postgres.superuser, postgres.password),
            timeout=20,
        )
    finally:
        if box:
            loop.call_soon_threadsafe(gateway.stop)
        thread.join(20)
    assert not thread.is_alive()
