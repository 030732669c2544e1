"""In step, message by message: refusals, questions, changed policies, faults; with bare messages."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import asyncpg
import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.wire.messages import message, parse_fault
from tests.server.conftest import Served, Server
from tests.server.raw import FLUSH, SYNC, Raw, Reply, bind, describe, execute, parse, query


@pytest.fixture
def raw(served: Served) -> Iterator[Raw]:
    with Raw("127.0.0.1", served.port) as client:
        yield client.login()


def kinds(replies: list[Reply]) -> str:
    return "".join(kind for kind, _ in replies)


def states(replies: list[Reply]) -> list[str]:
    """The SQLSTATE of each error."""
    return [parse_fault(body).sqlstate for kind, body in replies if kind == "E"]


def run(statement: str = "", portal: str = "") -> list[bytes]:
    return [bind(portal, statement), execute(portal)]


def test_a_name_that_hangs_on_an_earlier_batch_waits_for_its_answer(raw: Raw, served: Served) -> None:
    """The second Parse fails, so the Close behind it is skipped, and in the next batch the name is still there."""
    closes = message(b"C", b"Sa\0")
    raw.send(
        parse("a", "SELECT 1"), parse("a", "SELECT 2"), closes, SYNC, *run("a"), SYNC, closes, SYNC, *run("a"), SYNC
    )
    found = [raw.until("Z") for _ in range(4)]
    assert [kinds(replies) for replies in found] == ["1EZ", "2DCZ", "3Z", "EZ"]
    assert found[1][1][1].endswith(b"1"), "the first text, and it is the one that was recorded"
    assert served.gate.executions == [()]


# Refusals


def test_a_refused_bind_leaves_the_clients_unnamed_statement(raw: Raw) -> None:
    raw.send(parse("", "SELECT 7"), SYNC, bind("", "unknown"), execute(""), SYNC, *run(), SYNC)
    assert kinds(raw.until("Z")) == "1Z"
    refused = raw.until("Z")
    assert (kinds(refused), states(refused)) == ("EZ", ["26000"])
    assert kinds(raw.until("Z")) == "2DCZ"


def test_a_function_call_is_refused_and_the_connection_goes_on(raw: Raw) -> None:
    raw.send(message(b"F", struct.pack("!iHHH", 2026, 0, 0, 0)), query("SELECT 1"))
    refused = raw.until("Z")
    assert (kinds(refused), states(refused)) == ("EZ", ["0A000"])
    assert kinds(raw.until("Z")) == "TDCZ"


def test_text_that_is_not_utf8_is_an_error_like_any_other(raw: Raw, served: Served) -> None:
    bad = b"SELECT '\xff'\0"
    raw.send(message(b"Q", bad), message(b"P", b"\0" + bad + b"\0\0"), *run(), SYNC, query("SELECT 1"))
    for expected in ("EZ", "EZ"):
        refused = raw.until("Z")
        assert (kinds(refused), states(refused)) == (expected, ["22021"])
    assert kinds(raw.until("Z")) == "TDCZ"
    assert served.gate.texts == ["SELECT 1"]


def test_what_follows_a_refusal_is_discarded_up_to_sync_and_never_admitted(raw: Raw, served: Served) -> None:
    raw.send(parse("", "SELECT 'forbidden'"), parse("x", "SELECT 1"), query("SELECT 2"), *run("x"), SYNC)
    assert kinds(raw.until("Z")) == "EZ"
    assert served.gate.texts == ["SELECT 'forbidden'"]


def test_an_execution_that_cannot_be_recorded_is_refused_in_step(raw: Raw, served: Served) -> None:
    raw.send(parse("s", "SELECT 1"), SYNC)
    raw.until("Z")
    served.gate.unrecorded = True
    raw.send(*run("s"), execute(""), SYNC)
    refused = raw.until("Z")
    assert (kinds(refused), states(refused)) == ("2EZ", ["58030"])
    served.gate.unrecorded = False
    raw.send(*run("s"), SYNC)
    assert kinds(raw.until("Z")) == "2DCZ"


def test_a_pipeline_that_cannot_be_recorded_is_refused_in_step(raw: Raw, served: Served) -> None:
    """Every text and every execution on its own, up to Sync; what needs no record goes on; nothing runs."""
    raw.send(parse("s", "SELECT 1"), SYNC)
    raw.until("Z")
    opened = len(served.gate.opened)
    served.gate.unrecorded = True
    raw.send(parse("a", "SELECT 2"), *run("a"), SYNC, query("SELECT 3"), *run("s"), SYNC, describe("S", "s"), SYNC)
    for expected in ("EZ", "EZ", "2EZ"):
        refused = raw.until("Z")
        assert (kinds(refused), states(refused)) == (expected, ["58030"])
    assert kinds(raw.until("Z")) == "tTZ"
    served.gate.unrecorded = False
    raw.send(*run("a"), SYNC, *run("s"), SYNC, query("SELECT 4"))
    assert states(raw.until("Z")) == ["26000"]
    assert kinds(raw.until("Z")) == "2DCZ"
    assert kinds(raw.until("Z")) == "TDCZ"
    assert len(served.gate.opened) - opened == 5, "three that were not kept, two that ran"
    assert len(served.gate.closed) == 2, "what was not kept is not closed"


def test_an_outcome_that_cannot_be_recorded_ends_the_connection(raw: Raw, served: Served) -> None:
    served.gate.unclosed = True
    raw.send(query("SELECT 1"))
    fields = raw.error()
    assert (fields["S"], fields["C"]) == ("FATAL", "58030")
    assert raw.is_closed()
    served.gate.unclosed = False


# Questions


def test_an_error_while_a_question_is_answered_skips_the_question(raw: Raw) -> None:
    """The upstream skips to Sync: the answered Parse must not go there, or nobody would ever answer it."""
    fails = "SELECT 1/x FROM generate_series(0, 1) x"
    raw.send(parse("", fails), *run(), FLUSH, parse("", "ask: something"), *run(), SYNC, query("SELECT 1"))
    failed = raw.until("Z")
    assert (kinds(failed), states(failed)) == ("12EZ", ["22012"])
    assert kinds(raw.until("Z")) == "TDCZ"


def test_the_notice_of_an_answer_stands_before_its_replies_and_behind_those_before(raw: Raw) -> None:
    raw.send(parse("", "SELECT 1"), *run(), parse("", "ask: something"), *run(), SYNC)
    assert kinds(raw.until("Z")) == "12DCN12DCZ"
    raw.send(query("SELECT 1"), query("ask: something"), query("SELECT 1"))
    assert kinds(raw.until("Z") + raw.until("Z") + raw.until("Z")) == "TDCZNTDCZTDCZ"


def test_messages_that_come_while_a_question_is_answered_wait_for_it(raw: Raw) -> None:
    raw.send(query("ask: something"))
    for number in range(100):
        raw.send(query(f"SELECT {number}"))
    assert kinds(raw.until("Z")) == "NTDCZ"
    for number in range(100):
        assert raw.until("Z")[1][1].endswith(str(number).encode())


def test_a_client_that_sends_without_end_while_a_question_is_answered_is_made_to_wait(raw: Raw) -> None:
    raw.send(query("ask: something slow"))
    raw.socket.settimeout(0.5)
    data = query("SELECT '" + "x" * 100_000 + "'")
    with pytest.raises(TimeoutError):
        raw.send(*[data] * 500)


def test_a_client_that_goes_while_a_question_is_answered(server: Server) -> None:
    served = server.start()
    with Raw("127.0.0.1", served.port) as client:
        client.login().send(query("ask: something slow"))
        time.sleep(0.2)
    started = time.monotonic()
    server.stop()
    assert time.monotonic() - started < 5, "nothing waits for the answer"


# Policies that change


@pytest.mark.parametrize("text", ["SELECT 1", "SELECT 'rewrite'"])
def test_a_statement_that_comes_out_otherwise_under_a_new_policy(raw: Raw, served: Served, text: str) -> None:
    raw.send(parse("s", text), describe("S", "s"), SYNC, *run("s"), SYNC)
    assert kinds(raw.until("Z") + raw.until("Z")) == "1tTZ2DCZ"
    served.gate.version = "2"
    raw.send(*run("s"), SYNC, *run("s"), SYNC)
    for _ in range(2):
        again = raw.until("Z")
        if "rewrite" in text:
            assert (kinds(again), states(again)) == ("EZ", ["0A000"])
        else:
            assert kinds(again) == "2DCZ"
    assert served.gate.texts.count(text) == (3 if "rewrite" in text else 2)


@pytest.mark.parametrize("text", ["SELECT 1", "SELECT 'rewrite'"])
@pytest.mark.parametrize(
    ("given", "used"),
    [
        ([query("BEGIN; PREPARE s AS {}")], [query("EXECUTE s")]),
        ([query("BEGIN; PREPARE s AS {}")], [*run("s"), SYNC]),
        ([query("BEGIN"), parse("s", "{}")], [query("EXECUTE s")]),
        ([query("BEGIN"), parse("s", "{}"), parse("e", "EXECUTE s"), SYNC, query("SELECT 1")], [query("EXECUTE e")]),
        ([query("BEGIN; DECLARE c CURSOR FOR {}")], [query("FETCH c")]),
        ([query("BEGIN; DECLARE c CURSOR FOR {}")], [query("MOVE c")]),
        ([query("BEGIN"), parse("", "{}"), bind("c", "")], [query("FETCH c")]),
        ([query("BEGIN; PREPARE s AS {}"), parse("e", "EXECUTE s")], [*run("e"), SYNC]),
        ([query("BEGIN; DECLARE c CURSOR FOR {}"), parse("e", "FETCH c")], [*run("e"), SYNC]),
        ([query("BEGIN; DECLARE c CURSOR FOR {}")], [execute("c"), SYNC]),
        ([query("BEGIN"), parse("", "{}"), bind("c", "")], [execute("c"), SYNC]),
    ],
    ids=lambda script: b" ".join(one[5:] for one in script).replace(b"\0", b"").decode(),
)
def test_what_execute_and_fetch_run_is_decided_again_under_a_new_policy(
    raw: Raw, served: Served, given: list[bytes], used: list[bytes], text: str
) -> None:
    """Checklist: authorise at Parse AND re-check at Bind/Execute (policy reload)."""
    raw.send(*(message(one[:1], one[5:].replace(b"{}", text.encode())) for one in given), SYNC)
    done = raw.until("Z")
    while done[-1] != ("Z", b"T") or len(served.gate.texts) < sum(one[:1] in b"QP" for one in given):
        done += raw.until("Z")
    assert states(done) == []
    served.gate.version = "2"
    raw.send(query("SAVEPOINT p"), *used, query("ROLLBACK TO p"), *used, query("SELECT 'end'"))
    replies: list[Reply] = []
    while not replies or b"end" not in replies[-1][1]:
        replies.append(raw.reply())
    replies += raw.until("Z")
    assert states(replies) == (["0A000", "0A000", "25P02"] if "rewrite" in text else [])
    assert served.gate.texts[-1] == "SELECT 'end'"
    assert served.gate.all_closed()


def test_drivers_prepare_again_by_themselves_when_the_policy_has_changed(served: Served) -> None:
    """Checklist: "cached plan must not change result type" after policy change -> invalidate, as pgjdbc and asyncpg do.

    They know it by the name of PostgreSQL's routine.
    """

    async def main() -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=served.port, user="ada", password="secret", database="postgres"
        )
        try:
            for version in "123":
                served.gate.version = version
                for _ in range(2):
                    assert await connection.fetchval("SELECT 'rewrite' || $1", version) == f"rewrite{version}"
        finally:
            await connection.close()

    asyncio.run(main())
    assert served.gate.all_closed()


# Accounts


def test_a_portal_that_is_left_in_the_middle_is_accounted_for(raw: Raw, served: Served) -> None:
    many = "SELECT generate_series(1, 100)"
    raw.send(parse("s", many), bind("", "s"), execute("", 10), bind("", "s"), execute("", 20), execute("", 30), SYNC)
    assert kinds(raw.until("Z")) == "12" + "D" * 10 + "s2" + "D" * 20 + "s" + "D" * 30 + "sZ"
    assert served.gate.all_closed()
    assert sorted(outcome.rows for outcome in served.gate.closed.values()) == [10, 50]


def test_a_portal_within_a_transaction_is_accounted_for_at_its_end(raw: Raw, served: Served) -> None:
    raw.send(query("BEGIN"), parse("", "SELECT generate_series(1, 100)"), bind("p", ""), execute("p", 10), SYNC)
    assert raw.until("Z")[-1] == ("Z", b"T")
    assert raw.until("Z")[-1] == ("Z", b"T")
    raw.send(execute("p", 5), SYNC)
    assert kinds(raw.until("Z")) == "DDDDDsZ"
    assert len(served.gate.closed) < len(served.gate.opened)
    raw.send(query("COMMIT"))
    raw.until("Z")
    assert served.gate.all_closed()
    assert 15 in [outcome.rows for outcome in served.gate.closed.values()]


def test_an_error_midway_is_in_the_account(raw: Raw, served: Served) -> None:
    raw.send(query("SELECT 10 / (5 - x) FROM generate_series(1, 9) x"))
    raw.until("Z")
    raw.send(parse("", "SELECT 10 / (5 - x) FROM generate_series(1, 9) x"), *run(), SYNC)
    raw.until("Z")
    assert served.gate.all_closed()
    assert [(outcome.sqlstate, outcome.rows) for outcome in served.gate.closed.values()] == [("22012", 4)] * 2


# Endings


def test_terminate_lets_what_was_sent_before_run_to_its_end(raw: Raw, postgres: EmbeddedPostgres) -> None:
    postgres.execute("CREATE TABLE farewell (x int)")
    try:
        raw.send(query("INSERT INTO farewell SELECT 1 FROM pg_sleep(0.3)"), message(b"X"))
        assert raw.is_closed()
        deadline = time.monotonic() + 10
        while postgres.execute("SELECT count(*) FROM farewell") != "1":
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        postgres.execute("DROP TABLE farewell")


@pytest.mark.parametrize(
    "sent",
    [
        message(b"y", b"?"),
        message(b"p", b"password\0"),
        b"Q\0\0\0\3",
        b"Q\xff\xff\xff\xff",
    ],
)
def test_bytes_that_are_no_message_end_the_connection(raw: Raw, sent: bytes) -> None:
    raw.send(sent)
    fields = raw.error()
    assert (fields["S"], fields["C"]) == ("FATAL", "08P01")
    assert raw.is_closed()


def test_a_query_within_copy_in_ends_the_connection(raw: Raw) -> None:
    raw.send(query("CREATE TEMP TABLE t (x int)"))
    raw.until("Z")
    raw.send(query("COPY t FROM STDIN"))
    raw.until("G")
    raw.send(query("SELECT 1"))
    assert raw.error()["C"] == "08P01"


def test_a_fault_of_our_own_is_in_the_log_and_the_peer_is_told_nothing(
    raw: Raw, capfd: pytest.CaptureFixture[str]
) -> None:
    raw.send(query("ask: explode"), query("SELECT 1"))
    refused = raw.until("Z")
    assert (kinds(refused), states(refused)) == ("EZ", ["XX000"])
    assert kinds(raw.until("Z")) == "TDCZ"
    raw.send(query("SELECT 'explode'"))
    fields = raw.error()
    assert (fields["S"], fields["C"], fields["M"]) == ("FATAL", "XX000", "internal error of the gateway")
    assert raw.is_closed()
    assert capfd.readouterr().out.count("a fault of our own") >= 2


def test_the_upstream_says_why_it_ends(raw: Raw, postgres: EmbeddedPostgres, served: Served) -> None:
    """Its own word, once, and nothing of ours behind it."""
    raw.send(query("SET application_name = 'dying'"))
    raw.until("Z")
    raw.send(query("SELECT x, pg_sleep(0.01) FROM generate_series(1, 10000) x"))
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dying'")
    assert raw.error()["C"] == "57P01"
    assert raw.is_closed()
    assert served.gate.all_closed()
    assert "57P01" in [outcome.sqlstate for outcome in served.gate.closed.values()]


def test_the_upstream_vanishes_without_a_word(server: Server, postgres: EmbeddedPostgres) -> None:
    with cable(postgres) as (port, cut):
        served = server.start(upstream={"port": port})
        for sent in ([], [query("SELECT pg_sleep(60)")]):
            with Raw("127.0.0.1", served.port) as client:
                client.login().send(*sent)
                time.sleep(0.1)
                cut()
                fields = client.error()
                assert (fields["S"], fields["C"]) == ("FATAL", "08006")
                assert client.is_closed()
        assert served.gate.all_closed()
        assert [outcome.sqlstate for outcome in served.gate.closed.values()] == ["08006"]


@contextlib.contextmanager
def cable(postgres: EmbeddedPostgres) -> Iterator[tuple[int, Callable[[], None]]]:
    """A port that leads to PostgreSQL, and how to cut all that runs through it."""
    ends: list[socket.socket] = []

    def copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection((postgres.host, postgres.port))
                ends.extend((near, far))
                for source, target in ((near, far), (far, near)):
                    threads.append(threading.Thread(target=copy, args=(source, target)))
                    threads[-1].start()

    def cut() -> None:
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threads = [threading.Thread(target=accept)]
        threads[0].start()
        yield listening.getsockname()[1], cut
        listening.shutdown(socket.SHUT_RDWR)
        cut()
        for thread in threads:
            thread.join(10)
        for end in ends:
            end.close()
