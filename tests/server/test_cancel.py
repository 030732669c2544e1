"""Cancel requests: whom they reach, when, and whom they must not reach."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import asyncpg
import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.server.cancel import FORWARDED, MAX_REPLICA, MAX_WORKERS, CancelKeys, Place
from nlsql_gateway.wire.messages import CANCEL_REQUEST
from tests.server.authority import Authority
from tests.server.cancel_front import CancelFront, cancel_front
from tests.server.conftest import Served, Server
from tests.server.raw import SYNC, Raw, bind, execute, parse, query


def send_cancel(port: int, key: bytes) -> bool:
    """A CancelRequest with the body of a BackendKeyData; whether the connection was closed without a word."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as request:
        request.sendall(struct.pack("!ii", 8 + len(key), CANCEL_REQUEST) + key)
        return request.recv(1) == b""


def altered(key: bytes, **change: int) -> bytes:
    """The key with another ``process`` or ``secret``, each by exclusive or."""
    process, secret = struct.unpack("!II", key)
    return struct.pack("!II", process ^ change.get("process", 0), secret ^ change.get("secret", 0))


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.fixture
def front(postgres: EmbeddedPostgres) -> Iterator[CancelFront]:
    with cancel_front((postgres.host, postgres.port)) as running:
        yield running


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.02)


def running(postgres: EmbeddedPostgres, text: str) -> bool:
    return postgres.execute(
        f"SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%{text}%'"
        " AND pid <> pg_backend_pid()"
    )[0][0] not in (0, "0")


# Keys


@pytest.mark.parametrize("place", [Place(), Place(MAX_REPLICA, MAX_WORKERS - 1), Place(1, 0), Place(0, 1)])
@pytest.mark.parametrize("length", [4, 32])
def test_a_key_is_positive_and_says_where_its_session_is(place: Place, length: int) -> None:
    """Checklist: BackendKeyData: mint our own; 4 bytes for 3.0, 32 for 3.2."""

    async def never() -> None:
        raise AssertionError

    keys = CancelKeys(place)
    minted = [keys.mint(never, length=length) for _ in range(1000)]
    assert len({process for process, _ in minted}) == 1000
    for process, secret in minted:
        assert 0 < process < FORWARDED
        assert Place.of(process) == place
        assert len(secret) == length


def test_only_the_very_secret_is_right() -> None:
    """Checklist: a cancel key's exact length only (node-pg's stray NUL)."""
    called: list[int] = []

    async def cancel() -> None:
        called.append(1)

    async def main() -> None:
        keys = CancelKeys()
        process, secret = keys.mint(cancel, length=4)
        for wrong in (b"", secret[:3], secret + b"\0", bytes(4), secret * 2):
            assert not await keys.cancel(process, wrong)
        assert not await keys.cancel(process + 1, secret)
        assert called == []
        assert await keys.cancel(process, secret)
        keys.forget(process)
        assert not await keys.cancel(process, secret)
        assert called == [1]

    asyncio.run(main())


# What a cancel stops


def test_asyncpgs_timeout_cancels(served: Served, postgres: EmbeddedPostgres) -> None:
    """Checklist: cancel: asyncpg's timeout."""

    async def main() -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=served.port, user="ada", password="secret", database="postgres"
        )
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await connection.fetch("SELECT pg_sleep(30), 'asyncpg'", timeout=0.2)
            assert await connection.fetchval("SELECT 1") == 1
        await connection.close()

    asyncio.run(main())
    assert not running(postgres, "asyncpg")


def test_a_statement_in_a_pipeline_is_cancelled_in_step(served: Served) -> None:
    with Raw("127.0.0.1", served.port).login() as client:
        client.send(parse("", "SELECT pg_sleep(30)"), bind("", ""), execute(""), b"H\0\0\0\4")
        time.sleep(0.3)
        assert send_cancel(served.port, client.key)
        client.send(b"S\0\0\0\4")
        replies = client.until("Z")
        assert [kind for kind, _ in replies] == ["1", "2", "E", "Z"]
        client.send(query("SELECT 1"))
        assert [kind for kind, _ in client.until("Z")] == ["T", "D", "C", "Z"]


