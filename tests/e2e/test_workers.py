"""A gateway of several processes: started, stopped, killed; cancelled across; one audit path with a chain a worker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest

from nlsql_gateway.embedded import retail
from nlsql_gateway.embedded.postgres import EmbeddedPostgres, psql_path
from tests.e2e import harness
from tests.e2e.conftest import POLICIES, SERVICE_PASSWORD, ScriptedModel, environment
from tests.e2e.harness import COMMAND, PASSWORDS, RunningGateway
from tests.server.cancel_front import cancel_front

WORKERS = 3
MAX_CLIENTS = 20


@contextlib.contextmanager
def start(
    folder: Path, server: EmbeddedPostgres, *, ask: dict[str, Any] | None = None, **listen: object
) -> Iterator[RunningGateway]:
    folder.mkdir(exist_ok=True)
    policy = folder / "policy.yaml"
    policy.write_text((POLICIES / "read-only.yaml").read_text() + "\nfunctions: {allow: [pg_sleep]}\n")
    with harness.gateway(
        folder,
        server,
        database=retail.DATABASE,
        policy=policy,
        role=retail.ROLE,
        password=SERVICE_PASSWORD,
        ask=ask,
        listen={"workers": WORKERS, **listen},
    ) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    retail_server: EmbeddedPostgres, model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    with start(tmp_path_factory.mktemp("workers"), retail_server, ask=model.ask, max_clients=MAX_CLIENTS) as running:
        yield running


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, env=environment()
    )


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def connect(gateway: RunningGateway, user: str = "ada") -> psycopg.Connection[Any]:
    return psycopg.connect(gateway.conninfo(user), autocommit=True)


def worker_of(connection: psycopg.Connection[Any]) -> int:
    """From 1, as the log says it."""
    return (connection.info.backend_pid >> 18 & 127) + 1


def cancels(gateway: RunningGateway) -> list[bool]:
    """Of each cancel request with a right key: whether another worker than the session's got it."""
    return [event["worker"] != event["session_worker"] for event in gateway.log() if event["event"] == "cancel"]


# Cancel


def test_a_drivers_cancel_finds_the_worker(gateway: RunningGateway, retail_server: EmbeddedPostgres) -> None:
    """Checklist: cancel: map our key to the session, across workers; psycopg's cancel and cancel_safe."""
    before = len(cancels(gateway))
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(gateway)) for _ in range(6)]
        count = 0
        # The kernel chooses; go on until a request has come to the right worker and to another.
        while count < 12 or len(set(cancels(gateway)[before:])) < 2:
            connection = connections[count % len(connections)]
            cancel = connection.cancel if count % 2 else connection.cancel_safe
            cancelled_while_it_runs(retail_server, connection, cancel)
            assert connection.execute("SELECT 1").fetchone() == (1,)
            count += 1
            assert count < 60
    until(lambda: len(cancels(gateway)) == before + count)


def cancelled_while_it_runs(
    server: EmbeddedPostgres, connection: psycopg.Connection[Any], cancel: Callable[[], None]
) -> None:
    mark = f"mark {time.monotonic()}"

    def when_it_runs() -> None:
        until(lambda: running(server, mark))
        cancel()

    thread = threading.Thread(target=when_it_runs)
    thread.start()
    try:
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(f"SELECT pg_sleep(30), '{mark}'")
    finally:
        thread.join()


