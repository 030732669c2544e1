"""One client's large statement is read while the others' are answered."""

from __future__ import annotations

import threading

import psycopg
import pytest

from tests.e2e.harness import RunningGateway

CONDITIONS = " OR ".join(f"(customer_id = {number} AND name = 'n{number}')" for number in range(3000))


def test_others_are_answered_meanwhile(gateway: RunningGateway) -> None:
    answered_before = 0
    done = threading.Event()
    rows: list[tuple[int]] = []

    def large() -> None:
        with psycopg.connect(gateway.conninfo("emil"), autocommit=True) as connection:
            begun.set()
            rows.extend(connection.execute(f"SELECT count(*) FROM customers WHERE {CONDITIONS}").fetchall())
            done.set()

    begun = threading.Event()
    thread = threading.Thread(target=large)
    thread.start()
    with psycopg.connect(gateway.conninfo("ada"), autocommit=True) as connection:
        assert begun.wait(30)
        while not done.is_set():
            assert connection.execute("SELECT count(*) FROM regions").fetchone() is not None
            answered_before += 1
    thread.join()
    assert rows == [(0,)]
    assert answered_before > 3, "they had to wait for the large one"


def test_a_large_statement_can_be_cancelled_while_it_is_read(gateway: RunningGateway) -> None:
    with psycopg.connect(gateway.conninfo("emil"), autocommit=True) as connection:
        timer = threading.Timer(0.1, connection.cancel_safe)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(
                f"SELECT count(*) FROM customers WHERE ({CONDITIONS}) OR ({CONDITIONS}) OR ({CONDITIONS})"
            )
        timer.join()
        assert connection.execute("SELECT count(*) FROM customers WHERE customer_id < 0").fetchone() == (0,)


def test_it_is_prepared_with_parameters_and_runs_in_a_pipeline(gateway: RunningGateway) -> None:
    text = f"SELECT count(*) FROM customers WHERE customer_id = %s OR {CONDITIONS}"
    with psycopg.connect(gateway.conninfo("ada"), autocommit=True) as connection, connection.pipeline():
        cursors = [connection.execute(text, (number,), prepare=True) for number in (1, 2, 10**6)]
        small = connection.execute("SELECT 7")
        assert [cursor.fetchone() for cursor in cursors] == [(1,), (1,), (0,)]
        assert small.fetchone() == (7,)
