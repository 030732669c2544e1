"""What the planner knows of hidden rows: it tries operators on values of pg_statistic, and their errors came through.

Found here: ``region LIKE '%U\\'`` fails on 'US' and on nothing that eva sees. PostgreSQL's own row security was mended
against the like of it as CVE-2017-7484, CVE-2019-10130 and CVE-2025-8713.
"""

from __future__ import annotations

import pytest

from tests.attacks.house import House

TELLING = [
    "region LIKE '%U\\'",
    "region NOT LIKE '%U\\'",
    "region ILIKE '%u\\'",
    "region NOT ILIKE '%u\\'",
    "region LIKE '%U#' ESCAPE '#'",
    "region ~~ '%U\\'",
    "region OPERATOR(pg_catalog.~~) '%U\\'",
    "region LIKE ANY (ARRAY['%U\\', 'x'])",
    "like(region, '%U\\')",
    "textlike(region, '%U\\')",
    "texticlike(region, '%u\\')",
    "notlike(region, '%U\\')",
    "region::varchar LIKE '%U\\'",
    "region COLLATE \"C\" LIKE '%U\\'",
    "region::bytea LIKE decode('2555', 'hex')",
    "(SELECT region) LIKE '%U\\'",
    "region > '' AND (region LIKE '%U\\' OR region = 'x')",
    "CASE WHEN region LIKE '%U\\' THEN true END",
]
AROUND = [
    "SELECT count(*) FROM customers WHERE {}",
    "SELECT count(*) FROM customers c JOIN orders o ON c.id = o.customer_id WHERE {}",
    "SELECT count(*) FROM (SELECT id, region FROM customers) x WHERE {}",
    "WITH x AS NOT MATERIALIZED (SELECT id, region FROM customers) SELECT count(*) FROM x WHERE {}",
    "SELECT count(*) FROM events WHERE {}",
    "SELECT count(*) FROM events_us WHERE {}",
    "SELECT id FROM customers GROUP BY id, region HAVING {}",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1 FROM customers WHERE {}",
    "PREPARE likes AS SELECT 1 FROM customers WHERE {}; EXECUTE likes; DEALLOCATE likes",
    "COPY (SELECT 1 FROM customers WHERE {}) TO STDOUT",
]


def test_the_case_means_something(house: House) -> None:
    """The planner does fail on such a pattern where nothing keeps the statistics back."""
    fence = "(SELECT id, region FROM customers WHERE region = 'EU' OFFSET 0) customers"
    with pytest.raises(Exception, match="must not end with escape"):
        house.outside.execute(f"SELECT count(*) FROM {fence} WHERE region LIKE '%U\\'")


@pytest.mark.parametrize("condition", TELLING)
def test_no_error_out_of_the_statistics(house: House, condition: str) -> None:
    with house.client("eva") as wire:
        for around in AROUND:
            answer = wire.simple(around.format(condition))
            wire.simple("CLOSE ALL")
            assert answer.states in ([], ["0A000"]), (around, answer.replies)
            assert not answer.states or answer.ours


def test_a_pattern_that_is_a_parameter(house: House) -> None:
    """Its value is known when the statement is planned."""
    with house.client("eva") as wire:
        assert wire.simple("PREPARE p(text) AS SELECT count(*) FROM customers WHERE region LIKE $1").states == []
        assert wire.simple("EXECUTE p('%U\\')").states == []


def test_values_stay_what_they_are(house: House) -> None:
    """Same rows, types and names with what is veiled."""
    with house.client("eva") as wire:
        plain = wire.simple("SELECT * FROM customers WHERE id < 100 ORDER BY id")
        veiled = wire.simple("SELECT * FROM customers WHERE id < 100 AND name LIKE '%' ORDER BY id")
        assert [body for kind, body in plain.replies if kind == "D"] == [
            body for kind, body in veiled.replies if kind == "D"
        ]
