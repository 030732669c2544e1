"""What BI tools send, statement by statement, under a governed policy: replays/*.yaml, whose sources they name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg import pq

from nlsql_gateway.embedded import retail
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e.harness import RunningGateway

REPLAYS = sorted((Path(__file__).parent / "replays").glob("*.yaml"))


@pytest.fixture(scope="module")
def secrets(upstream: EmbeddedPostgres) -> list[bytes]:
    """What the analyst ada may never see: everybody's address, telephone number and salary."""
    columns = {"email": "customers", "phone": "customers", "salary": "employees"}
    texts = [upstream.execute(f"SELECT {name} FROM {table}", retail.DATABASE) for name, table in columns.items()]
    return [line.encode() for text in texts for line in text.splitlines()]


@pytest.mark.parametrize("file", REPLAYS, ids=lambda file: file.stem)
def test_a_tool_gets_on(governed: RunningGateway, secrets: list[bytes], file: Path) -> None:
    shown = b""
    for statement, result in replayed(governed, "ada", file):
        check(result, statement)
        shown += b"\n".join(value for value in values(result) if value is not None)
    assert [secret for secret in secrets if secret in shown] == []


@pytest.mark.parametrize("file", REPLAYS, ids=lambda file: file.stem)
def test_a_tool_shows_no_other_region(governed: RunningGateway, upstream: EmbeddedPostgres, file: Path) -> None:
    """The same for a person with a row filter; how many rows come is then another matter."""
    elsewhere = upstream.execute(
        "SELECT c.email FROM customers c JOIN regions r USING (region_id) WHERE r.name <> 'East'", retail.DATABASE
    ).splitlines()
    results = [result for _, result in replayed(governed, "emil", file)]
    assert any(result.status == pq.ExecStatus.TUPLES_OK for result in results)
    shown = {value for result in results for value in values(result) if value is not None}
    assert [email for email in elsewhere if email.encode() in shown] == []


def replayed(gateway: RunningGateway, user: str, file: Path) -> Iterator[tuple[dict[str, Any], pq.abc.PGresult]]:
    """Each statement of ``file`` with its result."""
    replay: dict[str, Any] = yaml.safe_load(file.read_text())
    conninfo = psycopg.conninfo.make_conninfo(gateway.conninfo(user), **replay.get("parameters", {}))
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for statement in replay["statements"]:
            yield statement, send(connection.pgconn, replay["protocol"], statement)
            if connection.pgconn.transaction_status == pq.TransactionStatus.INERROR:
                connection.pgconn.exec_(b"ROLLBACK")


def send(connection: pq.abc.PGconn, protocol: str, statement: dict[str, Any]) -> pq.abc.PGresult:
    """In the protocol that the tool uses: simple; extended with results in text, or in binary. The last result."""
    text = statement["text"].encode()
    if protocol == "simple":
        return connection.exec_(text)
    parameters = [value.encode() for value in statement.get("parameters", [])]
    form = pq.Format.BINARY if protocol == "binary" else pq.Format.TEXT
    return connection.exec_params(text, parameters, result_format=form)


def check(result: pq.abc.PGresult, statement: dict[str, Any]) -> None:
    text = statement["text"]
    if "refused" in statement:
        sqlstate = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
        assert sqlstate == statement["refused"], f"{text}\n{result.status} {sqlstate} {message(result)}"
        assert statement["why"]
        return
    assert result.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK), f"{text}\n{message(result)}"
    if "tag" in statement:
        assert (result.command_status or b"").decode() == statement["tag"], text
    else:
        expected = statement["rows"]
        assert expected == "any" or (result.ntuples > 0 if expected == "some" else result.ntuples == expected), (
            f"{text}\n{result.ntuples} rows"
        )
    if "first" in statement:
        assert values(result)[: result.nfields] == [value.encode() for value in statement["first"]]


def message(result: pq.abc.PGresult) -> str:
    return (result.error_message or b"").decode()


def values(result: pq.abc.PGresult) -> list[bytes | None]:
    return [result.get_value(row, column) for row in range(result.ntuples) for column in range(result.nfields)]
