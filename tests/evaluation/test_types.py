"""Values of PostgreSQL's types: each equals itself, and PostgreSQL's ``=`` is ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.evaluation.tables import Table, equal, table
from nlsql_gateway.server.client import connected

VALUES = [
    "true", "1::smallint", "1::bigint", "1.50::numeric", "'NaN'::numeric", "'Infinity'::numeric", "1e300::numeric",
    "1.5::real", "'NaN'::float8", "'-Infinity'::float8", "'1.5'::money", "'a'::text", "'a'::char(3)", "'a'::\"char\"",
    "'\\x01'::bytea", "date '2024-02-29'", "date 'infinity'", "timestamp '2024-02-29 12:00'", "timestamp '-infinity'",
    "timestamptz '2024-02-29 12:00+02'", "time '12:00'", "timetz '12:00+02'", "interval '1 month 2 days'",
    "'{\"a\": [1]}'::json", "'{\"a\": [1]}'::jsonb", "uuid '6fdc8f4c-64f5-4a1c-9a5e-8a3e4c7b6d10'",
    "inet '10.0.0.1/8'", "cidr '10.0.0.0/8'", "macaddr '08:00:2b:01:02:03'", "B'101'", "to_tsvector('a b')",
    "int4range(1, 5)", "point '(1,2)'", "box '(1,1,0,0)'", "path '((0,0),(1,1))'", "polygon '((0,0),(1,1),(1,0))'",
    "circle '((0,0),1)'", "line '{1,2,3}'", "array[1, 2, NULL]", "array[array[1.5, 2]]", "array[]::text[]",
    "row(1, 'a', NULL)", "array[row(1, now() - now())]", "'pg_class'::regclass", "pg_lsn '0/1'", "NULL",
    "int4multirange(int4range(1, 5))", "name 'a'", "1::oid",
]  # fmt: skip

SAME = [
    ("1", "1.0::numeric"), ("2::bigint", "2::float8"), ("date '2024-02-29'", "timestamp '2024-02-29 00:00'"),
    ("date_trunc('month', date '2024-02-29')", "timestamptz '2024-02-01 00:00+00'"),
    ("'NaN'::numeric", "'NaN'::float8"),
    ("array[1, 2]", "array[1.0, 2.0]"), ("1 / 3.0", "(1 / 3::float8)"), ("count(*)", "sum(1)"),
    ("'a'::varchar", "'a'::text"), ("0::float8", "-0.0::float8"), ("sum(0.1::float8)", "0.1::numeric"),
]  # fmt: skip

OTHER = [
    ("1", "true"), ("1", "'1'"), ("NULL", "0"), ("NULL", "''"), ("1 / 3", "1 / 3.0"), ("'a'", "'A'"),
    ("date '2024-02-29'", "'2024-02-29'::text"), ("array[1, 2]", "array[2, 1]"), ("1::numeric", "interval '1 second'"),
    ("now()::date", "now()::date + 1"), ("'{}'::jsonb", "'[]'::jsonb"),
]  # fmt: skip


def fetched(postgres: EmbeddedPostgres, queries: Sequence[str]) -> list[Table]:
    async def main() -> list[Table]:
        async with connected(
            host=postgres.host,
            port=postgres.port,
            user=postgres.superuser,
            password=postgres.password,
            database="postgres",
            timeout=20,
            timezone="UTC",
        ) as connection:
            replies = [await connection.fetch(query, timeout=20) for query in queries]
        return [table(len(reply.columns), reply.rows) for reply in replies]

    return asyncio.run(main())


def test_every_type_equals_itself_and_not_null(postgres: EmbeddedPostgres) -> None:
    queries = [f"SELECT {value} AS v" for value in VALUES]
    null = table(1, [(None,)])
    for value, once, again in zip(VALUES, fetched(postgres, queries), fetched(postgres, queries), strict=True):
        assert equal(once, again), value
        assert equal(once, null) == (value == "NULL"), value


@pytest.mark.parametrize(("pairs", "same"), [(SAME, True), (OTHER, False)])
def test_pairs(postgres: EmbeddedPostgres, pairs: list[tuple[str, str]], same: bool) -> None:
    for pair in pairs:
        one, other = fetched(postgres, [f"SELECT {value} AS v" for value in pair])
        assert equal(one, other) == equal(other, one) == same, pair


@pytest.mark.parametrize("value", ["date '0044-03-15 BC'", "timestamp '20000-01-01'"])
def test_what_python_has_no_value_for(postgres: EmbeddedPostgres, value: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        fetched(postgres, [f"SELECT {value}"])
    assert caught.value.sqlstate == "22000"
