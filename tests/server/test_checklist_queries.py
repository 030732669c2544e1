"""Simple and extended queries as a proxy's checklist has them, to PostgreSQL and through the gateway."""

from __future__ import annotations

import socket
import time

import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.wire.messages import message
from tests.server.conftest import Served
from tests.server.raw import FLUSH, SYNC, Raw, Reply, bind, describe, execute, parse, query
from tests.server.test_differential import REFUSED, comparable, compare
from tests.server.test_steps import kinds, states

RUN = [bind("", ""), execute("")]
MANY = parse("", "SELECT generate_series(1, 7)")


@pytest.mark.parametrize(
    "script",
    [
        [
            query("CREATE TEMP TABLE t (x int)"),
            query("INSERT INTO t VALUES (1); SELECT 1/0; SELECT 2"),
            query("SELECT count(*) FROM t"),
        ],
        [
            query("CREATE TEMP TABLE t (x int); INSERT INTO t VALUES (1); SELECT 1"),
            query("SELECT count(*) FROM t; SELECT 2"),
        ],
        [query("BEGIN; SELECT 1; SELECT 1/0; SELECT 2"), query("SELECT 3"), query("ROLLBACK; SELECT 4")],
        [query("SELECT 1; BEGIN; SELECT 2"), query("SELECT 1/0"), query("COMMIT; SELECT 3")],
        [query("BEGIN; SELECT 1; COMMIT; SELECT 1/0; SELECT 2"), query("SELECT 3")],
        [query("BEGIN; BEGIN; COMMIT; COMMIT")],
        [query("SAVEPOINT s"), query("BEGIN; SAVEPOINT s; SELECT 1/0"), query("ROLLBACK TO s; SELECT 1; COMMIT")],
    ],
    ids=range(7),
)
def test_several_statements_are_one_implicit_transaction(
    served: Served, postgres: EmbeddedPostgres, script: list[bytes]
) -> None:
    """Checklist: multi-statement = one implicit transaction; explicit BEGIN/COMMIT inside the batch changes that."""
    compare(served, postgres, script)


def test_all_statements_of_a_text_are_admitted_or_none(served: Served) -> None:
    """Checklist: check ALL statements before sending ANY."""
    with Raw("127.0.0.1", served.port) as raw:
        raw.login().send(query(f"CREATE TEMP TABLE never (x int); {REFUSED}"), query("TABLE never"))
        assert states(raw.until("Z") + raw.until("Z")) == ["42501", "42P01"]


@pytest.mark.parametrize("text", ["", " ", ";", ";;", "-- nothing", "/* nothing */", "/* a */ ; -- b\n;", "\n"])
def test_empty_texts(served: Served, postgres: EmbeddedPostgres, text: str) -> None:
    """Checklist: EmptyQueryResponse for empty; pgjdbc's isValid sends an empty query."""
    found = compare(served, postgres, [query(text), parse("", text), *RUN, describe("S", ""), SYNC, query("SELECT 1")])
    assert [kind for kind, _ in found].count("I") == 2
    assert served.gate.all_closed()


@pytest.mark.parametrize("inside", [False, True], ids=["outside", "in a block"])
@pytest.mark.parametrize("sent", [[query(REFUSED)], [parse("", REFUSED), *RUN, SYNC]], ids=["simple", "extended"])
def test_a_denial_leaves_the_state_that_an_error_leaves(
    served: Served, postgres: EmbeddedPostgres, sent: list[bytes], inside: bool
) -> None:
    """Checklist: a gateway denial inside a txn block must leave the session in E exactly as PG would; outside, I."""
    begin = [query("BEGIN")] if inside else []
    found = compare(served, postgres, [*begin, *sent, query("SELECT 1"), query("COMMIT"), query("SELECT 2")])
    after = found[[kind for kind, _ in found].index("E") + 1]
    assert after == ("Z", b"E" if inside else b"I")


def test_a_batch_of_a_pipeline_fails_in_its_place(served: Served, postgres: EmbeddedPostgres) -> None:
    """Checklist: many P/B/D/E before one Sync; after any error (upstream OR gateway) discard until Sync, then Z."""
    good, bad, refused = ([parse("", text), *RUN] for text in ("SELECT 1", "SELECT 1/0", REFUSED))
    for script in (
        [*good, *bad, *good, SYNC, *good, SYNC],
        [*good, *refused, *bad, SYNC, *good, SYNC],
        [*bad, *refused, SYNC, *refused, *bad, SYNC, *good],
        [*good, *refused, query("SELECT 5"), SYNC, query("SELECT 6")],
    ):
        compare(served, postgres, script)