def test_a_question_behind_a_statement_is_cancelled_with_it(served: Served) -> None:
    with Raw("127.0.0.1", served.port).login() as client:
        client.send(
            parse("", "SELECT pg_sleep(30)"), bind("", ""), execute(""), parse("q", "ask: something slow"), SYNC,
            query("SELECT 'next'"),
        )  # fmt: skip
        time.sleep(0.3)
        assert send_cancel(served.port, client.key)
        assert [kind for kind, _ in client.until("Z")] == ["1", "2", "E", "Z"]
        assert [kind for kind, _ in client.until("Z")] == ["T", "D", "C", "Z"]
        client.send(parse("", "ask: something slow"))
        time.sleep(0.1)
        assert all(send_cancel(served.port, client.key) for _ in range(3))
        client.send(SYNC)
        assert [kind for kind, _ in client.until("Z")] == ["E", "Z"]


def test_a_long_key_of_protocol_3_2(server: Server) -> None:
    second = server.start(cancel={"replica_id": 2})
    first = server.start(cancel={"replica_id": 1, "peers": {2: f"127.0.0.1:{second.port}"}})
    with Raw("127.0.0.1", second.port, 2).login() as client:
        assert len(client.key) == 4 + 32
        for port in (second.port, first.port):
            client.send(query("SELECT pg_sleep(30)"))
            time.sleep(0.2)
            assert send_cancel(port, client.key[:-1])
            assert send_cancel(port, client.key[:8])
            assert send_cancel(port, client.key)
            assert client.error()["C"] == "57014"
            client.until("Z")


# What it must not stop


def test_a_late_cancel_does_not_hit_the_next_statement(
    server: Server, postgres: EmbeddedPostgres, front: CancelFront, threads: ThreadPoolExecutor
) -> None:
    """Checklist: cancel only if that statement is still running; hold the upstream until it is done."""
    served = server.start(upstream={"host": "127.0.0.1", "port": front.port})
    with Raw("127.0.0.1", served.port).login() as client:
        client.send(query("SELECT pg_sleep(1), 'first'"))
        time.sleep(0.2)
        request = threads.submit(send_cancel, served.port, client.key)
        assert front.arrived.wait(10)
        assert [kind for kind, _ in client.until("Z")] == ["T", "D", "C", "Z"]  # it ended by itself
        client.send(query("SELECT pg_sleep(0.5), 'second'"))
        time.sleep(0.3)
        assert not running(postgres, "second")
        assert not request.done(), "the request is closed when the upstream was told, not before"
        front.let_go.set()
        assert [kind for kind, _ in client.until("Z")] == ["T", "D", "C", "Z"]
        assert request.result(10)
        assert front.count == 1


def test_a_cancel_for_a_statement_that_was_kept_back_reaches_it(
    server: Server, front: CancelFront, threads: ThreadPoolExecutor
) -> None:
    served = server.start(upstream={"host": "127.0.0.1", "port": front.port})
    with Raw("127.0.0.1", served.port).login() as client:
        client.send(query("SELECT pg_sleep(0.5)"))
        time.sleep(0.1)
        requests = [threads.submit(send_cancel, served.port, client.key)]
        assert front.arrived.wait(10)
        client.until("Z")
        client.send(query("SELECT pg_sleep(60)"))
        time.sleep(0.1)
        requests.append(threads.submit(send_cancel, served.port, client.key))
        time.sleep(0.2)
        front.let_go.set()
        assert client.error()["C"] == "57014"
        assert all(request.result(10) for request in requests)
        assert front.count == 2


def test_what_is_kept_back_has_a_limit(server: Server, front: CancelFront, threads: ThreadPoolExecutor) -> None:
    """The client waits, and loses nothing."""
    served = server.start(upstream={"host": "127.0.0.1", "port": front.port})
    with Raw("127.0.0.1", served.port).login() as client:
        client.send(query("SELECT pg_sleep(0.5)"))
        time.sleep(0.1)
        request = threads.submit(send_cancel, served.port, client.key)
        assert front.arrived.wait(10)
        client.until("Z")
        text = query("SELECT 1 -- " + "x" * 1_000_000)
        sending: Future[None] = threads.submit(client.send, *[text] * 30)
        time.sleep(0.5)
        assert not sending.done()
        front.let_go.set()
        for _ in range(30):
            assert [kind for kind, _ in client.until("Z")] == ["T", "D", "C", "Z"]
        sending.result(10)
        assert request.result(10)


