"""The proxy with real clients and a real PostgreSQL behind it."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
import subprocess
import threading
import time

import asyncpg
import psycopg
import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres, psql_path
from tests.server.conftest import Served, Server
from tests.server.raw import Raw


def connect(served: Served, **more: object) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(served.conninfo(**more), autocommit=True)


def settled(served: Served) -> dict[str, tuple[str, int]]:
    """SQLSTATE and rows of each closed account, when the gateway has closed it."""
    time.sleep(0.1)
    return {key: (outcome.sqlstate, outcome.rows) for key, outcome in served.gate.closed.items()}


def test_simple_and_extended_queries_answer_and_are_accounted(served: Served) -> None:
    with connect(served) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
        assert connection.execute("SELECT x FROM generate_series(1, %s) x", (5,)).fetchall()[-1] == (5,)
        for _ in range(7):  # prepared by name after five
            connection.execute("SELECT %s::int + 1", (1,))
        cursor = connection.cursor(binary=True)
        assert cursor.execute("SELECT %s::text, %s::int", ("é", None)).fetchone() == ("é", None)
    outcomes = settled(served)
    assert all(state == "00000" for state, _ in outcomes.values())
    assert 5 in [rows for _, rows in outcomes.values()]
    assert ("5",) in served.gate.executions or ("hex:0005",) in served.gate.executions


def test_several_statements_in_one_query(served: Served) -> None:
    with connect(served) as connection:
        cursor = connection.execute("SELECT 1; SELECT 2; SELECT 3")
        results = []
        while True:
            results.append(cursor.fetchall())
            if not cursor.nextset():
                break
        assert results == [[(1,)], [(2,)], [(3,)]]
        assert connection.execute("").pgresult is not None
    assert ("00000", 3) in settled(served).values()


@pytest.mark.parametrize("prepare", [False, True])
def test_a_refusal_keeps_the_transaction_state(served: Served, prepare: bool) -> None:
    with connect(served) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            connection.execute("SELECT 'forbidden'", prepare=prepare)
        assert caught.value.diag.message_primary == "not for you"
        assert caught.value.diag.message_hint == "a hint"
        assert caught.value.diag.message_detail == "a detail"
        assert connection.info.transaction_status.name == "IDLE"
        connection.execute("BEGIN")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT 'forbidden'", prepare=prepare)
        assert connection.info.transaction_status.name == "INERROR"
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.execute("ROLLBACK")
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    ("failing", "error"), [(b"SELECT 'forbidden', $1::int", b"42501"), (b"SELECT 1/($1::int - 2)", b"22012")]
)
def test_errors_in_a_pipeline_come_in_order(served: Served, failing: bytes, error: bytes) -> None:
    """libpq's own calls: psycopg's pipeline raises at whichever statement it first reads the error."""
    with connect(served) as connection:
        line = connection.pgconn
        line.enter_pipeline_mode()
        for texts in ([b"SELECT $1::int"], [failing, b"SELECT $1::int"], [b"SELECT $1::int"]):
            for text in texts:
                line.send_query_params(text, [b"2"])
            line.pipeline_sync()
        seen: list[tuple[str, bytes | None]] = []
        while len(seen) < 7:
            while line.is_busy():
                select.select([line.socket], [], [], 60)  # the gateway runs in this process: get_result would hold it
                line.consume_input()
            result = line.get_result()
            if result is not None:
                status = psycopg.pq.ExecStatus(result.status).name
                seen.append((status, result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)))
        assert seen == [
            ("TUPLES_OK", None),
            ("PIPELINE_SYNC", None),
            ("FATAL_ERROR", error),
            ("PIPELINE_ABORTED", None),
            ("PIPELINE_SYNC", None),
            ("TUPLES_OK", None),
            ("PIPELINE_SYNC", None),
        ]
        line.exit_pipeline_mode()
        assert connection.execute("SELECT 5").fetchone() == (5,)


def test_a_failed_parse_leaves_the_old_statement(served: Served) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=served.port, user="ada", password="secret", database="postgres"
        )
        good = await connection.prepare("SELECT $1::int + 1", name="one")
        with pytest.raises(asyncpg.DuplicatePreparedStatementError):
            await connection.prepare("SELECT 'other'", name="one")
        assert await good.fetchval(1) == 2
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.prepare("SELECT 'forbidden'", name="two")
        assert await good.fetchval(2) == 3
        assert await connection.fetch("SELECT generate_series(1, 3)") != []
        await connection.close()

    asyncio.run(main())


def test_portals_with_a_row_limit_are_one_account(served: Served) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=served.port, user="ada", password="secret", database="postgres"
        )
        async with connection.transaction():
            count = 0
            async for _ in connection.cursor("SELECT generate_series(1, 100)", prefetch=7):
                count += 1
            assert count == 100
            partly = await connection.cursor("SELECT generate_series(1, 100)")
            assert len(await partly.fetch(10)) == 10
        await connection.close()

    asyncio.run(main())
    rows = sorted(count for _, count in settled(served).values())
    assert rows[-2:] == [10, 100]


def test_positions_in_a_rewritten_text_are_told_in_the_clients(served: Served) -> None:
    with connect(served) as connection:
        for text in ("SELECT rewrite", "SELECT nothing"):
            with pytest.raises(psycopg.errors.UndefinedColumn) as caught:
                connection.execute(text)
            assert caught.value.diag.statement_position == "8"


def test_a_statement_prepared_under_an_older_policy_is_admitted_again(served: Served) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=served.port, user="ada", password="secret", database="postgres"
        )
        statement = await connection.prepare("SELECT $1::int")
        assert await statement.fetchval(1) == 1
        served.gate.version = "2"
        before = len(served.gate.texts)
        assert await statement.fetchval(2) == 2
        assert len(served.gate.texts) == before + 1
        assert await statement.fetchval(3) == 3
        assert len(served.gate.texts) == before + 1
        await connection.close()

    asyncio.run(main())


def test_copy_both_ways(served: Served) -> None:
    with connect(served) as connection:
        connection.execute("CREATE TEMP TABLE t (a int, b text)")
        with connection.cursor() as cursor:
            with cursor.copy("COPY t FROM STDIN") as copy:
                for number in range(1000):
                    copy.write_row((number, "x" * 100))
            with cursor.copy("COPY t TO STDOUT") as copy:
                assert sum(1 for _ in copy.rows()) == 1000
            with pytest.raises(psycopg.errors.InvalidTextRepresentation), cursor.copy("COPY t FROM STDIN") as copy:
                copy.write(b"not a number\n")
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (1000,)


def test_notices_and_settings_come_through(served: Served) -> None:
    notices: list[str] = []
    with connect(served) as connection:
        connection.add_notice_handler(lambda diag: notices.append(diag.message_primary or ""))
        connection.execute("DO $$BEGIN RAISE NOTICE 'hello'; END$$")
        connection.execute("SET application_name = 'renamed'")
        assert connection.info.parameter_status("application_name") == "renamed"
    assert notices == ["hello"]


def test_listen_and_notify(served: Served) -> None:
    with connect(served) as listener, connect(served) as speaker:
        listener.execute("LISTEN channel")
        speaker.execute("NOTIFY channel, 'word'")
        assert next(listener.notifies(timeout=5)).payload == "word"


def test_a_question_is_answered_in_its_place(served: Served) -> None:
    notices: list[str] = []
    with connect(served) as connection:
        connection.add_notice_handler(lambda diag: notices.append(diag.message_primary or ""))
        assert connection.execute("ask: something").fetchall() == [(42,)]
        assert connection.execute("ask: something", prepare=True).fetchall() == [(42,)]
        with connection.pipeline():
            first = connection.execute("SELECT %s::int", (1,))
            question = connection.execute("ask: more")
            last = connection.execute("SELECT %s::int", (3,))
        assert [c.fetchone() for c in (first, question, last)] == [(1,), (42,), (3,)]
    assert notices == ["SQL: SELECT 42"] * 3


def test_cancel_stops_a_statement_and_a_question(served: Served) -> None:
    with connect(served) as connection:
        for text in ("SELECT pg_sleep(30)", "ask: something slow"):
            threading.Timer(0.3, connection.cancel_safe).start()
            started = time.monotonic()
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute(text)
            assert time.monotonic() - started < 10
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_cancel_with_a_wrong_key_is_ignored(served: Served) -> None:
    with connect(served) as connection:
        with socket.create_connection(("127.0.0.1", served.port)) as stranger:
            stranger.sendall(struct.pack("!iiii", 16, 80877102, connection.info.backend_pid, 12345))
            assert stranger.recv(1) == b""
        assert connection.execute("SELECT pg_sleep(0.2), 1").fetchone() == ("", 1)


def test_what_cannot_be_recorded_does_not_run(served: Served) -> None:
    with connect(served) as connection:
        served.gate.unrecorded = True
        with pytest.raises(psycopg.Error) as caught:
            connection.execute("SELECT 1")
        assert caught.value.sqlstate == "58030"
        served.gate.unrecorded = False
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_upstream_is_lost(served: Served, postgres: EmbeddedPostgres) -> None:
    with connect(served, application_name="doomed") as connection:
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'doomed'")
        with pytest.raises(psycopg.OperationalError) as caught:
            connection.execute("SELECT 1")
        assert caught.value.sqlstate == "57P01"
    with connect(served) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_client_that_vanishes_takes_its_statement_along(served: Served, postgres: EmbeddedPostgres) -> None:
    client = subprocess.Popen(
        [psql_path(), "-X", "-c", "SELECT pg_sleep(60)", served.conninfo(application_name="vanishing")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(1)
    client.kill()
    client.wait()
    deadline = time.monotonic() + 10
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vanishing'"
    while postgres.execute(query) != "0":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "08006" in [state for state, _ in settled(served).values()]


def test_fifty_clients_at_once(served: Served) -> None:
    async def one(number: int) -> int:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=served.port, user="ada", password="secret", database="postgres"
        )
        total = 0
        for _ in range(20):
            total += await connection.fetchval("SELECT sum(x) FROM generate_series(1, $1::int) x", number)
        await connection.close()
        return total

    async def main() -> list[int]:
        return await asyncio.gather(*(one(number) for number in range(1, 51)))

    assert asyncio.run(main()) == [20 * n * (n + 1) // 2 for n in range(1, 51)]


def test_an_idle_client_is_told_and_disconnected(server: Server) -> None:
    served = server.start(idle_timeout=0.3)
    with connect(served) as connection:
        connection.execute("SELECT pg_sleep(0.6)")
        time.sleep(1)
        with pytest.raises(psycopg.OperationalError) as caught:
            connection.execute("SELECT 1")
        assert caught.value.sqlstate == "57P05"


def test_one_client_too_many(server: Server) -> None:
    served = server.start(max_clients=1)
    with connect(served) as connection:
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            connect(served)
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_message_above_the_limit(server: Server) -> None:
    served = server.start(max_message=64 * 1024)
    with connect(served) as connection, pytest.raises(psycopg.OperationalError, match="above the limit"):
        connection.execute("SELECT '" + "x" * 100_000 + "'")


def test_a_login_under_way_is_told_that_the_gateway_stops(server: Server) -> None:
    served = server.start()
    with connect(served) as busy, Raw("127.0.0.1", served.port) as late:
        threading.Timer(0.3, lambda: served.call(served.gateway.stop)).start()
        assert busy.execute("SELECT pg_sleep(1)").fetchone() == ("",)
        late.startup()
        fields = late.error()
        assert (fields["C"], fields["M"]) == ("57P03", "the gateway is shutting down")


def test_stopping_lets_what_runs_finish(server: Server) -> None:
    served = server.start()
    with connect(served) as busy, connect(served) as idle:
        threading.Timer(0.3, lambda: served.call(served.gateway.stop)).start()
        assert busy.execute("SELECT pg_sleep(1), 1").fetchone() == ("", 1)
        with pytest.raises(psycopg.OperationalError):  # libpq reads the reason together with the answer, as a notice
            busy.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError) as caught:
            idle.execute("SELECT 1")
        assert caught.value.sqlstate == "57P01"
    with pytest.raises(psycopg.OperationalError):
        connect(served)
