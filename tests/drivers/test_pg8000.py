"""pg8000: a driver in pure Python with its own reading of the protocol; both of its interfaces."""

from __future__ import annotations

import io

import pg8000.dbapi
import pg8000.native
import pytest

from tests.e2e.harness import PASSWORDS, RunningGateway


def target(gateway: RunningGateway) -> dict[str, object]:
    return {
        "user": "ada",
        "password": PASSWORDS["ada"],
        "host": "127.0.0.1",
        "port": gateway.port,
        "database": gateway.database,
    }


def test_a_governed_session(governed: RunningGateway) -> None:
    connection = pg8000.native.Connection(**target(governed))
    try:
        rows = connection.run("SELECT email FROM customers WHERE region_id = :region LIMIT 3", region=1)
        assert ["***@***" in email for (email,) in rows] == [True] * 3
        for text, sqlstate in (("SELECT salary FROM employees", "42501"), ("DELETE FROM customers", "25006")):
            with pytest.raises(pg8000.native.DatabaseError) as caught:
                connection.run(text)
            assert caught.value.args[0]["C"] == sqlstate
        prepared = connection.prepare("SELECT :number::int + 1")
        assert [prepared.run(number=number) for number in range(4)] == [[[number + 1]] for number in range(4)]
        prepared.close()
        out = io.BytesIO()
        connection.run("COPY (SELECT email FROM customers LIMIT 3) TO STDOUT", stream=out)
        assert out.getvalue().count(b"***@***") == 3
    finally:
        connection.close()


def test_an_open_session(passing: RunningGateway, table: str) -> None:
    connection = pg8000.dbapi.connect(**target(passing))
    try:
        cursor = connection.cursor()
        cursor.executemany("INSERT INTO things VALUES (%s, %s)", [(number, "x") for number in range(200, 230)])
        cursor.execute("COPY things FROM STDIN", stream=io.BytesIO(b"900\tcopied\n901\tcopied\n"))
        connection.commit()
        cursor.execute("SELECT count(*) FROM things")
        assert cursor.fetchone() == [132]
        cursor.execute("CREATE TEMP TABLE gone (a int)")
        connection.rollback()
        with pytest.raises(pg8000.dbapi.DatabaseError):
            cursor.execute("SELECT * FROM gone")
        connection.rollback()
    finally:
        connection.close()
