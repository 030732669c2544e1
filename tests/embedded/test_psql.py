"""The real psql, against the real server."""

from __future__ import annotations

import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.embedded.psql import Message, Psql, parse_messages


@pytest.fixture
def psql(postgres: EmbeddedPostgres) -> Psql:
    return Psql(postgres.port, "postgres", {postgres.superuser: postgres.password})


def test_rows_come_as_text(psql: Psql) -> None:
    reply = psql.run("postgres", "SELECT 1 AS a, NULL AS b, E'x\\n\"y\",z' AS c UNION ALL SELECT 2, 'é', ''")
    assert reply.columns == ("a", "b", "c")
    assert reply.rows == (("1", "", 'x\n"y",z'), ("2", "é", ""))
    assert reply.error is None
    assert reply.seconds > 0


def test_no_rows(psql: Psql) -> None:
    reply = psql.run("postgres", "SELECT 1 AS a WHERE false")
    assert (reply.columns, reply.rows, reply.error) == (("a",), (), None)


def test_notices_of_several_lines_come_apart(psql: Psql) -> None:
    reply = psql.run(
        "postgres",
        "DO $$ BEGIN RAISE NOTICE E'SQL: SELECT 1\\nFROM t' USING DETAIL = 'model: m; rules', HINT = 'h'; "
        "RAISE NOTICE 'second'; END $$",
    )
    assert reply.notices == (
        Message("NOTICE", "00000", "SQL: SELECT 1\nFROM t", "model: m; rules", "h"),
        Message("NOTICE", "00000", "second"),
    )


@pytest.mark.parametrize(
    ("statement", "sqlstate", "text"),
    [
        ("SELECT 1/0", "22012", "division by zero"),
        ("SELECT * FROM nowhere", "42P01", 'relation "nowhere" does not exist'),
        ("SELECT pg_sleep(60)", "57014", "psql had no answer within 0.5 s"),
    ],
)
def test_errors(psql: Psql, statement: str, sqlstate: str, text: str) -> None:
    reply = psql.run("postgres", statement, timeout=0.5 if "sleep" in statement else 30)
    assert reply.error == Message("ERROR", sqlstate, text)
    assert reply.rows == ()


def test_a_login_that_fails_is_an_error_too(psql: Psql) -> None:
    error = psql.run("somebody", "SELECT 1").error
    assert error is not None
    assert "no password supplied" in error.text


def test_the_servers_words_about_a_failed_login() -> None:
    said = 'psql: error: connection to server at "127.0.0.1", port 1 failed: FATAL:  no entry for somebody\n'
    assert parse_messages(said) == (Message("FATAL", "", "no entry for somebody"),)


def test_other_lines_are_dropped() -> None:
    assert parse_messages("Timing is on.\n") == ()
