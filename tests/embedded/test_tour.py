"""When an answer of the tour counts as right; and that no step holds by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.embedded.psql import Psql, Rows
from nlsql_gateway.embedded.tour import ANALYST, REGIONAL, Asked, Tour, load, same_rows

GOLD: Rows = (("East", "12.5"), ("West", "3"))


@pytest.mark.parametrize(
    ("answer", "ordered", "right"),
    [
        (GOLD, True, True),
        ((("West", "3"), ("East", "12.50")), False, True),
        ((("West", "3"), ("East", "12.50")), True, False),
        ((("12.500", "East"), ("3.00", "West")), True, True),
        ((("1", "East", "12.5"), ("2", "West", "3")), True, True),
        ((("East", "12.501"), ("West", "2.9996")), True, True),
        ((("East", "12.51"), ("West", "3")), True, False),
        ((("East", "12.5"),), True, False),
        ((("East", "12.5"), ("West", "3"), ("West", "3")), False, False),
        ((("East",), ("West",)), True, False),
        ((), True, False),
    ],
)
def test_same_rows(answer: Rows, ordered: bool, right: bool) -> None:
    assert same_rows(answer, GOLD, ordered=ordered) is right


def test_no_rows_are_the_same_as_no_rows() -> None:
    assert same_rows((), (), ordered=False)


def test_a_day_is_a_timestamp_at_midnight() -> None:
    assert same_rows((("2026-01-01 00:00:00+00",),), (("2026-01-01",),), ordered=True)
    assert not same_rows((("2026-01-01 00:00:01",),), (("2026-01-01",),), ordered=True)


def test_a_very_wide_answer_is_not_compared() -> None:
    assert not same_rows((tuple("abcdefghij"),), (("a",),), ordered=True)


def test_without_a_gateway_between_no_step_holds(postgres: EmbeddedPostgres) -> None:
    postgres.execute("CREATE DATABASE unguarded")
    postgres.execute(
        """CREATE TABLE regions (region_id int, name text); INSERT INTO regions VALUES (1, 'North'), (2, 'West');
        CREATE TABLE employees (salary int); INSERT INTO employees VALUES (100);
        CREATE TABLE customers (customer_id int, name text, email text, phone text, city text, region_id int);
        INSERT INTO customers VALUES (1, 'Ann', 'ann@example.com', '555', 'Chicago', 1)""",
        "unguarded",
    )
    for name in (ANALYST, *REGIONAL):
        postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'known'")
    postgres.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ANALYST}", "unguarded")
    tour = Tour(
        gateway=Psql(postgres.port, "unguarded", dict.fromkeys((ANALYST, *REGIONAL), "known")),
        direct=Psql(postgres.port, "unguarded", {"postgres": postgres.password}),
        direct_user="postgres",
        questions=(Asked("how many customers are there?", "SELECT count(*) FROM customers"),),
        verify=lambda: (False, "record 2 was altered"),
    )
    failures = {step.title.split(":")[0]: step.take().failure for step in tour.steps()}
    assert failures == {
        "anna asks": "no NOTICE says which SQL was run",
        "anna tries to write": "it was not refused with 25006",
        "nora asks": "no NOTICE says which SQL was run",
        "wes asks": "no NOTICE says which SQL was run",
        "anna reads personal data": "an address or a number was shown in clear",
        "audit verify": "the audit log is not whole",
    }


def test_a_tour_file(tmp_path: Path) -> None:
    file = tmp_path / "tour.yaml"
    file.write_text("questions:\n  - question: How many?\n    sql: SELECT 1\n")
    assert load(file) == (Asked("How many?", "SELECT 1"),)
