"""The mask ``bucket``: bounds as they are read, and what real PostgreSQL makes of every kind of value."""

from __future__ import annotations

import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.policy import load, masks
from nlsql_gateway.policy.model import ColumnMask, Pattern
from nlsql_gateway.sql import Column

NUMBERS = ("-10", "0", "1000", "5000")
DAYS = ("1990-01-01", "2000-01-01", "2010-01-01")


def expression(of: str, bounds: tuple[str, ...]) -> str:
    mask = ColumnMask(Pattern.parse("public.t"), "c", "bucket", bounds=masks.bounds(bounds))
    return masks.expression(mask, Column("c", of), "t.c")


@pytest.mark.parametrize(
    ("of", "bounds", "values", "shown"),
    [
        ("integer", NUMBERS, "-11 -10 -1 0 999 1000 2147483647 -2147483648", "- -10 -10 0 0 1000 5000 -"),
        ("smallint", ("0", "100", "99999"), "-1 0 100 32767", "- 0 100 100"),
        ("bigint", NUMBERS, "9223372036854775807 -9223372036854775808 4999", "5000 - 1000"),
        ("numeric", NUMBERS, "-10.001 -0.5 999.999 NaN Infinity -Infinity 1e100", "- -10 0 5000 5000 - 5000"),
        ("numeric(6,2)", ("0", "0.05", "9999.99", "10000"), "-9999.99 0.04 0.05 9999.99 NaN",
         "- 0.00 0.05 9999.99 9999.99"),
        ("double precision", NUMBERS, "-1e300 -0 0.1 NaN Infinity -Infinity 1e308", "- 0 0 5000 5000 - 5000"),
        ("real", ("0.5", "1e30"), "0.4 0.5 1e30 NaN -Infinity", "- 0.5 1e+30 1e+30 -"),
        ("date", DAYS, "1989-12-31 1990-01-01 2009-12-31 2026-02-03 infinity -infinity",
         "- 1990-01-01 2000-01-01 2010-01-01 2010-01-01 -"),
        ("timestamp without time zone", DAYS, "1999-12-31T23:59:59.999999 2000-01-01T00:00 infinity -infinity",
         "1990-01-01T00:00:00 2000-01-01T00:00:00 2010-01-01T00:00:00 -"),
        ("timestamp(3) with time zone", DAYS, "2000-01-01T00:30+01 2000-01-01T01:00+01 infinity",
         "1990-01-01T00:00:00+00 2000-01-01T00:00:00+00 2010-01-01T00:00:00+00"),
    ],
)  # fmt: skip
def test_on_a_real_server(
    postgres: EmbeddedPostgres, of: str, bounds: tuple[str, ...], values: str, shown: str
) -> None:
    text = expression(of, bounds)
    rows = ", ".join(f"({n}, '{value}'::{of})" for n, value in enumerate(values.split()))
    answered = postgres.execute(
        f"SET timezone = 'UTC'; SELECT pg_typeof({text}) = '{of}'::regtype,"
        f" COALESCE(replace(({text})::text, ' ', 'T'), '-') FROM (VALUES (-1, NULL), {rows}) AS t(n, c) ORDER BY n"
    )
    assert answered.split() == ["t|-", *(f"t|{value}" for value in shown.split())]


def test_the_clients_time_zone_does_not_move_the_bounds(postgres: EmbeddedPostgres) -> None:
    text = expression("timestamp with time zone", DAYS)
    told = {
        postgres.execute(
            f"SET timezone = '{zone}'; SELECT extract(epoch FROM {text})"
            " FROM (VALUES ('2000-01-01 00:30+00'::timestamptz)) AS t(c)"
        )
        for zone in ("UTC", "Asia/Tokyo", "America/Lima")
    }
    assert len(told) == 1


@pytest.mark.parametrize(
    ("of", "bounds"),
    [
        ("text", NUMBERS),
        ("integer", ("0.5",)),
        ("smallint", ("-99999", "0")),
        ("numeric(4,1)", ("0.25",)),
        ("numeric(4,1)", ("-1000", "0")),
        ("real", ("1e-40",)),
        ("integer", DAYS),
        ("date", NUMBERS),
        ("date", ("2000-01-01 12:00",)),
        ("daterange", DAYS),
        ("integer[]", NUMBERS),
        ("time without time zone", DAYS),
    ],
)
def test_bounds_that_are_no_values_of_the_type_hide_the_column(of: str, bounds: tuple[str, ...]) -> None:
    assert expression(of, bounds) == f"NULL::{of}"


@pytest.mark.parametrize(
    ("bounds", "fault"),
    [
        ("[3, 2]", "ascending"),
        ("[1, 1.0]", "ascending"),
        ("[1, 2000-01-01]", "all numbers, or all dates"),
        ("[NaN]", "20 digits"),
        ("[1e400]", "1e300"),
        ("[yes]", "valid string"),
        ("['2000-01-01 00:00+01']", "time zone"),
        ("[]", "at least 1"),
    ],
)
def test_faults_in_the_policy(bounds: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=rf"p.yaml:7: .*{fault}"):
        load(
            "version: 1\nname: x\nroles:\n  r:\n    read: public.t\n    masks:\n"
            f"      - {{columns: public.t.c, with: {{bucket: {{bounds: {bounds}}}}}}}\n",
            "p.yaml",
        )


def test_bounds_as_yaml_reads_them() -> None:
    policy = load(
        "version: 1\nname: x\nroles:\n  r:\n    masks:\n"
        "      - {columns: public.t.c, with: {bucket: {bounds: [0, 0.5, 1e3]}}}\n"
        "      - {columns: public.t.d, with: {bucket: {bounds: [2000-01-01, 2000-01-01 12:00:00]}}}\n",
        "p.yaml",
    )
    assert [[str(bound) for bound in mask.bounds] for mask in policy.roles["r"].masks] == [
        ["0", "0.5", "1E+3"],
        ["2000-01-01 00:00:00", "2000-01-01 12:00:00"],
    ]
