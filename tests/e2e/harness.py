"""A real gateway process in front of the real PostgreSQL, for the end-to-end tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from nlsql_gateway.audit import chains
from nlsql_gateway.embedded.postgres import psql_path
from nlsql_gateway.server import users

COMMAND = Path(sys.executable).parent / "nlsql-gateway"
PASSWORDS = {name: f"{name}-secret" for name in ("ada", "emil", "nora", "petra", "otto")}


class Server(Protocol):
    """Where the upstream listens."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...


@dataclass
class RunningGateway:
    port: int
    process: subprocess.Popen[str]
    folder: Path
    database: str

    @property
    def config(self) -> Path:
        return self.folder / "gateway.yaml"

    @property
    def audit(self) -> Path:
        return self.folder / "audit.jsonl"

    def records(self) -> list[dict[str, Any]]:
        """Of all chains, by time."""
        # Not splitlines(): a recorded text may hold U+0085 and its like, which end no line of JSON.
        logs = [chain.read_bytes().split(b"\n") for chain in chains(self.audit) if chain.exists()]
        records = [json.loads(line) for lines in logs for line in lines if line]
        return sorted(records, key=lambda record: str(record["time"]))

    def log(self) -> list[dict[str, Any]]:
        """The events that it logged."""
        lines = (self.folder / "gateway.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def workers(self) -> list[int]:
        """The worker processes."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        programs = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
        return [child for child, program in programs.items() if b"nlsql_gateway.worker" in program]

    def conninfo(self, user: str = "ada", **more: object) -> str:
        parts = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": user,
            "password": PASSWORDS.get(user, "x"),
            "dbname": self.database,
            **more,
        }
        return " ".join(f"{key}={value}" for key, value in parts.items())

    def psql(
        self, *arguments: str, user: str = "ada", stdin: str | None = None, psql: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the real psql through the gateway; ``stdin`` is what a person types at its prompt."""
        return subprocess.run(
            [str(psql or psql_path()), "-X", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            env={
                "PATH": "/usr/bin:/bin",
                "PGHOST": "127.0.0.1",
                "PGPORT": str(self.port),
                "PGUSER": user,
                "PGPASSWORD": PASSWORDS.get(user, "x"),
                "PGDATABASE": self.database,
                "LC_ALL": "C.UTF-8",
            },
        )

    def stop(self) -> int:
        """SIGTERM, then the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextlib.contextmanager
def gateway(
    folder: Path,
    postgres: Server,
    *,
    database: str,
    policy: Path,
    role: str,
    password: str,
    ask: dict[str, Any] | None = None,
    **sections: dict[str, Any],
) -> Iterator[RunningGateway]:
    """Serve ``database`` under ``policy`` from a process of its own; the log is in ``folder/gateway.log``."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "listen": {"host": "127.0.0.1", "port": 0},
        "upstream": {"host": postgres.host, "port": postgres.port, "user": role, "password_env": "UPSTREAM_PASSWORD"},
        "auth": {"method": "scram-sha-256", "users": "users.txt"},
        "ask": ask or {"backend": "none"},
        "policy": str(policy),
        "audit": {"path": "audit.jsonl"},
    }
    for name, section in sections.items():
        settings[name] = {**settings.get(name, {}), **section}  # type: ignore[dict-item]  # sections are mappings
    (folder / "gateway.yaml").write_text(yaml.safe_dump(settings))
    environment = {**os.environ, "UPSTREAM_PASSWORD": password, "PYTHONWARNINGS": "default"}  # noqa: TID251
    if not (folder / "users.txt").exists():
        for user, secret in PASSWORDS.items():
            users.add(folder / "users.txt", user, secret)
    with (folder / "gateway.log").open("w") as log:
        process = subprocess.Popen(
            [COMMAND, "serve", "--config", folder / "gateway.yaml"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline().split()
        assert line[:1] == ["ready"], (folder / "gateway.log").read_text()
        yield RunningGateway(int(line[2]), process, folder, database)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=30)
        if process.stdout is not None:
            process.stdout.close()
