"""House: PostgreSQL, Triton and the gateway as processes that can be killed and started again."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from nlsql_gateway.audit import Whole, chains, verify_all
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.server import users
from tests.e2e.harness import COMMAND, PASSWORDS
from tests.kills.books import PREFIX
from tests.model_repository.serving import Scripted, scripted

DATABASE: Final = "kills"
TABLES: Final = """
CREATE TABLE customers (name text, region text);
INSERT INTO customers VALUES ('Ann', 'East'), ('Bob', 'West');
"""
POLICY: Final = """
version: 1
name: kills
users: {ada: {roles: analyst}}
roles:
  analyst:
    read: [public.customers, public.orders, public.numbers]
    rows: [{tables: public.customers, using: region = 'East'}]
"""


@dataclass
class House:
    folder: Path
    postgres: EmbeddedPostgres
    triton: Scripted
    workers: int
    port: int = 0
    "Of the gateway."
    logs: list[Path] = field(default_factory=list)
    "PostgreSQL's, of earlier starts."
    torn: int = 0
    "Ends of the audit log that we tore."
    _gateway: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """Of the gateway."""
        assert self._gateway is not None
        return self._gateway.pid

    @property
    def audit(self) -> Path:
        return self.folder / "audit.jsonl"

    def kill(self, what: str, chance: random.Random) -> None:
        """SIGKILL, at this moment."""
        match what:
            case "gateway":
                assert self._gateway is not None
                self._gateway.kill()
            case "worker":
                os.kill(chance.choice(self.workers_running()), signal.SIGKILL)
            case "backend":
                found = self.postgres.execute(
                    "SELECT pid FROM pg_stat_activity WHERE application_name = 'crowd' ORDER BY random() LIMIT 1"
                )
                if found:
                    with suppress(ProcessLookupError):
                        os.kill(int(found), signal.SIGKILL)
            case "postmaster":
                assert self.postgres.pid is not None
                os.kill(self.postgres.pid, signal.SIGKILL)
            case "triton":
                assert self.triton.server.pid is not None
                os.kill(self.triton.server.pid, signal.SIGKILL)

    def mend(self, what: str, chance: random.Random) -> None:
        """Start again what was killed and does not come back by itself.

        SIGKILL tears no line of the audit log, for each goes to the kernel at once; a power cut may: so we tear some.
        """
        match what:
            case "gateway":
                assert self._gateway is not None
                self._gateway.wait(30)
                if chance.random() < 0.3:
                    self._tear(chance)
                self.start()
            case "postmaster":
                self.postgres.stop()
                self.logs.append(self.postgres.log.rename(self.folder / f"postgres.log.{len(self.logs)}"))
                self._start_postgres()
            case "triton":
                self.triton.server.stop()
                self.triton.server.start()

    def start(self) -> None:
        """The gateway, which verifies nothing itself; then the chains are."""
        if self._gateway is not None:
            self._gateway.wait(30)
            assert self._gateway.stdout is not None
            self._gateway.stdout.close()
        with (self.folder / "gateway.log").open("a") as log:
            self._gateway = subprocess.Popen(
                [COMMAND, "serve", "--config", self.folder / "gateway.yaml"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "UPSTREAM_PASSWORD": self.postgres.password},  # noqa: TID251
            )
        assert self._gateway.stdout is not None
        line = self._gateway.stdout.readline().split()
        assert line[:1] == ["ready"], (self.folder / "gateway.log").read_text()[-4000:]
        self.port = int(line[2])
        for chain, verdict in verify_all(self.audit).items():
            assert isinstance(verdict, Whole), f"{chain}: {verdict}"

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        assert self._gateway is not None
        self._gateway.terminate()
        status = self._gateway.wait(60)
        assert self._gateway.stdout is not None
        self._gateway.stdout.close()
        return status

    def server_log(self) -> Iterator[str]:
        for log in (*self.logs, self.postgres.log):
            with log.open(errors="surrogateescape") as lines:
                yield from lines

    def _tear(self, chance: random.Random) -> None:
        """The beginning of a further record, without its end."""
        with chance.choice([one for one in chains(self.audit) if one.exists()]).open("r+b") as log:
            line = log.readline()
            log.seek(0, os.SEEK_END)
            log.write(line[: chance.randrange(1, len(line))])
        self.torn += 1

    def workers_running(self) -> list[int]:
        """Their processes; none: the gateway is one process."""
        children = map(int, Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split())
        return [one for one in children if b"nlsql_gateway.worker" in Path(f"/proc/{one}/cmdline").read_bytes()]

    def _start_postgres(self) -> None:
        deadline = time.monotonic() + 60
        while True:  # until the last orphan of the killed server has let go of its memory
            try:
                return self.postgres.start()
            except UpstreamError:
                assert time.monotonic() < deadline
                time.sleep(0.1)


LOGGING: Final = {"log_line_prefix": PREFIX, "log_statement": "all", "restart_after_crash": "on"}
"""Of PostgreSQL."""


@contextmanager
def house(
    folder: Path, *, workers: int = 1, tables: str = TABLES, server: Mapping[str, str] = LOGGING
) -> Iterator[House]:
    """``server``: settings of PostgreSQL."""
    with (
        EmbeddedPostgres(folder / "server", _free_port(), settings=server) as postgres,
        scripted(folder, _free_port()) as triton,
    ):
        postgres.execute(f"CREATE DATABASE {DATABASE}")
        postgres.execute(tables, DATABASE)
        triton.script({"contains": "", "text": "SELECT count(*) AS customers FROM customers"})
        (folder / "policy.yaml").write_text(POLICY)
        users.add(folder / "users.txt", "ada", PASSWORDS["ada"])
        (folder / "gateway.yaml").write_text(yaml.safe_dump(_settings(postgres, triton, workers)))
        made = House(folder, postgres, triton, workers)
        made.start()
        try:
            yield made
        finally:
            if made._gateway is not None and made._gateway.poll() is None:
                made.stop()


def _settings(postgres: EmbeddedPostgres, triton: Scripted, workers: int) -> dict[str, Any]:
    """What is read of the data is off: it is recorded, and runs on the gateway's own connections."""
    return {
        "listen": {"host": "127.0.0.1", "port": 0, "workers": workers},
        "upstream": {
            "host": postgres.host, "port": postgres.port, "user": postgres.superuser,
            "password_env": "UPSTREAM_PASSWORD",
        },
        "auth": {"method": "scram-sha-256", "users": "users.txt"},
        "ask": {
            "backend": "triton", "url": triton.url, "model": "scripted", "deadline": 10,
            "look": 0, "values": {"refresh": 0}, "threshold": 0, "samples": 0, "cache": {"entries": 0},
        },
        "policy": "policy.yaml",
        "audit": {"path": "audit.jsonl"},
    }  # fmt: skip


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
