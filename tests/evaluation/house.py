"""The real gateway with a real PostgreSQL behind it, and a dict in the place of the model."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.evaluation.asking import Asking, Login
from tests.e2e import harness
from tests.e2e.harness import PASSWORDS, RunningGateway

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
    """A model server with OpenAI's interface: the answer is that of the key in the prompt; None: it is not ready."""

    answers: Mapping[str, str | None]
    pauses: Mapping[str, float] = field(default_factory=dict)
    "Seconds before the answer with that key."
    asked: list[str] = field(default_factory=list)

    def answer(self, prompt: str) -> tuple[int, bytes]:
        self.asked.append(prompt)
        key, text = next((key, text) for key, text in self.answers.items() if key in prompt)
        time.sleep(self.pauses.get(key, 0))
        body = {"choices": [{"text": text}], "model": "7"}
        return (503 if text is None else 200), json.dumps(body).encode()

    @contextmanager
    def served(self) -> Iterator[str]:
        """Its URL."""
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, body = answer(asked["prompt"])
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True  # one may be in a pause
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@contextmanager
def running(folder: Path, postgres: EmbeddedPostgres, model: Answers, database: str) -> Iterator[RunningGateway]:
    """A gateway; everybody may read everything."""
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    with (
        model.served() as url,
        harness.gateway(
            folder,
            postgres,
            database=database,
            policy=policy,
            role=postgres.superuser,
            password=postgres.password,
            ask={"backend": "openai", "url": url, "model": "double", "prompt": "chatml", "repairs": 1},
        ) as gateway,
    ):
        yield gateway


def asking(gateway: RunningGateway, postgres: EmbeddedPostgres) -> Asking:
    """As ada; golds run at PostgreSQL itself."""
    golds = Login(postgres.host, postgres.port, postgres.superuser, postgres.password)
    return Asking(Login("127.0.0.1", gateway.port, "ada", PASSWORDS["ada"]), golds, timeout=20)
