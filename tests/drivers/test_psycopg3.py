"""psycopg 3: pipelines, cursors of both kinds, COPY, binary results, automatic preparing, notifications."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.types.json import Jsonb

from tests.e2e.harness import RunningGateway


def test_a_pipeline_is_read_in_order_and_fails_in_its_place(governed: RunningGateway) -> None:
    with psycopg.connect(governed.conninfo(), autocommit=True) as connection:
        with connection.pipeline() as pipeline:
            cursors = [connection.execute("SELECT %s::int * 2", [number]) for number in range(50)]
            pipeline.sync()
            assert [cursor.fetchone() for cursor in cursors] == [(number * 2,) for number in range(50)]
        with connection.pipeline() as pipeline:
            first = connection.execute("SELECT 1")
            with pytest.raises(errors.InsufficientPrivilege):  # noqa: PT012 - wherever the client happens to read it
                connection.execute("SELECT salary FROM employees")
                connection.execute("SELECT 2")
                pipeline.sync()
            assert first.fetchone() == (1,)
        assert connection.execute("SELECT 3").fetchone() == (3,)


def test_statements_prepare_themselves_and_are_masked_all_the_same(governed: RunningGateway) -> None:
    with psycopg.connect(governed.conninfo(), prepare_threshold=2) as connection:
        for number in range(1, 8):
            row = connection.execute("SELECT email FROM customers WHERE customer_id = %s", [number]).fetchone()
            assert row is not None
            assert "***@***" in row[0]
        assert connection._prepared._names


@pytest.mark.parametrize("scrollable", [None, True, False])
def test_a_server_side_cursor(governed: RunningGateway, scrollable: bool | None) -> None:
    with (
        psycopg.connect(governed.conninfo()) as connection,
        connection.cursor("mine", scrollable=scrollable) as cursor,
    ):
        cursor.itersize = 10
        cursor.execute("SELECT product_id FROM products ORDER BY 1 LIMIT 45")
        assert len(cursor.fetchmany(7)) == 7
        assert len(list(cursor)) == 38
        if scrollable:
            cursor.scroll(0, mode="absolute")
            assert len(cursor.fetchall()) == 45


def test_a_cursor_with_hold_outlives_its_transaction(governed: RunningGateway) -> None:
    with psycopg.connect(governed.conninfo()) as connection:
        cursor = connection.cursor("held", withhold=True)
        cursor.execute("SELECT product_id FROM products ORDER BY 1 LIMIT 5")
        connection.commit()
        assert len(cursor.fetchall()) == 5
        cursor.close()


def test_rows_are_streamed_one_by_one(governed: RunningGateway) -> None:
    with psycopg.connect(governed.conninfo()) as connection, connection.cursor() as cursor:
        assert sum(1 for _ in cursor.stream("SELECT product_id FROM products LIMIT 60")) == 60


@pytest.mark.parametrize("form", ["TEXT", "CSV", "BINARY"])
def test_copy_out(governed: RunningGateway, form: str) -> None:
    query = sql.SQL("COPY (SELECT customer_id, email FROM customers ORDER BY 1 LIMIT 5) TO STDOUT (FORMAT {})")
    with psycopg.connect(governed.conninfo()) as connection, connection.cursor() as cursor:
        with cursor.copy(query.format(sql.SQL(form))) as copy:
            data = b"".join(bytes(part) for part in copy)
        assert data.count(b"***@***") == 5
        assert (data[:6] == b"PGCOPY") is (form == "BINARY")


def test_copy_in_is_refused_and_the_connection_stays(governed: RunningGateway) -> None:
    with psycopg.connect(governed.conninfo(), autocommit=True) as connection:
        copy = connection.cursor().copy("COPY customers FROM STDIN")
        with pytest.raises(errors.ReadOnlySqlTransaction):
            copy.__enter__()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_binary_results(governed: RunningGateway) -> None:
    with psycopg.connect(governed.conninfo()) as connection:
        row = connection.execute(
            "SELECT 7::int8, 1.50::numeric, '2026-01-02'::date, ARRAY[1, 2], '{\"a\": [1]}'::jsonb, NULL::text, email"
            " FROM customers LIMIT 1",
            binary=True,
        ).fetchone()
    assert row is not None
    assert str(row[:4]) == "(7, Decimal('1.50'), datetime.date(2026, 1, 2), [1, 2])"
    assert row[4:6] == ({"a": [1]}, None)
    assert "***@***" in row[6]


def test_a_refusal_in_a_transaction_leaves_it_failed(governed: RunningGateway) -> None:
    with psycopg.connect(governed.conninfo()) as connection:
        with pytest.raises(errors.ReadOnlySqlTransaction):
            connection.execute("DELETE FROM customers")
        assert connection.info.transaction_status is psycopg.pq.TransactionStatus.INERROR
        with pytest.raises(errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.rollback()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_everything_works_where_the_policy_passes(passing: RunningGateway, table: str) -> None:
    with psycopg.connect(passing.conninfo()) as connection:
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO things VALUES (%s, %s)", [(number, "x") for number in range(200, 260)])
            with cursor.copy("COPY things FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["int4", "text"])
                for number in range(300, 400):
                    copy.write_row((number, "copied"))
        with connection.transaction(), connection.pipeline():
            for number in range(100):
                connection.execute("UPDATE things SET name = 'piped' WHERE id = %s", [number])
        assert connection.execute("SELECT count(*) FROM things WHERE name = 'piped'").fetchone() == (99,)
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (260,)
        kept = connection.execute("SELECT %s::jsonb", [Jsonb({"a": 1})], prepare=True).fetchone()
        assert kept == ({"a": 1},)


def test_notifications_arrive_while_idle(passing: RunningGateway) -> None:
    with (
        psycopg.connect(passing.conninfo(), autocommit=True) as listener,
        psycopg.connect(passing.conninfo(), autocommit=True) as speaker,
    ):
        listener.execute("LISTEN news")
        speaker.execute("NOTIFY news, 'first'")
        speaker.execute("SELECT pg_notify('news', 'second')")
        heard = [notify.payload for notify in listener.notifies(timeout=20, stop_after=2)]
    assert heard == ["first", "second"]


def test_two_phase_commit_is_the_policys_matter(governed: RunningGateway) -> None:
    with psycopg.connect(governed.conninfo(), autocommit=True) as connection:
        with pytest.raises(errors.ReadOnlySqlTransaction):
            connection.execute("PREPARE TRANSACTION 'mine'")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("LISTEN news")
