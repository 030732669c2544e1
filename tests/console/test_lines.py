"""Lines: connections at the gateway come and go, and the page says so."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.console.browser import Browser, words
from tests.console.conftest import DATABASE, Consoles, House
from tests.console.test_asking import run


def running(postgres: EmbeddedPostgres, statement: str) -> bool:
    """Whether PostgreSQL runs it."""
    found = postgres.execute(
        f"SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%{statement}%'"
        " AND pid <> pg_backend_pid()"
    )
    return int(found) > 0


def test_a_lost_connection_is_opened_again(ada: Browser, postgres: EmbeddedPostgres) -> None:
    page = run(ada, "SELECT 'first'")
    tab = re.search(r'name="tab" value="([^"]*)"', page.text)
    assert tab
    postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{DATABASE}'")
    time.sleep(0.2)
    assert "second" in words(run(ada, "SELECT 'second' AS x", tab=tab[1]).text)


def test_signing_out_ends_what_runs(consoles: Consoles, postgres: EmbeddedPostgres) -> None:
    ada = consoles.start().sign_in("ada")
    ada.post(f"/d/{DATABASE}/run", statement="SELECT count(*) AS signed_out FROM generate_series(1, 100000000000) AS n")
    until(lambda: running(postgres, "AS signed_out FROM"))
    ada.post("/sign-out")
    until(lambda: not running(postgres, "AS signed_out FROM"))


def test_more_tabs_than_connections(ada: Browser, house: House, postgres: EmbeddedPostgres) -> None:
    for number in range(13):
        assert str(number) in words(run(ada, f"SELECT {number} AS n", tab=f"tab{number}").text)
    until(lambda: connections(postgres) <= 13)


def connections(postgres: EmbeddedPostgres) -> int:
    found = postgres.execute(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{DATABASE}'")
    return int(found)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
