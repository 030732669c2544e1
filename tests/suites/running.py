"""A fresh server, the gateway in front of it, and pytest on a suite: what came out, and what the audit log says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.wire.scram import Verifier
from tests.e2e import harness
from tests.e2e.harness import RunningGateway
from tests.server.authority import Authority
from tests.suites import expected, fetching
from tests.suites.expected import Expected, Outcome, Result
from tests.suites.suite import DATABASE, PASSWORD, USER, Address, Suite

_POLICY = Path(__file__).resolve().parents[2] / "policies" / "pass-through.yaml"
_PATIENCE = 900
"""Seconds that a suite may take."""


@dataclass
class Run:
    results: dict[str, Result]
    output: str
    "pytest's own words."
    connections: int = 0
    statements: int = 0

    def count(self, outcome: Outcome) -> int:
        return sum(one.outcome == outcome for one in self.results.values())


def run(suite: Suite, known: Expected, *, direct: bool, more: list[str]) -> Run:
    """Run the suite through the gateway or, if ``direct``, without it. ``more``: further arguments of pytest."""
    interpreter = fetching.python(suite)
    folder = Path(tempfile.mkdtemp(prefix="nlsql-suite-"))
    try:
        with _server(folder / "server", suite) as server:
            if direct:
                return _pytest(suite, known, interpreter, folder, Address(server.host, server.port), more)
            users = folder / "users.txt"
            users.write_text(f'"{USER}" "{Verifier.build(PASSWORD, os.urandom(16))}"\n')
            with harness.gateway(
                folder / "gateway", server, database=DATABASE, policy=_POLICY, role=USER, password=PASSWORD,
                auth={"users": str(users)}, listen={"tls": _tls(folder)} if suite.tls else {},
            ) as gateway:  # fmt: skip
                done = _pytest(suite, known, interpreter, folder, Address("127.0.0.1", gateway.port), more)
            done.connections, done.statements = _recorded(gateway)
            return done
    finally:
        shutil.rmtree(folder)


def _recorded(gateway: RunningGateway) -> tuple[int, int]:
    """Connections and statements in the audit log, which must be whole."""
    verified = subprocess.run([harness.COMMAND, "audit", "verify", gateway.audit], capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    connections: set[str] = set()
    statements = 0
    for log in gateway.folder.glob("audit*.jsonl"):
        with log.open("rb") as lines:
            for line in lines:
                record = json.loads(line)
                connections.add(record.get("connection", ""))
                statements += record["kind"] in {"decision", "execution"}
    return len(connections - {""}), statements


def _tls(folder: Path) -> dict[str, str]:
    authority = folder / "authority"
    authority.mkdir()
    tls = Authority(authority).server()
    return {"certificate": str(tls.certificate), "key": str(tls.key)}


@contextmanager
def _server(folder: Path, suite: Suite) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(folder, durable=False, settings=suite.settings) as server:
        for statement in suite.prepare:
            for database in (DATABASE, "template1"):  # the second for databases that the tests make
                server.execute(statement, database)
        server.execute(f"ALTER ROLE {USER} PASSWORD '{PASSWORD}'")
        yield server


def _pytest(
    suite: Suite, known: Expected, interpreter: Path, folder: Path, address: Address, more: list[str]
) -> Run:  # fmt: skip
    tree = fetching.source(suite, folder)
    for name, content in suite.files.items():
        path = tree / name
        path.write_text(content(path.read_text() if path.exists() else "", address))
    xml = folder / "results.xml"
    command: list[str | Path] = [
        interpreter,
        *suite.command(tree, xml),
        *suite.tests,
        *suite.options(address),
        *(f"--deselect={test}" for test in known.left_out),
        *more,
    ]
    environment = {
        "PATH": f"{interpreter.parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        **suite.environment(address),
    }
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=_PATIENCE,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        words = late.stdout or b""
        raise AssertionError(f"not done in {_PATIENCE} s: {words[-3000:].decode(errors='replace')}") from late
    assert xml.exists(), done.stdout[-5000:]
    return Run(expected.results(xml), done.stdout)
