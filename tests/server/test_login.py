"""PROTOCOL: the startup message and what a client is told before ReadyForQuery, with bare messages and real clients."""

from __future__ import annotations

import struct
import subprocess
import threading

import psycopg
import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres, psql_path
from nlsql_gateway.policy import load
from nlsql_gateway.wire.messages import parse_fault
from tests.server.conftest import Served, Server
from tests.server.raw import Raw, query, startup


def raw(served: Served) -> Raw:
    return Raw("127.0.0.1", served.port)


def test_parameters_are_the_upstreams_and_the_key_is_ours(served: Served, postgres: EmbeddedPostgres) -> None:
    """Checklist: ParameterStatus: server_version and all others: the REAL upstream values, DateStyle among them.

    BackendKeyData: mint our own. ReadyForQuery I.
    """
    with raw(served) as client, Raw(postgres.host, postgres.port) as direct:
        client.login(application_name="test", DateStyle="German")
        direct.login("postgres", postgres.password, application_name="test", DateStyle="German")
        assert client.parameters == direct.parameters
        assert {"server_version", "server_encoding", "is_superuser", "search_path"} <= set(client.parameters)
        assert client.status == direct.status == b"I"
        client.send(query("SELECT pg_backend_pid()"))
        assert len(client.key) == 8
        assert str(struct.unpack("!i", client.key[:4])[0]).encode() not in client.until("Z")[1][1]


def test_trust_asks_for_nothing(server: Server) -> None:
    served = server.start(trust=True)
    with psycopg.connect(served.conninfo(user="anybody", password="unasked")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_database_that_does_not_exist_is_the_upstreams_own_error(served: Served) -> None:
    with raw(served) as client, pytest.raises(AssertionError, match="3D000"):
        client.login(database="nowhere")


def test_an_encoding_that_the_gateway_cannot_read_is_refused(served: Served) -> None:
    with raw(served) as client, pytest.raises(AssertionError, match="client_encoding = LATIN1"):
        client.login(client_encoding="LATIN1")
    with raw(served) as client:  # what libpq sends in a C locale
        assert client.login(client_encoding="SQL_ASCII").parameters["client_encoding"] == "UTF8"


def test_an_encoding_that_is_changed_later_ends_the_connection(served: Served) -> None:
    for setting in ("client_encoding = latin1", "standard_conforming_strings = off"):
        with raw(served) as client:
            client.login().send(query(f"SET {setting}"))
            fields = client.error()
            assert (fields["S"], fields["C"]) == ("FATAL", "08P01")
            assert client.is_closed()


def test_the_database_is_the_user_s_name_by_default(served: Served) -> None:
    """Checklist: params: user (required), database (defaults to user)."""
    with raw(served) as client:
        client.send(startup(0, {"user": "ada"}))
        with pytest.raises(AssertionError, match='database "ada" does not exist'):
            client.answer()
    for parameters in ({"database": "postgres"}, {"user": "", "database": "postgres"}):
        with raw(served) as client:
            client.send(startup(0, parameters))
            fields = client.error()
            assert (fields["S"], fields["V"], fields["C"]) == ("FATAL", "FATAL", "28000")
            assert fields["M"] == "no PostgreSQL user name specified in startup packet"


# Which startup parameters

GOVERNED = load("version: 1\nname: governed\n", "governed.yaml")


def test_startup_parameters_go_by_the_table_of_set(server: Server) -> None:
    """Checklist: application_name, client_encoding, DateStyle, TimeZone, extra_float_digits, statement_timeout."""
    served = server.start(policy=GOVERNED)
    with raw(served) as client:
        client.login(
            application_name="pgjdbc", client_encoding="UTF8", DateStyle="ISO", TimeZone="Europe/Berlin",
            extra_float_digits="2", statement_timeout="5s", options="-c IntervalStyle=iso_8601",
        )  # fmt: skip
        assert client.parameters["application_name"] == "pgjdbc"
        assert client.parameters["DateStyle"] == "ISO, MDY"
        assert client.parameters["TimeZone"] == "Europe/Berlin"
        assert client.parameters["IntervalStyle"] == "iso_8601"
        assert client.parameters["default_transaction_read_only"] == "on"
        client.send(query("SHOW statement_timeout"))
        assert client.until("Z")[1][1].endswith(b"5s")
    for parameters in (
        {"role": "postgres"},
        {"search_path": "pg_temp"},
        {"options": "-c session_replication_role=replica"},
        {"options": "-c row_security=off"},
        {"options": "--default-transaction-read-only=off"},
        {"statement_timeout": "0"},
        {"options": "-Z"},
    ):
        with raw(served) as client, pytest.raises(AssertionError, match="'C': '42501'"):
            client.login("ada", "secret", "postgres", None, **parameters)


def test_an_unknown_startup_parameter_is_ignored_with_a_warning(server: Server) -> None:
    """Checklist: unknown ones: accept-and-ignore is what keeps JDBC/DBeaver working."""
    served = server.start(policy=GOVERNED)
    with raw(served) as client:
        client.login(ApplicationIntent="ReadOnly", work_mem="1GB", options="-c geqo=off")
        (notice,) = client.notices
        fields = parse_fault(notice).fields
        assert (fields["S"], fields["C"]) == ("WARNING", "01000")
        assert fields["M"] == "parameter ApplicationIntent, geqo, work_mem may not be set here and was ignored"
        client.send(query("SHOW work_mem"))
        assert client.until("Z")[1][1].endswith(b"4MB")


# Protocol 3.2


def test_libpq_speaks_3_2_and_cancels_with_its_long_key(server: Server) -> None:
    """Checklist: 3.0, 3.2: libpq 18's max_protocol_version=3.2, and latest."""
    served = server.start()
    for version in ("3.0", "3.2", "latest"):
        with psycopg.connect(served.conninfo(max_protocol_version=version), autocommit=True) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            with pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
                with_cancel(connection)


def with_cancel(connection: psycopg.Connection) -> None:
    """A statement of ten seconds, cancelled until it ends: the first request may come before it runs."""
    over = threading.Event()

    def cancel() -> None:
        while not over.wait(0.2):
            connection.cancel_safe()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    try:
        connection.execute("SELECT pg_sleep(10)")
    finally:
        over.set()
        canceller.join()


@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_psql_says_which_protocol_it_speaks(served: Served, version: str) -> None:
    """psql 18's \\conninfo has the line; libpq before 18 cannot ask for 3.2 at all."""
    done = subprocess.run(
        [psql_path(), "-XAt", served.conninfo(max_protocol_version=version), "-c", r"\conninfo"],
        capture_output=True, text=True, timeout=30, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"Protocol Version|{version}" in done.stdout
