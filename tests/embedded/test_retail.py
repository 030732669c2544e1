"""The demonstration database, loaded once into the real server."""

from __future__ import annotations

import re
import subprocess
from datetime import date, timedelta
from pathlib import Path

import pytest

from nlsql_gateway.embedded import retail
from nlsql_gateway.embedded.postgres import EmbeddedPostgres, psql_path

TODAY = date(2026, 3, 1)
PASSWORD = "it's secret"

FAULTS = re.findall(
    r"^-- (.*)\n((?:SELECT|WITH)[^;]*);", Path(__file__).with_name("retail_faults.sql").read_text(), re.MULTILINE
)


@pytest.fixture(scope="module")
def server(postgres: EmbeddedPostgres) -> EmbeddedPostgres:
    assert not retail.is_loaded(postgres, today=TODAY)
    seen: dict[str, int] = {}
    count = retail.load(postgres, today=TODAY, password=PASSWORD, progress=seen.__setitem__)
    assert sum(seen.values()) == count
    return postgres


def ask(server: EmbeddedPostgres, sql: str) -> str:
    return server.execute(sql, retail.DATABASE)


def test_the_same_day_gives_the_same_rows() -> None:
    assert list(retail.tables(TODAY)) == list(retail.tables(TODAY))


def test_about_a_hundred_thousand_rows_in_ten_to_fifteen_tables() -> None:
    tables = list(retail.tables(TODAY))
    assert 10 <= len(tables) <= 15
    assert 95_000 < sum(len(table.rows) for table in tables) < 110_000


def test_knows_when_it_is_loaded_and_still_fresh(server: EmbeddedPostgres) -> None:
    assert retail.is_loaded(server, today=TODAY)
    assert retail.is_loaded(server, today=TODAY + retail.KEEP_FOR)
    assert not retail.is_loaded(server, today=TODAY + retail.KEEP_FOR + timedelta(1))
    assert not retail.is_loaded(server, today=TODAY - timedelta(1))


@pytest.mark.parametrize(("fault", "query"), FAULTS)
def test_holds_together(server: EmbeddedPostgres, fault: str, query: str) -> None:
    assert ask(server, f"SELECT count(*) FROM ({query}) found") == "0", fault


def test_looks_like_a_company(server: EmbeddedPostgres) -> None:
    monthly = ask(
        server,
        "SELECT sum(revenue) FILTER (WHERE extract(month FROM ordered_at) = 12) > 1.5 * avg(revenue) "
        "* count(*) / 12 FROM orders JOIN order_items USING (order_id)",
    )
    assert monthly == "t", "December is the best month"
    top = ask(
        server,
        "SELECT sum(r) FILTER (WHERE n <= 400) / sum(r) > 0.4 FROM (SELECT sum(revenue) r, row_number() OVER "
        "(ORDER BY sum(revenue) DESC) n FROM orders JOIN order_items USING (order_id) GROUP BY customer_id) x",
    )
    assert top == "t", "a tenth of the customers make a large part of the revenue"


def test_the_service_role_reads_and_does_nothing_else(server: EmbeddedPostgres) -> None:
    powers = "rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls"
    assert ask(server, f"SELECT {powers} FROM pg_roles WHERE rolname = 'gateway'") == "f|f|f|f|f"
    assert ask(server, "SELECT roleid FROM pg_auth_members WHERE member = 'gateway'::regrole") == ""
    conninfo = server.conninfo(retail.DATABASE, user=retail.ROLE, password=PASSWORD)

    def as_gateway(sql: str) -> subprocess.CompletedProcess[str]:
        command = [str(psql_path()), "-X", "-A", "-t", "-d", conninfo, "-c", sql]
        return subprocess.run(command, capture_output=True, text=True)

    assert as_gateway("SELECT count(*) FROM regions").stdout == "5\n"
    for forbidden in ("DELETE FROM regions", "CREATE TABLE t (n int)", "CREATE TEMP TABLE t (n int)"):
        assert "permission denied" in as_gateway(forbidden).stderr
