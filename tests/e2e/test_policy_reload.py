"""The policy of a running gateway: changed in every way in which files are changed; who is connected feels it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

from nlsql_gateway.embedded import retail
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e import harness
from tests.e2e.conftest import SERVICE_PASSWORD
from tests.e2e.harness import RunningGateway

TABLES = ("regions", "products", "stores", "customers", "orders", "payments", "returns")


def text(*tables: str) -> str:
    return f"version: 1\nname: changing\nusers: {{ada: {{roles: r}}}}\nroles: {{r: {{read: [{', '.join(tables)}]}}}}\n"


def only(table: str) -> str:
    return text(f"public.{table}")


@pytest.fixture(params=[1, 2], ids=["one process", "two workers"])
def running(
    tmp_path: Path, retail_server: EmbeddedPostgres, request: pytest.FixtureRequest
) -> Iterator[tuple[RunningGateway, Path]]:
    policy = tmp_path / "policy.yaml"
    policy.write_text(only(TABLES[0]))
    with harness.gateway(
        tmp_path / "gateway", retail_server, database=retail.DATABASE, policy=policy, role=retail.ROLE,
        password=SERVICE_PASSWORD, listen={"workers": request.param},
    ) as gateway:  # fmt: skip
        yield gateway, policy


def reads(connection: psycopg.Connection, table: str) -> bool:
    try:
        connection.execute(f"SELECT 1 FROM {table} LIMIT 1", prepare=False)
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def rewritten(policy: Path, new: str) -> None:
    policy.write_text(new)


def renamed_over(policy: Path, new: str) -> None:
    other = policy.with_suffix(".new")
    other.write_text(new)
    other.replace(policy)


def gone_and_back(policy: Path, new: str) -> None:
    policy.unlink()
    time.sleep(2.5)
    policy.write_text(new)


def linked_elsewhere(policy: Path, new: str) -> None:
    """As Kubernetes does it: the name stays a link, and what it points to is exchanged."""
    folder = policy.parent / f"version-{time.monotonic_ns()}"
    folder.mkdir()
    (folder / policy.name).write_text(new)
    link = policy.with_suffix(".link")
    link.symlink_to(folder / policy.name)
    link.replace(policy)


def test_a_changed_file_comes_into_force_for_who_is_connected(running: tuple[RunningGateway, Path]) -> None:
    gateway, policy = running
    with psycopg.connect(gateway.conninfo("ada"), autocommit=True) as connection:
        prepared = f"SELECT count(*) FROM {TABLES[0]} WHERE 1 = %s"
        for _ in range(2):
            assert connection.execute(prepared, (1,), prepare=True).fetchone() is not None
        before = TABLES[0]
        ways = [rewritten, renamed_over, linked_elsewhere, linked_elsewhere, gone_and_back]
        for way, table in zip(ways, TABLES[1:], strict=False):
            assert reads(connection, before)
            way(policy, only(table))
            until(lambda table=table: reads(connection, table), way.__name__)  # type: ignore[misc]
            assert not reads(connection, before)
            before = table
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(prepared, (1,), prepare=True)
    version = sha256(policy.read_bytes()).hexdigest()
    record = [one for one in gateway.records() if one["kind"] == "decision" and one["verdict"] == "allow"][-1]
    assert record["policy"] == version
    assert version in {one.get("version") for one in gateway.log() if one["event"] == "policy in force"}
    assert gateway.stop() == 0


def test_a_file_that_cannot_be_used_leaves_the_one_before(running: tuple[RunningGateway, Path]) -> None:
    gateway, policy = running
    workers = max(1, len(gateway.workers()))

    def refused(part: str) -> Callable[[], bool]:
        return lambda: sum(part in one.get("problem", "") for one in gateway.log()) >= workers

    with psycopg.connect(gateway.conninfo("ada"), autocommit=True) as connection:
        policy.write_text("version: 1\nname: broken\nroles: [\n")
        until(refused("policy.yaml:4"), "the fault is told")
        policy.write_text(only(TABLES[1]) + "hash_key: sixteen-characters-and-more\n")
        until(refused("cannot change while connections are open"), "what is pinned stays")
        policy.write_text("version: 1\nname: open\npass_through: true\n")
        until(refused("pass_through cannot change"), "so does the way of all statements")
        time.sleep(2.5)
        assert reads(connection, TABLES[0])
        assert not reads(connection, TABLES[1])
        faults = [one["problem"] for one in gateway.log() if "policy not reloaded" in one["event"]]
        assert len(faults) == 3 * workers, "each is told once"
        policy.write_text(only(TABLES[1]))
        until(lambda: reads(connection, TABLES[1]), "mended")


def test_sighup_reads_it_though_it_looks_the_same(running: tuple[RunningGateway, Path]) -> None:
    gateway, policy = running
    stamp = policy.stat()
    with psycopg.connect(gateway.conninfo("ada"), autocommit=True) as connection:
        policy.write_text(only("returns"))
        os.utime(policy, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # same size, time and inode: no look could tell
        assert policy.stat().st_size == stamp.st_size
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: reads(connection, "returns"), "SIGHUP")
        assert not reads(connection, TABLES[0])


@pytest.mark.parametrize("running", [2], indirect=True)
def test_a_worker_that_is_started_again_serves_by_the_file(running: tuple[RunningGateway, Path]) -> None:
    gateway, policy = running
    workers = gateway.workers()
    policy.write_text(only(TABLES[1]))
    with psycopg.connect(gateway.conninfo("ada"), autocommit=True) as connection:
        until(lambda: reads(connection, TABLES[1]), "in force")
    os.kill(workers[0], signal.SIGKILL)
    until(lambda: len(gateway.workers()) == 2 and workers[0] not in gateway.workers(), "started again")
    time.sleep(1)
    for _ in range(20):
        with psycopg.connect(gateway.conninfo("ada"), autocommit=True) as connection:
            assert reads(connection, TABLES[1])
            assert not reads(connection, TABLES[0])


@pytest.mark.parametrize("running", [2], indirect=True)
def test_a_worker_that_is_started_again_brings_no_older_policy_back(running: tuple[RunningGateway, Path]) -> None:
    """What was taken away stays away, also while the file cannot be used."""
    gateway, policy = running
    workers = gateway.workers()
    policy.write_text(only(TABLES[1]))
    with psycopg.connect(gateway.conninfo("ada"), autocommit=True) as connection:
        until(lambda: reads(connection, TABLES[1]), "in force")
    time.sleep(3)  # in the supervisor, too
    policy.write_text("version: 1\nname: broken\nroles: [\n")
    time.sleep(3)
    os.kill(workers[0], signal.SIGKILL)
    until(lambda: len(gateway.workers()) == 2 and workers[0] not in gateway.workers(), "started again")
    time.sleep(2)
    for _ in range(30):
        with psycopg.connect(gateway.conninfo("ada"), autocommit=True) as connection:
            assert not reads(connection, TABLES[0])
            assert reads(connection, TABLES[1])


def test_bytes_that_are_no_yaml_are_a_fault_like_any_other(running: tuple[RunningGateway, Path]) -> None:
    gateway, policy = running
    policy.write_bytes(only(TABLES[1]).encode() + b"\0")
    until(lambda: "policy not reloaded" in str(gateway.log()), "told")
    with psycopg.connect(gateway.conninfo("ada"), autocommit=True) as connection:
        assert reads(connection, TABLES[0])
    assert gateway.process.poll() is None


def test_half_a_file_is_not_read_at_sighup(running: tuple[RunningGateway, Path]) -> None:
    gateway, policy = running
    whole = text("public.regions", "public.customers") + "deny: [public.customers]\n"
    half = whole[: whole.index("deny:")]
    with psycopg.connect(gateway.conninfo("ada"), autocommit=True) as connection, policy.open("w") as file:
        file.write(half)
        file.flush()
        gateway.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert not reads(connection, "customers")
        file.write(whole[len(half) :])
