"""Two gateways behind Debian's HAProxy, exchanged one after the other while clients go on: no statement is lost.

Each statement has a number of its own. PostgreSQL's log says how often it ran, the audit log how often it was decided,
the client whether it was answered: all three must say once, whatever was tried again.
"""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.deploy import balancer
from tests.e2e import harness
from tests.e2e.harness import RunningGateway

DATABASE = "rolling"
POLICY = Path(__file__).parents[2] / "policies" / "read-only.yaml"
HOSTS = {1: "127.0.0.21", 2: "127.0.0.22"}
CLIENTS = 6
MARK = re.compile(r"rolling-\d+-\d+")

pytestmark = pytest.mark.skipif(balancer.PROGRAM is None, reason="haproxy is not installed")


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.05)


class Replicas:
    """The two gateways; either can be exchanged for a new process at the same address with the same audit log."""

    def __init__(self, folder: Path, server: EmbeddedPostgres) -> None:
        self.folder = folder
        self.ports = {number: balancer.free_port(host) for number, host in HOSTS.items()}
        self.running: dict[int, RunningGateway] = {}
        self._server = server
        self._stacks = {number: contextlib.ExitStack() for number in HOSTS}
        self._policy = folder / "policy.yaml"
        self._policy.write_text(POLICY.read_text() + "\nfunctions: {allow: [pg_sleep]}\n")

    def start(self, number: int) -> None:
        peers = {other: f"{HOSTS[other]}:{self.ports[other]}" for other in HOSTS}
        self.running[number] = self._stacks[number].enter_context(
            harness.gateway(
                self.folder / str(number), self._server, database=DATABASE, policy=self._policy,
                role="roller", password="rolling-secret",
                listen={
                    "host": HOSTS[number], "port": self.ports[number], "shutdown_grace": "20s",
                    "cancel": {"replica_id": number, "peers": peers},
                },
            )
        )  # fmt: skip

    def exchange(self, number: int) -> None:
        """As an upgrade does it: SIGTERM, what runs ends, a new one."""
        old = self.running[number].process
        old.send_signal(signal.SIGTERM)
        assert old.wait(30) == 0
        self._stacks[number].close()
        self.start(number)

    def close(self) -> None:
        for stack in self._stacks.values():
            stack.close()


@dataclass
class Traffic:
    """What clients asked and got."""

    conninfo: str
    answered: Counter[str] = field(default_factory=Counter)
    tries: Counter[str] = field(default_factory=Counter)
    replicas: Counter[int] = field(default_factory=Counter)
    problems: list[BaseException] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def client(self, number: int) -> None:
        """One statement after the other; one that failed with its connection is sent again on a new one."""
        try:
            count = 0
            while not self.over.is_set():
                with (
                    contextlib.suppress(psycopg.OperationalError),
                    psycopg.connect(self.conninfo, autocommit=True) as connection,
                ):
                    self.replicas[connection.info.backend_pid >> 25] += 1
                    while not self.over.is_set():
                        self._ask(connection, f"rolling-{number}-{count}", slow=number == 0, prepare=number % 2 == 1)
                        count += 1
                time.sleep(0.01)
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.problems.append(error)

    def _ask(self, connection: psycopg.Connection[Any], mark: str, *, slow: bool, prepare: bool) -> None:
        self.tries[mark] += 1
        if prepare:
            found = connection.execute("SELECT %s::text", (mark,), prepare=True)
        else:
            found = connection.execute(f"SELECT '{mark}', pg_sleep(0.7)" if slow else f"SELECT '{mark}'")
        row = found.fetchone()
        assert row is not None
        assert row[0] == mark
        self.answered[mark] += 1