@pytest.mark.parametrize("psql", [None, Path("/usr/bin/psql")], ids=["18", "system"])
def test_ctrl_c_in_psql(gateway: RunningGateway, retail_server: EmbeddedPostgres, psql: Path | None) -> None:
    """Checklist: cancel: psql's Ctrl-C."""
    if psql is not None and not psql.exists():
        pytest.skip("there is no system psql")
    master, slave = os.openpty()  # psql stops a script at Ctrl-C, but goes on at its prompt
    try:
        process = subprocess.Popen(
            [psql or psql_path(), "-XAtn", "-Ppager=off", gateway.conninfo()], stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        for number in range(4):
            os.write(master, b"SELECT pg_sleep(60), 'ctrl-c';\n")
            until(lambda: running(retail_server, "ctrl-c"))
            process.send_signal(signal.SIGINT)
            os.write(master, f"SELECT 'next' || {number};\n".encode())
            shown = terminal(master, f"next{number}")
            assert "ERROR:  canceling statement due to user request" in shown
            assert not running(retail_server, "ctrl-c")
        os.write(master, b"\\q\n")
        assert process.wait(20) == 0
    finally:
        os.close(master)


def terminal(master: int, end: str) -> str:
    """What it shows, up to a line that is ``end``."""
    shown = ""
    while f"{end}\r\n" not in shown:
        assert select.select([master], [], [], 15)[0], shown
        shown += os.read(master, 65536).decode()
    return shown


def running(server: EmbeddedPostgres, text: str) -> bool:
    found = server.execute(
        f"SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%{text}%' AND pid <> pg_backend_pid()"
    )
    return bool(found)


def test_asyncpgs_timeout(gateway: RunningGateway, retail_server: EmbeddedPostgres) -> None:
    async def main() -> None:
        for _ in range(4):
            connection = await asyncpg.connect(
                host="127.0.0.1", port=gateway.port, user="ada", password=PASSWORDS["ada"], database=gateway.database
            )
            with pytest.raises(TimeoutError):
                await connection.fetch("SELECT pg_sleep(30), 'asyncpg'", timeout=0.3)
            assert await connection.fetchval("SELECT 1") == 1
            await connection.close()

    asyncio.run(main())
    assert not running(retail_server, "asyncpg")


def test_ctrl_c_stops_the_model(gateway: RunningGateway, model: ScriptedModel) -> None:
    """Checklist: a cancel also stops the model's request."""
    model.script({"contains": "", "text": "SELECT 1", "seconds": 4})
    for number in range(3):
        started = time.monotonic()
        process = subprocess.Popen(
            [psql_path(), "-X", gateway.conninfo(), "-c", "-- ask: something long"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
        assert "canceling statement due to user request" in stderr
        assert time.monotonic() - started < 4
        until(lambda expected=number + 1: len(model.outcomes()) == expected)  # type: ignore[misc]
    assert set(model.outcomes()) == {"cancelled"}
    decisions = [record for record in gateway.records() if record.get("question") == "something long"]
    assert [(record["verdict"], record["sqlstate"]) for record in decisions] == [("error", "57014")] * 3


def test_a_cancel_finds_its_replica_behind_a_load_balancer(
    retail_server: EmbeddedPostgres, model: ScriptedModel, tmp_path: Path
) -> None:
    with (
        start(tmp_path / "1", retail_server, workers=2, cancel={"replica_id": 1}) as first,
        start(
            tmp_path / "2",
            retail_server,
            workers=2,
            ask=model.ask,
            cancel={"replica_id": 2, "peers": {1: f"127.0.0.1:{first.port}"}},
        ) as second,
        cancel_front(("127.0.0.1", first.port), ("127.0.0.1", second.port)) as balancer,
    ):
        balancer.let_go.set()
        for _ in range(4):
            with psycopg.connect(first.conninfo(port=balancer.port), autocommit=True) as connection:
                assert connection.info.backend_pid >> 25 == 1
                cancelled_while_it_runs(retail_server, connection, connection.cancel_safe)
                assert connection.execute("SELECT 1").fetchone() == (1,)
        assert sum(event["event"] == "cancel forwarded" for event in second.log()) == 4
        assert all(event["forwarded"] for event in first.log() if event["event"] == "cancel")


# One audit path


def test_each_worker_has_a_chain_and_all_are_verified_together(gateway: RunningGateway) -> None:
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(gateway)) for _ in range(MAX_CLIENTS - 5)]
        assert {worker_of(connection) for connection in connections} == {1, 2, 3}
        for number, connection in enumerate(connections):
            connection.execute(f"SELECT {number} AS chained")
    for worker in range(1, WORKERS + 1):
        assert "AS chained" in (gateway.folder / f"audit-{worker}.jsonl").read_text()
    assert not gateway.audit.exists()
    done = run("audit", "verify", gateway.audit)
    assert done.returncode == 0, done.stdout
    *each, total = done.stdout.splitlines()
    assert [line.split()[:2] for line in each] == [["whole:", f"audit-{n}.jsonl:"] for n in (1, 2, 3)]
    assert total == f"whole: 3 chains, {sum(int(line.split()[2]) for line in each)} records"
    tail = run("audit", "tail", "-n", 1000, gateway.audit).stdout.splitlines()
    shown = [line.split("SELECT ")[1] for line in tail if "AS chained" in line]
    assert shown == [f"{number} AS chained" for number in range(MAX_CLIENTS - 5)]
    one = run("audit", "verify", gateway.folder / "audit-2.jsonl")
    assert one.stdout.startswith("whole: ")
    copy = gateway.folder / "copy"
    copy.mkdir()
    for file in gateway.folder.glob("audit*"):
        shutil.copy(file, copy)
    with (copy / "audit-2.jsonl").open("r+") as log:
        log.truncate(100)
    broken = run("audit", "verify", copy / "audit.jsonl")
    assert broken.returncode == 1
    assert "broken: audit-2.jsonl: line 1" in broken.stdout
    assert "whole: audit-3.jsonl" in broken.stdout


def test_fewer_and_more_workers_lose_no_chain(retail_server: EmbeddedPostgres, tmp_path: Path) -> None:
    counts = (1, 3, 2)
    for workers in counts:
        with start(tmp_path, retail_server, workers=workers) as running:
            assert len(running.workers()) == (workers if workers > 1 else 0)
            for _ in range(4):
                assert running.psql("-Atc", "SELECT 1").stdout == "1\n"
            assert running.stop() == 0
    done = run("audit", "verify", tmp_path / "audit.jsonl")
    assert done.returncode == 0, done.stdout
    assert len(done.stdout.splitlines()) == 5
    decisions = [record for record in running.records() if record["kind"] == "decision"]
    assert len(decisions) == 4 * len(counts)
    for file in tmp_path.glob("audit-2.jsonl*"):
        file.unlink()
    assert run("audit", "verify", tmp_path / "audit.jsonl").returncode == 1
    refused = run("serve", "-c", tmp_path / "gateway.yaml")
    assert refused.returncode == 2
    assert "audit-2.jsonl: it and its head are gone" in refused.stderr


# The processes


def test_clients_are_counted_together(gateway: RunningGateway) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_CLIENTS):
            stack.enter_context(connect(gateway))
        for _ in range(4):
            with pytest.raises(psycopg.OperationalError, match="too many clients"):
                connect(gateway)
    until(lambda: gateway.psql("-Atc", "SELECT 1").stdout == "1\n")