@pytest.mark.parametrize("farewell", [b"", b"X\0\0\0\4"], ids=["vanishes", "says Terminate"])
def test_a_client_that_leaves_while_its_cancel_is_on_the_way(
    server: Server, postgres: EmbeddedPostgres, front: CancelFront, threads: ThreadPoolExecutor, farewell: bytes
) -> None:
    """What it sent before Terminate still runs, as ever."""
    served = server.start(upstream={"host": "127.0.0.1", "port": front.port})
    postgres.execute("DROP SEQUENCE IF EXISTS leavers")
    postgres.execute("CREATE SEQUENCE leavers")
    with Raw("127.0.0.1", served.port).login(application_name="leaver") as client:
        client.send(query("SELECT pg_sleep(60)"))
        until(lambda: running(postgres, "pg_sleep(60)"))
        request = threads.submit(send_cancel, served.port, client.key)
        assert front.arrived.wait(10)
        client.send(query("SELECT nextval('leavers')"), farewell)
    time.sleep(0.1)
    front.let_go.set()
    assert request.result(10)
    until(lambda: not postgres.execute("SELECT 1 FROM pg_stat_activity WHERE application_name = 'leaver'"))
    if farewell:
        assert str(postgres.execute("SELECT is_called FROM leavers")[0][0]) in ("t", "True")
    assert served.gate.all_closed()


def test_an_idle_session_and_one_that_is_over_are_not_cancelled(
    served: Served, postgres: EmbeddedPostgres, server: Server
) -> None:
    with Raw("127.0.0.1", served.port).login() as client, Raw("127.0.0.1", served.port).login() as other:
        assert send_cancel(served.port, client.key)
        client.send(query("SELECT 1"))
        assert [kind for kind, _ in client.until("Z")] == ["T", "D", "C", "Z"]
        client.send(b"X\0\0\0\4")
        assert client.is_closed()
        other.send(query("SELECT pg_sleep(0.3)"))
        assert send_cancel(served.port, client.key)
        assert [kind for kind, _ in other.until("Z")] == ["T", "D", "C", "Z"]


def test_wrong_keys_hit_nobody(served: Served) -> None:
    """Checklist: a wrong cancel key is ignored."""
    with Raw("127.0.0.1", served.port).login() as client:
        client.send(query("SELECT pg_sleep(1)"))
        for wrong in (
            altered(client.key, secret=1),
            altered(client.key, process=1),
            altered(client.key, process=1 << 18),  # another worker
            altered(client.key, process=1 << 25),  # another replica
            client.key + b"\0",
            client.key + bytes(28),
            client.key[:4] + b"\0" * 32,
        ):
            assert send_cancel(served.port, wrong)
        assert [kind for kind, _ in client.until("Z")] == ["T", "D", "C", "Z"]


def test_a_cancel_during_login_harms_nobody(served: Served) -> None:
    """Checklist: cancel during login."""
    with Raw("127.0.0.1", served.port).login() as first, Raw("127.0.0.1", served.port) as second:
        second.startup()
        assert second.reply()[0] == "R"  # in the middle of SCRAM: no key was handed out yet
        first.send(query("SELECT pg_sleep(0.5)"))
        for process in (0, 1, 1 << 31):
            assert send_cancel(served.port, altered(first.key, process=process, secret=1))
        with Raw("127.0.0.1", served.port).login() as third:
            third.send(query("SELECT 3"))
            assert [kind for kind, _ in third.until("Z")] == ["T", "D", "C", "Z"]
        assert [kind for kind, _ in first.until("Z")] == ["T", "D", "C", "Z"]


# Guesses


def test_a_guesser_waits_and_a_right_key_still_works(served: Served, threads: ThreadPoolExecutor) -> None:
    """Checklist: rate-limit guesses of cancel keys."""
    with Raw("127.0.0.1", served.port).login() as client:
        client.send(query("SELECT pg_sleep(60)"))
        wrong = altered(client.key, secret=1)
        assert all(threads.map(lambda _: send_cancel(served.port, wrong), range(60)))
        started = time.monotonic()
        assert all(threads.map(lambda _: send_cancel(served.port, wrong), range(4)))
        assert time.monotonic() - started > 0.9
        assert send_cancel(served.port, client.key)
        assert client.error()["C"] == "57014"