@pytest.mark.parametrize("begin", [[], [query("BEGIN")]], ids=["alone", "in a block"])
def test_pages_by_flush_as_node_postgres_asks_for_them(
    served: Served, postgres: EmbeddedPostgres, begin: list[bytes]
) -> None:
    """Checklist: fetch size: PortalSuspended, Execute again; node-pg uses Flush instead of Sync between pages."""
    answers: list[list[Reply]] = []
    for host, port, user, password in (
        (postgres.host, postgres.port, "postgres", postgres.password),
        ("127.0.0.1", served.port, "ada", "secret"),
    ):
        with Raw(host, port) as raw:
            raw.login(user, password).send(*begin)
            found = raw.until("Z") if begin else []
            raw.send(MANY, bind("p", ""), describe("P", "p"), execute("p", 3), FLUSH)
            found += raw.until("s")
            raw.send(execute("p", 3), FLUSH)
            found += raw.until("s")
            raw.send(execute("p", 3), FLUSH)
            found += raw.until("C")
            raw.send(SYNC, execute("p", 3), SYNC)
            found += raw.until("Z") + raw.until("Z")
            answers.append([comparable(*reply) for reply in found])
    assert answers[0] == answers[1]
    assert kinds(answers[0]).count("D") == 7
    assert served.gate.all_closed()


@pytest.mark.parametrize(
    ("sent", "sqlstate"),
    [
        ([parse("", REFUSED)], "42501"),
        ([bind("", "unknown")], "26000"),
        ([execute("unknown")], "34000"),
        ([message(b"B", b"")], "08P01"),
        ([parse("", "SELECT 1"), *RUN, parse("", REFUSED)], "42501"),
    ],
)
def test_flush_delivers_what_the_gateway_itself_has_to_say(served: Served, sent: list[bytes], sqlstate: str) -> None:
    """Checklist: Flush H delivers pending gateway-made messages too."""
    with Raw("127.0.0.1", served.port) as raw:
        raw.login().send(*sent, FLUSH)
        assert states(raw.until("E")) == [sqlstate]
        raw.send(SYNC)
        assert kinds(raw.until("Z")) == "Z"


def test_a_plan_whose_result_has_changed_is_postgresqls_error(served: Served, postgres: EmbeddedPostgres) -> None:
    """Checklist: "cached plan must not change result type" after DDL change; prepared again it runs."""
    change = query("BEGIN; ALTER TABLE changing ADD y int")
    run = [bind("", "s"), execute(""), SYNC, query("ROLLBACK")]
    anew = [message(b"C", b"Ss\0"), parse("s", "SELECT * FROM changing"), describe("S", "s")]
    postgres.execute("CREATE TABLE changing (x int)")
    try:
        script = [parse("s", "SELECT * FROM changing"), *run, change, *run, change, *anew, *run]
        found = compare(served, postgres, script)
    finally:
        postgres.execute("DROP TABLE changing")
    assert [body for kind, body in found if kind == "E"] == [
        b"('0A000', 'cached plan must not change result type', None)"
    ]


def test_a_name_that_is_taken_is_postgresqls_error(served: Served, postgres: EmbeddedPostgres) -> None:
    """Checklist: statement-name collisions, prepared statement "S_1" already exists; the first one stays."""
    script = [parse("S_1", "SELECT 1"), SYNC, parse("S_1", "SELECT 2"), SYNC, bind("", "S_1"), execute(""), SYNC]
    found = compare(served, postgres, script)
    assert any(b'prepared statement "S_1" already exists' in body for kind, body in found if kind == "E")


def test_a_function_call_is_refused_in_any_state(served: Served) -> None:
    """Checklist: FunctionCall F: always refuse (42501/0A000); it calls any function by OID past the SQL parser."""
    call = message(b"F", b"\0\0\7\xea\0\0\0\0\0\0")
    with Raw("127.0.0.1", served.port) as raw:
        raw.login().send(query("BEGIN"), call, query("SELECT 1"), query("ROLLBACK"), parse("", "SELECT 2"), call, SYNC)
        replies = [reply for _ in range(6) for reply in raw.until("Z")]
        assert states(replies) == ["0A000", "25P02", "0A000"]
        assert [body for kind, body in replies if kind == "Z"] == [b"T", b"E", b"E", b"I", b"I", b"I"]


@pytest.mark.parametrize(
    "sent",
    [
        [query("COPY t FROM STDIN -- forbidden")],
        [parse("", "COPY t FROM STDIN -- forbidden"), *RUN, SYNC],
        [parse("", "COPY t FROM STDIN -- forbidden"), *RUN, FLUSH],
    ],
    ids=["simple", "extended", "extended by Flush"],
)
def test_copy_in_is_refused_before_data_is_asked_for_and_its_data_drained(served: Served, sent: list[bytes]) -> None:
    """Checklist: COPY IN refused BEFORE G is sent; if already in copy-in, drain d/c/f, ignore H/S."""
    data = [message(b"d", b"1\n"), message(b"d", b"2\n"), message(b"c")]
    with Raw("127.0.0.1", served.port) as raw:
        raw.login().send(*sent, *data)
        if sent[-1] == FLUSH:
            raw.send(SYNC)
        refused = raw.until("Z")
        assert (kinds(refused), states(refused)) == ("EZ", ["42501"])
        raw.send(*data, message(b"f", b"no\0"), query("SELECT 1"))
        assert kinds(raw.until("Z")) == "TDCZ"