@contextlib.contextmanager
def flowing(conninfo: str) -> Iterator[Traffic]:
    traffic = Traffic(conninfo)
    threads = [threading.Thread(target=traffic.client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield traffic
    finally:
        traffic.over.set()
        for thread in threads:
            thread.join(30)


@pytest.fixture(scope="module")
def replicas(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    postgres.execute(f"CREATE DATABASE {DATABASE}")
    postgres.execute("CREATE ROLE roller LOGIN PASSWORD 'rolling-secret'")
    made = Replicas(tmp_path_factory.mktemp("rolling"), postgres)
    try:
        for number in HOSTS:
            made.start(number)
        yield made
    finally:
        made.close()
        postgres.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
        postgres.execute("DROP ROLE roller")


@pytest.fixture(scope="module")
def conninfo(replicas: Replicas) -> Iterator[str]:
    with balancer.haproxy(replicas.folder, [(HOSTS[number], replicas.ports[number]) for number in HOSTS]) as port:
        yield replicas.running[1].conninfo(port=port)


def ran(server: EmbeddedPostgres) -> Counter[str]:
    """How often each numbered statement was run, by the server's own log: its text has the number, or its parameter."""
    logged = re.compile(r"LOG:  (?:statement|execute [^:]*): .*|DETAIL:  Parameters: .*", re.IGNORECASE)
    text = server.log.read_text(errors="replace")
    return Counter(mark[0] for line in logged.findall(text) if (mark := MARK.search(line)))


def recorded(replicas: Replicas) -> Counter[str]:
    """How often each was decided on or, where it was prepared, executed."""
    records = [record for gateway in replicas.running.values() for record in gateway.records()]
    return Counter(mark[0] for record in records if record["kind"] != "outcome" and (mark := MARK.search(str(record))))


def test_an_upgrade_loses_no_statement(replicas: Replicas, conninfo: str, postgres: EmbeddedPostgres) -> None:
    with flowing(conninfo) as traffic:
        for number in (1, 2, 1, 2):
            before = sum(traffic.answered.values())
            replicas.exchange(number)
            until(lambda number=number: comes_to(conninfo, number))  # type: ignore[misc]
            until(lambda before=before: sum(traffic.answered.values()) > before + 100)  # type: ignore[misc]
    assert not traffic.problems, traffic.problems
    assert set(traffic.answered.values()) == {1}
    unanswered = traffic.tries.keys() - traffic.answered.keys()
    found = ran(postgres)
    assert {mark: found[mark] for mark in traffic.answered} == traffic.answered
    assert not [mark for mark in unanswered if found[mark]], "what ran was answered"
    said = recorded(replicas)
    assert {mark: said[mark] for mark in traffic.answered} == traffic.answered
    for number in HOSTS:
        verified = subprocess.run(
            [harness.COMMAND, "audit", "verify", replicas.running[number].audit], capture_output=True, check=False
        )
        assert verified.returncode == 0, verified.stdout


def comes_to(conninfo: str, number: int) -> bool:
    """A new client is given to this one again."""
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(conninfo) as connection:
        return connection.info.backend_pid >> 25 == number
    return False


def test_a_cancel_finds_its_replica(replicas: Replicas, conninfo: str, postgres: EmbeddedPostgres) -> None:
    """Through HAProxy, which gives the request to either, as any connection."""
    reached = set[int]()
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(psycopg.connect(conninfo, autocommit=True)) for _ in range(5)
        ]  # so that one has fewer, to which the requests go
        for number, connection in enumerate(connections):
            mark = f"cancelled-{number}"
            thread = threading.Thread(target=_cancel_when_it_runs, args=(postgres, mark, connection))
            thread.start()
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute(f"SELECT pg_sleep(30), '{mark}'")
            thread.join()
            assert connection.execute("SELECT 1").fetchone() == (1,)
            reached.add(connection.info.backend_pid >> 25)
    assert reached == set(HOSTS)
    forwarded = [
        event
        for gateway in replicas.running.values()
        for event in gateway.log()
        if event["event"] == "cancel forwarded"
    ]
    assert forwarded, "some came to the other one first"


def _cancel_when_it_runs(server: EmbeddedPostgres, mark: str, connection: psycopg.Connection[Any]) -> None:
    def runs() -> bool:
        with psycopg.connect(server.conninfo()) as other:  # its own query has a parameter in that place
            return bool(
                other.execute(
                    "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s",
                    (f"%'{mark}'",),
                ).fetchone()
            )

    until(runs)
    connection.cancel_safe()