def test_cancel_requests_take_nobodys_place(server: Server, postgres: EmbeddedPostgres) -> None:
    with cancel_front((postgres.host, postgres.port)) as front:
        served = server.start(max_clients=2, upstream={"host": "127.0.0.1", "port": front.port})
        with Raw("127.0.0.1", served.port).login() as client, ThreadPoolExecutor() as pool:
            client.send(query("SELECT pg_sleep(60)"))
            until(lambda: running(postgres, "pg_sleep(60)"))
            requests = [pool.submit(send_cancel, served.port, client.key) for _ in range(3)]
            assert front.arrived.wait(10)
            until(lambda: served.gateway._headcount.clients == 1)  # what they are is known when they were read
            with Raw("127.0.0.1", served.port).login(), Raw("127.0.0.1", served.port) as third:
                third.startup()
                assert third.error()["C"] == "53300"
            front.let_go.set()
            assert all(request.result(10) for request in requests)


# Replicas


def test_a_cancel_finds_its_replica(server: Server) -> None:
    """Checklist: cancel across replicas, by an id in the key."""
    second = server.start(cancel={"replica_id": 2})
    first = server.start(cancel={"replica_id": 1, "peers": {2: f"127.0.0.1:{second.port}"}})
    with Raw("127.0.0.1", second.port).login() as client:
        client.send(query("SELECT pg_sleep(60)"))
        time.sleep(0.2)
        assert send_cancel(first.port, altered(client.key, secret=1))
        assert send_cancel(first.port, client.key)
        assert client.error()["C"] == "57014"
        client.until("Z")
        client.send(query("SELECT 1"))
        assert [kind for kind, _ in client.until("Z")] == ["T", "D", "C", "Z"]


@pytest.mark.parametrize("more", [{}, {"required": True}, {"required": True, "mutual": True}])
def test_a_request_is_encrypted_for_a_peer_with_tls(
    server: Server, authority: Authority, more: dict[str, bool]
) -> None:
    ca = {"client_ca": authority.file} if more.get("mutual") else {}
    second = server.start(tls=authority.server(required=more.get("required", False), **ca), cancel={"replica_id": 2})
    with cancel_front(("127.0.0.1", second.port)) as between, Raw("127.0.0.1", second.port) as client:
        between.let_go.set()
        first = server.start(cancel={"replica_id": 1, "peers": {2: f"localhost:{between.port}"}})
        client.start_tls(ssl.create_default_context(cafile=authority.file))
        client.login()
        client.send(query("SELECT pg_sleep(60)"))
        time.sleep(0.2)
        assert send_cancel(first.port, client.key)
        assert client.error()["C"] == "57014"
        assert (between.connections, between.count) == (1, 0), "nobody between saw it"


def test_a_request_is_forwarded_once(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as third:
        third.settimeout(1)
        address = f"127.0.0.1:{third.getsockname()[1]}"
        second = server.start(cancel={"replica_id": 2, "peers": {3: address}})
        first = server.start(cancel={"replica_id": 1, "peers": {3: f"127.0.0.1:{second.port}"}})  # wrong
        key = struct.pack("!II", Place(3).base | 7, 1)
        assert send_cancel(first.port, key)
        with pytest.raises(TimeoutError):
            third.accept()
        with ThreadPoolExecutor() as pool:  # while the second would forward what comes from a client
            request = pool.submit(send_cancel, second.port, key)
            peer, _ = third.accept()
            with peer:
                assert peer.recv(8) == struct.pack("!ii", 8, 80877103)
                peer.sendall(b"N")
                assert peer.recv(100) == struct.pack("!iiII", 16, CANCEL_REQUEST, Place(3).base | 7 | FORWARDED, 1)
            assert request.result(10)


def test_a_peer_that_is_gone_is_no_harm(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    served = server.start(cancel={"replica_id": 1, "peers": {2: f"127.0.0.1:{port}"}})
    assert send_cancel(served.port, struct.pack("!II", Place(2).base | 7, 1))
    with Raw("127.0.0.1", served.port).login() as client:
        client.send(query("SELECT 1"))
        assert [kind for kind, _ in client.until("Z")] == ["T", "D", "C", "Z"]
