"""A gateway that lacks disk, descriptors or memory: it says so, runs nothing unrecorded, and recovers by itself."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nlsql_gateway.audit import Whole, verify_all
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e import harness
from tests.e2e.harness import RunningGateway

POLICY = """
version: 1
name: starved
users: {ada: {roles: [all]}}
roles:
  all: {read: public.*}
"""
DATABASE = "starved"


@pytest.fixture
def gateway(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[RunningGateway]:
    postgres.execute(f"CREATE DATABASE {DATABASE}")
    (tmp_path / "policy.yaml").write_text(POLICY)
    with harness.gateway(
        tmp_path,
        postgres,
        database=DATABASE,
        policy=tmp_path / "policy.yaml",
        role=postgres.superuser,
        password=postgres.password,
    ) as running:
        yield running
    postgres.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


@contextmanager
def limited(gateway: RunningGateway, what: int, most: int) -> Iterator[None]:
    """The process may have ``most`` of it, meanwhile."""
    pid = gateway.process.pid
    soft, hard = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (most, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, what, (soft, hard))


def connect(gateway: RunningGateway, **more: object) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(gateway.conninfo("ada", connect_timeout=15, **more), autocommit=True)


def descriptors(gateway: RunningGateway) -> int:
    return len(list(Path(f"/proc/{gateway.process.pid}/fd").iterdir()))


def soon(gateway: RunningGateway) -> None:
    """It serves again."""
    deadline = time.monotonic() + 20
    while True:
        try:
            with connect(gateway) as connection:
                assert connection.execute("SELECT 'again'").fetchone() == ("again",)
                return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def ran(postgres: EmbeddedPostgres, statement: str) -> bool:
    return f": {statement}\n" in postgres.log.read_text(errors="replace")


def test_a_full_disk(gateway: RunningGateway, postgres: EmbeddedPostgres) -> None:
    """RLIMIT_FSIZE stands in for it: the write of a record fails in its middle."""
    with connect(gateway) as connection, connect(gateway) as other:
        connection.execute("SELECT 'before'")
        while not any(record["kind"] == "outcome" for record in gateway.records()):
            time.sleep(0.01)  # a run whose outcome cannot be kept ends its session
        with limited(gateway, resource.RLIMIT_FSIZE, gateway.audit.stat().st_size + 100):
            for one, text in ((connection, "SELECT 'full'"), (other, "SELECT 'full too'")):
                with pytest.raises(psycopg.errors.IoError) as caught:
                    one.execute(text)
                assert caught.value.sqlstate == "58030"
                assert "the audit log cannot be written" in str(caught.value)
                assert "nothing runs that is not recorded" in (caught.value.diag.message_hint or "")
        assert connection.execute("SELECT 'behind'").fetchone() == ("behind",)
        assert other.execute("SELECT 'behind, too'").fetchone() == ("behind, too",)
    assert ran(postgres, "SELECT 'before'")
    assert ran(postgres, "SELECT 'behind'")
    assert not ran(postgres, "SELECT 'full'")
    assert not ran(postgres, "SELECT 'full too'")
    texts = [record["text"] for record in gateway.records() if record["kind"] == "decision"]
    assert texts.count("SELECT 'before'") == texts.count("SELECT 'behind'") == 1
    assert all(isinstance(verdict, Whole) for verdict in verify_all(gateway.audit).values())


def test_no_descriptors(gateway: RunningGateway) -> None:
    """Who is there is served; who comes is told, or hung up on, within seconds."""
    with connect(gateway) as connection:
        connection.execute("SELECT 'before'")
        served: list[int] = []
        for spare in range(4):  # at accept, at the upstream's socket, at its name, between
            with limited(gateway, resource.RLIMIT_NOFILE, descriptors(gateway) + spare):
                began = time.monotonic()
                with suppress(psycopg.OperationalError):
                    connect(gateway).close()
                    served.append(spare)
                assert time.monotonic() - began < 14  # of connect_timeout
                assert connection.execute("SELECT 'here'").fetchone() == ("here",)
    assert 0 not in served
    soon(gateway)


def test_no_memory(gateway: RunningGateway) -> None:
    """RLIMIT_AS stands in for it. The one who wants much is told (53200), or loses the line while
    sending; the others do not notice."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    [size] = [int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmSize")]
    with connect(gateway) as connection:
        connection.execute("SELECT 'before'")
        with limited(gateway, resource.RLIMIT_AS, size + 24 * 1024**2):
            with connect(gateway) as greedy, pytest.raises(psycopg.OperationalError):
                greedy.execute(f"SELECT '{'x' * 60 * 1024**2}'")
            assert connection.execute("SELECT 'here'").fetchone() == ("here",)
        assert connection.execute("SELECT 'still'").fetchone() == ("still",)
    assert [event["event"] for event in gateway.log() if event["level"] == "error"] == ["session failed"]
    soon(gateway)
    assert all(isinstance(verdict, Whole) for verdict in verify_all(gateway.audit).values())