def test_a_changed_users_file_and_sighup_reach_all(gateway: RunningGateway) -> None:
    subprocess.run(
        [COMMAND, "user", "add", "newcomer", "-c", gateway.config, "--password-stdin"],
        input="newcomer-secret\n",
        text=True,
        check=True,
        capture_output=True,
        env=environment(),
    )

    def reloaded() -> int:
        return sum(event["event"] == "reloaded" for event in gateway.log())

    until(lambda: reloaded() == WORKERS)
    for _ in range(2 * WORKERS):
        psycopg.connect(gateway.conninfo("newcomer", password="newcomer-secret")).close()
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: reloaded() == 2 * WORKERS)


def test_a_second_gateway_is_refused(gateway: RunningGateway, tmp_path: Path) -> None:
    same_log = run("serve", "-c", gateway.config)
    assert same_log.returncode == 2
    assert "another gateway is writing to it" in same_log.stderr
    settings = gateway.config.read_text().replace("port: 0", f"port: {gateway.port}")
    settings = settings.replace("audit.jsonl", str(tmp_path / "audit.jsonl"))
    (gateway.folder / "other.yaml").write_text(settings)
    same_port = run("serve", "-c", gateway.folder / "other.yaml")
    assert same_port.returncode == 2
    assert f"port {gateway.port}: Address already in use" in same_port.stderr
    assert "Traceback" not in same_port.stderr + same_log.stderr


def test_what_is_wrong_is_said_once(gateway: RunningGateway, tmp_path: Path) -> None:
    (gateway.folder / "wrong.yaml").write_text("version: 1\nname: x\nnonsense: 1\n")
    settings = gateway.config.read_text().replace(str(gateway.folder / "policy.yaml"), "wrong.yaml")
    (gateway.folder / "other.yaml").write_text(settings.replace("audit.jsonl", str(tmp_path / "audit.jsonl")))
    done = run("serve", "-c", gateway.folder / "other.yaml")
    assert done.returncode == 2
    assert done.stderr.count("nonsense") == 1


def test_a_worker_that_dies_is_replaced_and_the_others_go_on(gateway: RunningGateway) -> None:
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(gateway)) for _ in range(12)]
        pids = gateway.workers()
        victim = next(event["worker"] for event in gateway.log() if event["event"] == "connected")
        pid = next(pid for pid in pids if f"audit-{victim}.jsonl" in files(pid))
        readied = sum(event["event"] == "ready" for event in gateway.log())
        os.kill(pid, signal.SIGKILL)
        until(lambda: pid not in gateway.workers())
        for connection in connections:
            if worker_of(connection) == victim:
                with pytest.raises(psycopg.OperationalError):
                    connection.execute("SELECT 1")
            else:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        until(lambda: len(gateway.workers()) == WORKERS)
        until(lambda: sum(event["event"] == "ready" for event in gateway.log()) == readied + 1)
        replaced = [stack.enter_context(connect(gateway)) for _ in range(6)]
        assert [connection.execute("SELECT 1").fetchone() for connection in replaced] == [(1,)] * 6
    assert run("audit", "verify", gateway.audit).returncode == 0


def test_sigterm_to_one_worker_replaces_it(gateway: RunningGateway, retail_server: EmbeddedPostgres) -> None:
    pids = gateway.workers()
    client = subprocess.Popen(
        [psql_path(), "-XAt", gateway.conninfo(), "-c", "SELECT 'done' FROM pg_sleep(2)", "-c", "SELECT pg_sleep(60)"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: running(retail_server, "done"))
    worker = [event["worker"] for event in gateway.log() if event["event"] == "connected"][-1]
    pid = next(pid for pid in pids if f"audit-{worker}.jsonl" in files(pid))
    readied = sum(event["event"] == "ready" for event in gateway.log())
    os.kill(pid, signal.SIGTERM)
    out, err = client.communicate(timeout=20)
    assert out == "done\n"
    assert "shutting down" in err
    until(lambda: not alive(pid) and len(gateway.workers()) == WORKERS)
    until(lambda: sum(event["event"] == "ready" for event in gateway.log()) == readied + 1)


def files(pid: int) -> set[str]:
    """The names of its open files."""
    return {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir()}