def test_describing_tables_sends_a_batch_of_which_none_may_fail(served: Served, postgres: EmbeddedPostgres) -> None:
    """Checklist: psql's metadata queries are pipelined: twelve texts ahead of the first answer."""
    script = [query(f"SELECT relname FROM pg_class WHERE oid = {number}") for number in range(1259, 1271)]
    found = compare(served, postgres, script)
    assert kinds(found).count("T") == 13


# What waits for the answer to a text that changes names

SLOW = query("DO $$BEGIN PERFORM pg_sleep(0.5); END$$; DEALLOCATE ALL; PREPARE s AS SELECT 'new'")


def test_what_waits_for_names_may_be_much_and_goes_on_in_order(served: Served) -> None:
    """Checklist: back-pressure both ways: a client that sends ahead is made to wait, and loses nothing."""
    with Raw("127.0.0.1", served.port) as raw:
        raw.login().send(SLOW, *[bind("", "s"), execute("")], SYNC)
        for number in range(30):
            raw.send(query(f"SELECT length('{'x' * 100_000}') + {number}"))
        assert kinds(raw.until("Z")) == "CCCZ"
        assert kinds(raw.until("Z")) == "2DCZ"
        for number in range(30):
            assert str(100_000 + number).encode() in raw.until("Z")[1][1]
    assert served.gate.all_closed()


def test_a_client_that_goes_while_something_waits(served: Served, postgres: EmbeddedPostgres) -> None:
    """Nothing that waited is run or recorded, and nothing stays upstream."""
    with Raw("127.0.0.1", served.port) as raw:
        raw.login(application_name="gone").send(query("DEALLOCATE ALL; SELECT pg_sleep(60)"), query("SELECT 'late'"))
        time.sleep(0.2)
    deadline = time.monotonic() + 10
    while postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gone'") != "0":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert served.gate.all_closed()
    assert "SELECT 'late'" not in served.gate.texts


def test_an_error_lets_what_waits_be_discarded(served: Served, postgres: EmbeddedPostgres) -> None:
    """The text fails, so that what waited for it is skipped up to Sync, as without a gateway."""
    fails = parse("", "DEALLOCATE unknown")
    script = [fails, *RUN, bind("", "s"), execute(""), query("SELECT 1"), SYNC, query("SELECT 2")]
    assert kinds(compare(served, postgres, script)).startswith("12EZTDCZ")


# While idle


def test_notifications_come_while_idle_and_to_who_listens(served: Served, postgres: EmbeddedPostgres) -> None:
    """Checklist: forward NotificationResponse at ANY time, also while idle; never cross-session."""
    with Raw("127.0.0.1", served.port) as one, Raw("127.0.0.1", served.port) as other:
        one.login().send(query("LISTEN news"))
        other.login().send(query("LISTEN elsewhere"))
        one.until("Z")
        other.until("Z")
        postgres.execute("NOTIFY news, 'hello'")
        kind, body = one.reply()
        assert (kind, body[4:]) == ("A", b"news\0hello\0")
        other.send(query("SELECT 1"))
        assert kinds(other.until("Z")) == "TDCZ"


def test_an_administrators_end_reaches_an_idle_client(served: Served, postgres: EmbeddedPostgres) -> None:
    """Checklist: admin shutdown = 57P01 FATAL, the upstream's own word, also while idle."""
    with Raw("127.0.0.1", served.port) as raw:
        raw.login().send(query("SET application_name = 'to be ended'"))
        raw.until("Z")
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'to be ended'"
        )
        fields = raw.error()
        assert (fields["S"], fields["C"]) == ("FATAL", "57P01")
        assert "administrator" in fields["M"]
        assert raw.is_closed()


@pytest.mark.parametrize(
    ("sent", "sqlstate"),
    [
        ([query("SET statement_timeout = '50ms'"), query("SELECT pg_sleep(9)")], "57014"),
        ([query("SET idle_in_transaction_session_timeout = '50ms'"), query("BEGIN")], "25P03"),
        ([query("SET idle_session_timeout = '50ms'")], "57P05"),
    ],
)
def test_the_timeouts_of_postgresql_are_told(served: Served, sent: list[bytes], sqlstate: str) -> None:
    """Checklist: idle/idle-in-txn/statement timeouts: the upstream's errors, in their place or while idle."""
    with Raw("127.0.0.1", served.port) as raw:
        raw.login().send(*sent)
        assert raw.error()["C"] == sqlstate
        assert sqlstate == "57014" or raw.is_closed()


def test_half_closed_by_the_client(served: Served, postgres: EmbeddedPostgres) -> None:
    """Checklist: half-close: who sends no more is gone, as PostgreSQL has it; nothing stays upstream."""
    with Raw("127.0.0.1", served.port) as raw:
        raw.login(application_name="half closed").send(query("SELECT 1"))
        raw.until("Z")
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.is_closed()
    deadline = time.monotonic() + 10
    while postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'half closed'") != "0":
        assert time.monotonic() < deadline
        time.sleep(0.05)
