"""Averages, weekdays and durations: what is put right, what stays byte for byte, and that PostgreSQL agrees."""

from __future__ import annotations

import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.sql.habits import settle
from nlsql_gateway.sql.measures import Unit, in_units, unit_of
from tests.ask.shop import catalog, table

TRIPS = catalog(table("trips", "id integer, out timestamp, back timestamp, day date, litres numeric, price numeric"))


@pytest.mark.parametrize(
    ("sql", "settled"),
    [
        (
            "SELECT AVG(price) / NULLIF(SUM(litres), 0) FROM trips",
            "SELECT SUM(price) / NULLIF(SUM(litres), 0) FROM trips",
        ),
        (
            "SELECT 100.0 * AVG(price) / COUNT(DISTINCT day) FROM trips",
            "SELECT 100.0 * SUM(price) / NULLIF(COUNT(DISTINCT day), 0) FROM trips",
        ),
        (
            "SELECT id FROM trips WHERE EXTRACT(DOW FROM day) = 6 OR EXTRACT(DOW FROM day) = 7",
            "SELECT id FROM trips WHERE EXTRACT(ISODOW FROM day) = 6 OR EXTRACT(ISODOW FROM day) = 7",
        ),
        (
            "SELECT id FROM trips WHERE EXTRACT(DOW FROM day) IN (6, 7)",
            "SELECT id FROM trips WHERE EXTRACT(ISODOW FROM day) IN (6, 7)",
        ),
        (
            "SELECT AVG(EXTRACT(HOUR FROM back - out)) FROM trips",
            "SELECT AVG(EXTRACT(EPOCH FROM back - out) / 3600) FROM trips",
        ),
        (
            "SELECT EXTRACT(MINUTE FROM AVG(back - out)) FROM trips",
            "SELECT EXTRACT(EPOCH FROM AVG(back - out)) / 60 FROM trips",
        ),
    ],
)
def test_what_is_put_right(sql: str, settled: str) -> None:
    assert settle(sql, TRIPS) == settled


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT AVG(price / NULLIF(litres, 0)) FROM trips",
        "SELECT AVG(price) / 2 FROM trips",
        "SELECT SUM(price) / NULLIF(AVG(litres), 0) FROM trips",
        "SELECT id FROM trips WHERE EXTRACT(DOW FROM day) IN (0, 6)",
        "SELECT id FROM trips WHERE EXTRACT(DOW FROM day) IN (0, 7)",
        "SELECT id FROM trips WHERE EXTRACT(DOW FROM day) = 6 AND id = 7",
        "SELECT EXTRACT(HOUR FROM out) FROM trips",
        "SELECT EXTRACT(DAY FROM back - out) FROM trips",
    ],
)
def test_what_stays(sql: str) -> None:
    assert settle(sql, TRIPS) == sql


@pytest.mark.parametrize(
    ("question", "unit"),
    [
        ("Mean duration in minutes?", "minute"),
        ("How many hours does a trip take?", "hour"),
        ("the number of days between them", "day"),
        ("trips in days or in hours", None),
        ("trips of the last 30 days", None),
    ],
)
def test_the_unit_asked_for(question: str, unit: Unit | None) -> None:
    assert unit_of(question) == unit


@pytest.mark.parametrize(
    ("sql", "unit", "shown"),
    [
        (
            "SELECT AVG(back - out) * 60 AS minutes FROM trips",
            "minute",
            "SELECT EXTRACT(EPOCH FROM AVG(back - out)) / 60 AS minutes FROM trips",
        ),
        (
            "SELECT id, (back - out) FROM trips ORDER BY back - out",
            "hour",
            "SELECT id, EXTRACT(EPOCH FROM back - out) / 3600 FROM trips ORDER BY back - out",
        ),
        ("SELECT day - day FROM trips", "day", "SELECT day - day FROM trips"),
        ("SELECT COUNT(*) FROM trips", "hour", "SELECT COUNT(*) FROM trips"),
    ],
)
def test_durations_are_shown_in_the_unit(sql: str, unit: Unit, shown: str) -> None:
    assert in_units(sql, unit, TRIPS) == shown


def test_postgres_gives_what_was_asked_for(postgres: EmbeddedPostgres) -> None:
    rows = (
        "WITH trips AS (SELECT * FROM (VALUES (timestamp '2026-01-01 10:00', timestamp '2026-01-02 12:30', 8.0, 2.0),"
        " ('2026-01-03 00:00', '2026-01-03 01:30', 4.0, 2.0)) AS t(out, back, price, litres)) "
    )
    for sql, expected in (
        (in_units("SELECT AVG(back - out) * 60 FROM trips", "minute", TRIPS), 840),
        (settle("SELECT EXTRACT(HOUR FROM MAX(back - out)) FROM trips", TRIPS), 26.5),
        (settle("SELECT AVG(price) / SUM(litres) FROM trips", TRIPS), 3),
    ):
        assert float(postgres.execute(rows + sql)) == expected
