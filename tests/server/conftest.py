"""The proxy alone: a real PostgreSQL behind it, and a small gate in the place of admission."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import uvloop

from nlsql_gateway import log
from nlsql_gateway.admission import Admitted, Client, Notice, Outcome, Refused
from nlsql_gateway.ask import Dialogue, Stage
from nlsql_gateway.config import Auth, Listen, Settings, Upstream
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import AuditError, GatewayError
from nlsql_gateway.policy import Policy, load
from nlsql_gateway.server.listener import Gateway
from nlsql_gateway.sql import Batch, Statement, classify
from nlsql_gateway.wire.scram import Verifier

POLICY = load("version: 1\nname: open\npass_through: true\n", "open.yaml")

VERIFIER = Verifier.build("secret", b"0123456789abcdef")


@dataclass
class SmallGate:
    """Lets everything through but what a test marks in the text itself, and remembers what it was told."""

    closed: dict[str, Outcome] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    executions: list[tuple[str | None, ...]] = field(default_factory=list)
    ran: dict[str, str] = field(default_factory=dict)
    "The statement behind each execution."
    version: str = "1"
    unrecorded: bool = False
    unclosed: bool = False
    passing: bool = False
    opened: list[str] = field(default_factory=list)
    "What must be closed: simple queries and executions."
    _number: int = 0
    _closing: bool = False

    def _id(self) -> str:
        self._number += 1
        return f"r{self._number}"

    def admit_now(self, text: str, client: Client) -> Admitted | Refused | None:
        if text.startswith("ask:"):
            return None
        self.texts.append(text)
        if "forbidden" in text:
            return Refused(self._id(), "42501", "not for you", "a detail", "a hint")
        if "explode" in text:
            raise RuntimeError("a fault of our own")
        sql = f"/* rewritten by policy {self.version} */ {text}" if "rewrite" in text else text
        return self._admitted(client, text, sql)

    async def admit(self, text: str, client: Client, dialogue: Dialogue | None = None) -> Admitted | Refused:
        if not text.startswith("ask:"):
            verdict = self.admit_now(text, client)
            assert verdict is not None
            return verdict
        if dialogue is not None:
            dialogue.tell(Stage.LINKING)
            dialogue.tell(Stage.MODEL)
        await asyncio.sleep(30 if "slow" in text else 2.5 if "while" in text else 0.05)
        if "explode" in text:
            raise RuntimeError("a fault of our own")
        notice = Notice("SQL: SELECT 42", "model: none")
        return self._admitted(client, "SELECT 42 AS answer", "SELECT 42 AS answer", (notice,))

    def asks_later(self, text: str, client: Client) -> bool:
        return False

    def passes(self) -> bool:
        return self.passing

    def _admitted(self, client: Client, source: str, sql: str, notices: tuple[Notice, ...] = ()) -> Admitted:
        try:
            batch = classify(sql)
        except GatewayError:
            statements: tuple[Statement, ...] = ()  # PostgreSQL words the error
        else:
            assert isinstance(batch, Batch)
            statements = batch.statements
        record_id = self._id()
        if client.protocol == "simple":
            self.opened.append(record_id)
        return Admitted(record_id, sql, statements, source, notices, (self.version, ""), sql != source)

    def current(self, admitted: Admitted, client: Client) -> bool:
        return admitted.versions[0] == self.version

    def executing(self, admitted: Admitted, client: Client, parameters: Sequence[str | None]) -> str:
        self.executions.append(tuple(parameters))
        record_id = self._id()
        self.ran[record_id] = "; ".join(statement.text for statement in admitted.statements)
        self.opened.append(record_id)
        return record_id

    def all_closed(self) -> bool:
        """Every account, waiting a little for the last ones."""
        deadline = time.monotonic() + 5
        while len(self.closed) < len(self.opened) and time.monotonic() < deadline:
            time.sleep(0.01)
        return sorted(self.opened) == sorted(self.closed)

    def close(self, record_id: str, client: Client, outcome: Outcome) -> None:
        assert record_id not in self.closed, "an account is closed once"
        self.closed[record_id] = outcome
        self._closing = True

    def wait_with(self, kept: Callable[[], Awaitable[None]]) -> None:
        pass

    def flush(self) -> None:
        closing, self._closing = self._closing, False
        if self.unrecorded or (self.unclosed and closing):
            raise AuditError("the audit log cannot be written")


@dataclass
class Served:
    port: int
    gate: SmallGate
    gateway: Gateway
    loop: asyncio.AbstractEventLoop

    def conninfo(self, **more: object) -> str:
        parts = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": "ada",
            "password": "secret",
            "dbname": "postgres",
            **more,
        }
        return " ".join(f"{key}={value}" for key, value in parts.items())

    def call(self, function: object) -> None:
        assert callable(function)
        self.loop.call_soon_threadsafe(function)


class Server:
    """A gateway on a thread of its own."""

    def __init__(self, postgres: EmbeddedPostgres, folder: Path) -> None:
        self.postgres = postgres
        self.secret = folder / "secret"
        self.secret.write_text(postgres.password)
        self.users = folder / "users.txt"
        "May be changed before ``start``; ada's password is secret."
        self.users.write_text(f'"ada" "{VERIFIER}"\n')
        self._threads: list[tuple[Served, threading.Thread]] = []

    def start(
        self,
        *,
        trust: bool = False,
        auth: dict[str, object] | None = None,
        policy: Policy = POLICY,
        upstream: dict[str, object] | None = None,
        loop: Literal["uvloop", "asyncio"] = "uvloop",
        **listen: object,
    ) -> Served:
        settings = Settings(
            listen=Listen(port=0, **listen),  # type: ignore[arg-type]  # the test names the keys
            upstream=Upstream(
                **{  # type: ignore[arg-type]  # as above
                    **({} if "hosts" in (upstream or {}) else {"host": self.postgres.host, "port": self.postgres.port}),
                    "user": "postgres",
                    "password_file": self.secret,
                    **(upstream or {}),
                }
            ),
            auth=Auth(**{"method": "trust" if trust else "scram-sha-256", "users": self.users, **(auth or {})}),  # type: ignore[arg-type]
            policy=Path("unused"),
        )
        gate = SmallGate()
        started = threading.Event()
        box: list[Served] = []

        def main() -> None:
            async def serve() -> None:
                gateway = Gateway(settings, gate, lambda: policy, log.logger("test"))

                def ready(host: str, port: int) -> None:
                    box.append(Served(port, gate, gateway, asyncio.get_running_loop()))
                    started.set()

                await gateway.serve(ready=ready)

            (uvloop if loop == "uvloop" else asyncio).run(serve())

        thread = threading.Thread(target=main, daemon=True)
        thread.start()
        assert started.wait(10)
        self._threads.append((box[0], thread))
        return box[0]

    def stop(self) -> None:
        for served, thread in self._threads:
            if thread.is_alive():
                with contextlib.suppress(RuntimeError):  # it has just ended
                    served.call(served.gateway.stop)
                    served.call(served.gateway.stop)
                thread.join(20)
            assert not thread.is_alive(), "the gateway ends when told to"


@pytest.fixture
def server(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Server]:
    running = Server(postgres, tmp_path)
    yield running
    running.stop()


@pytest.fixture
def served(server: Server) -> Served:
    return server.start()
