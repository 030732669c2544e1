"""postgres/10-gateway-role.sql on a real server: the role reads tables, the later ones too, and does nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from nlsql_gateway.embedded.postgres import EmbeddedPostgres, psql_path

SCRIPT = Path(__file__).parents[2] / "deploy" / "postgres" / "10-gateway-role.sql"
PASSWORD = 'it\'s "a" $ecret `word`'
DATABASE = "deploy_role"


def _run_script(postgres: EmbeddedPostgres, folder: Path) -> None:
    secret = folder / "a password"
    secret.write_text(PASSWORD + "\n")
    command: list[str | Path] = [
        psql_path(),
        "-X",
        "-d",
        postgres.conninfo(DATABASE),
        "-v",
        f"password_file={secret}",
        "-f",
        SCRIPT,
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def connection(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[psycopg.Connection]:
    postgres.execute(f"CREATE DATABASE {DATABASE}")
    postgres.execute("CREATE TABLE before (a int); INSERT INTO before VALUES (1)", DATABASE)
    for _ in range(2):  # running it again does no harm
        _run_script(postgres, tmp_path_factory.mktemp("role"))
    postgres.execute("CREATE TABLE after (a int)", DATABASE)
    with psycopg.connect(
        host=postgres.host,
        port=postgres.port,
        dbname=DATABASE,
        user="nlsql_gateway",
        password=PASSWORD,
        autocommit=True,
    ) as opened:
        yield opened
    postgres.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    postgres.execute("DROP ROLE nlsql_gateway")


@pytest.mark.parametrize("table", ["before", "after"])
def test_reads_tables(connection: psycopg.Connection, table: str) -> None:
    connection.execute(f"SELECT count(*) FROM {table}")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO before VALUES (2)",
        "DELETE FROM before",
        "CREATE TABLE mine (a int)",
        "CREATE TEMPORARY TABLE mine (a int)",
        "CREATE ROLE other",
    ],
)
def test_does_not_write_even_where_it_turns_read_only_off(connection: psycopg.Connection, statement: str) -> None:
    with pytest.raises(errors.ReadOnlySqlTransaction):
        connection.execute(statement)
    connection.execute("SET default_transaction_read_only = off")
    try:
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement)
    finally:
        connection.execute("RESET default_transaction_read_only")


def test_has_no_power_and_no_membership(connection: psycopg.Connection) -> None:
    powers = connection.execute(
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
        " FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    assert powers == (False,) * 5
    count = connection.execute("SELECT count(*) FROM pg_auth_members WHERE member = current_user::regrole").fetchone()
    assert count == (0,)


def test_keeps_the_password_out_of_the_log(connection: psycopg.Connection, postgres: EmbeddedPostgres) -> None:
    assert "$ecret" not in postgres.log.read_text(errors="replace")
