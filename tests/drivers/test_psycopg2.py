"""psycopg 2: the simple protocol only, values put into the text by the client."""

from __future__ import annotations

import io
import select

import psycopg2
import psycopg2.extras
import pytest
from psycopg2 import errors, extensions

from tests.e2e.harness import RunningGateway


def test_queries_masks_and_refusals(governed: RunningGateway) -> None:
    connection = psycopg2.connect(governed.conninfo())
    try:
        with connection, connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute("SELECT name, email FROM customers WHERE name <> %s LIMIT 3", ("O'Brien; --",))
            assert all("***@***" in row["email"] for row in cursor.fetchall())
        with pytest.raises(errors.ReadOnlySqlTransaction), connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO regions VALUES (9, 'x')")
        with pytest.raises(errors.InsufficientPrivilege), connection, connection.cursor() as cursor:
            cursor.execute("SELECT salary FROM employees")
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1; SELECT %s", ([1, 2],))
            assert cursor.fetchone() == ([1, 2],)
    finally:
        connection.close()


def test_a_named_cursor(governed: RunningGateway) -> None:
    connection = psycopg2.connect(governed.conninfo())
    try:
        with connection, connection.cursor("named", withhold=True) as cursor:
            cursor.itersize = 9
            cursor.execute("SELECT product_id FROM products ORDER BY 1 LIMIT 50")
            assert len(cursor.fetchmany(4)) == 4
            assert len(list(cursor)) == 46
    finally:
        connection.close()


def test_session_settings_and_reset(governed: RunningGateway) -> None:
    connection = psycopg2.connect(governed.conninfo(), options="-c statement_timeout=5s")
    try:
        connection.set_session(isolation_level="SERIALIZABLE", readonly=True, deferrable=True)
        with connection, connection.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            assert cursor.fetchone() == ("serializable",)
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("5s",)
        connection.reset()
        connection.set_session(readonly=False)  # BEGIN READ WRITE
        with pytest.raises(errors.ReadOnlySqlTransaction), connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


def test_copy_out(governed: RunningGateway) -> None:
    connection = psycopg2.connect(governed.conninfo())
    try:
        with connection, connection.cursor() as cursor:
            out = io.StringIO()
            cursor.copy_expert("COPY (SELECT email FROM customers LIMIT 4) TO STDOUT WITH CSV HEADER", out)
        lines = out.getvalue().splitlines()
        assert lines[0] == "email"
        assert ["***@***" in line for line in lines[1:]] == [True] * 4
    finally:
        connection.close()


def test_writes_copies_and_notifications_where_the_policy_passes(passing: RunningGateway, table: str) -> None:
    connection = psycopg2.connect(passing.conninfo())
    try:
        with connection, connection.cursor() as cursor:
            psycopg2.extras.execute_values(cursor, "INSERT INTO things VALUES %s", [(n, "x") for n in range(200, 450)])
            cursor.copy_from(io.StringIO("900\tcopied\n901\tcopied\n"), table)
            cursor.execute("SELECT count(*) FROM things")
            assert cursor.fetchone() == (352,)
        connection.set_isolation_level(extensions.ISOLATION_LEVEL_AUTOCOMMIT)
        with connection.cursor() as cursor:
            cursor.execute("LISTEN news")
            cursor.execute("NOTIFY news, 'hello'")
            connection.poll()
            if not connection.notifies:
                select.select([connection], [], [], 10)
                connection.poll()
            assert [notify.payload for notify in connection.notifies] == ["hello"]
    finally:
        connection.close()


def test_large_objects_by_function_call_are_refused(passing: RunningGateway) -> None:
    """psycopg2.lobject uses FunctionCall, which is refused under every policy; the connection goes on."""
    connection = psycopg2.connect(passing.conninfo())
    try:
        with pytest.raises(psycopg2.Error):
            connection.lobject(0, "wb")
        connection.rollback()
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
    finally:
        connection.close()
