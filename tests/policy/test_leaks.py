"""leaks.py: the fence of a row filter stays where something could see a hidden row, and only there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
import yaml

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.policy import Allow, decide, load
from nlsql_gateway.server.catalog_reading import read
from nlsql_gateway.sql import Batch, Catalog, classify
from tests.policy.company import FIXTURES

CASES: list[dict[str, str]] = yaml.safe_load((FIXTURES / "leaks.yaml").read_text())
DATABASE = "policy_leaks"
FENCE = " OFFSET 0"
TABLES = """
CREATE TABLE places (place integer PRIMARY KEY, who text);
INSERT INTO places VALUES (1, 'eva'), (2, 'tim');
CREATE TABLE many (id integer PRIMARY KEY, n integer, wide bigint, note text, day date, place integer,
    c text COLLATE "C" DEFAULT 'a', p text COLLATE "POSIX" DEFAULT 'a');
INSERT INTO many SELECT i, i % 2, i, CASE i % 2 WHEN 0 THEN 'hidden' ELSE '1' END, '2024-06-01', 2 - i % 2
    FROM generate_series(1, 200) i;
CREATE TABLE other (id integer, n integer, note text, f double precision);
INSERT INTO other SELECT i, i, 'x', 1.7e308 FROM generate_series(1, 5) i;
INSERT INTO other VALUES (6, 5, 'x', 1.7e308);
CREATE VIEW bad AS SELECT id, n FROM other WHERE 1 / (n - n) = 1;
CREATE VIEW worse AS SELECT id FROM other WHERE 1 / (n - n) = 1;
CREATE VIEW halves AS SELECT id, 1 / n AS q, place FROM many;
CREATE TABLE computed (id integer, n integer, place integer, q integer GENERATED ALWAYS AS (1 / n) VIRTUAL);
ANALYZE;
"""
POLICY = """
version: 1
name: leaks
users: {eva: {roles: [r]}, lea: {roles: [plain]}, mia: {roles: [masked]}}
roles:
  r:
    read: [public.many, public.other, public.halves, public.computed, public.bad, public.worse]
    rows:
      - tables: [public.many, public.halves, public.computed]
        using: place IN (SELECT p.place FROM public.places AS p WHERE p.who = person.name)
  plain:
    read: [public.many, public.other, public.bad, public.worse]
    rows: [{tables: public.many, using: place = 1}]
  masked:
    read: [public.many]
    rows: [{tables: public.many, using: place = 1}]
    masks: [{columns: public.many.note, with: hash}]
hash_key: sixteen characters
"""


class Leaks:
    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self.policy = load(POLICY, "leaks.yaml")
        self.catalog = asyncio.run(self._catalog())

    def decided(self, sql: str, user: str = "eva") -> str:
        batch = classify(sql)
        assert isinstance(batch, Batch)
        decision = decide(batch.statements[0], self.policy.principal(user), self.catalog, self.policy)
        assert isinstance(decision, Allow), decision
        return decision.sql

    def fetch(self, sql: str) -> list[Any]:
        async def run() -> list[Any]:
            connection = await self._connect()
            try:
                return await connection.fetch(sql)  # type: ignore[no-any-return]
            finally:
                await connection.close()

        return asyncio.run(run())

    async def _catalog(self) -> Catalog:
        connection = await self._connect()
        try:
            return (await read(connection, None)).catalog
        finally:
            await connection.close()

    async def _connect(self) -> Any:
        server = self.server
        return await asyncpg.connect(
            host=server.host, port=server.port, user=server.superuser, password=server.password, database=DATABASE
        )


@pytest.fixture(scope="module")
def leaks(postgres: EmbeddedPostgres) -> Iterator[Leaks]:
    postgres.execute(f"CREATE DATABASE {DATABASE}")
    postgres.load([TABLES.encode()], DATABASE)
    yield Leaks(postgres)
    postgres.execute(f"DROP DATABASE {DATABASE}")


@pytest.mark.parametrize("user", ["eva", "lea"])
@pytest.mark.parametrize("case", [case for case in CASES if "fenced" in case], ids=lambda case: case["fenced"])
def test_the_fence_stays_and_no_hidden_row_is_felt(leaks: Leaks, case: dict[str, str], user: str) -> None:
    sql = leaks.decided(case["fenced"], user)
    assert FENCE in sql
    if "$1" not in sql:
        leaks.fetch(sql)


@pytest.mark.parametrize(
    "case", [case for case in CASES if "fenced" in case and "safe" not in case], ids=lambda case: case["fenced"]
)
def test_without_the_fence_a_hidden_row_would_be_felt(leaks: Leaks, case: dict[str, str]) -> None:
    """So that the test above means something."""
    with pytest.raises((asyncpg.DataError, asyncpg.CardinalityViolationError, asyncpg.IndeterminateCollationError)):
        leaks.fetch(leaks.decided(case["fenced"]).replace(FENCE, " "))


@pytest.mark.parametrize("user", ["eva", "lea"])
@pytest.mark.parametrize("case", [case for case in CASES if "open" in case], ids=lambda case: case["open"])
def test_there_is_no_fence_and_no_hidden_row_is_felt(leaks: Leaks, case: dict[str, str], user: str) -> None:
    sql = leaks.decided(case["open"], user)
    assert FENCE not in sql
    if "$1" not in sql:
        leaks.fetch(sql)


@pytest.mark.parametrize(
    ("user", "sql"),
    [
        ("eva", "SELECT q FROM halves WHERE id = 1"),
        ("eva", "SELECT id FROM computed WHERE q = 1"),
        ("mia", "SELECT id FROM many WHERE note = 'x'"),
    ],
)
def test_what_computes_its_columns_keeps_the_fence(leaks: Leaks, user: str, sql: str) -> None:
    """A view, a virtual column and a mask are expressions that would run beside the filter."""
    assert FENCE in leaks.decided(sql, user)


def test_an_operator_of_ones_own_could_be_meant(leaks: Leaks) -> None:
    sql = "SELECT id FROM many WHERE id = 1"
    assert FENCE not in leaks.decided(sql)
    leaks.server.execute(
        "CREATE FUNCTION loud(varchar, varchar) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
        "CREATE OPERATOR = (FUNCTION = loud, LEFTARG = varchar, RIGHTARG = varchar)",
        DATABASE,
    )
    try:
        assert FENCE in Leaks(leaks.server).decided(sql)
    finally:
        leaks.server.execute("DROP OPERATOR = (varchar, varchar); DROP FUNCTION loud", DATABASE)


@pytest.mark.parametrize("kind", ["text", "varchar", "char(5)", "name", "unknown"])
def test_a_text_parameter_goes_inside_the_fence_whatever_its_type(leaks: Leaks, kind: str) -> None:
    sql = "SELECT count(*) FROM many WHERE note = $1 AND 1 / n > 0"
    decided = leaks.decided(sql)
    assert "(many.note OPERATOR(pg_catalog.=) $1)" in decided
    prepare = f"PREPARE p ({kind}) AS {{}}; EXECUTE p ('1')"
    assert leaks.server.execute(prepare.format(decided), DATABASE) == "100"
    assert leaks.server.execute(prepare.format(decided).replace("'1'", "'hidden'"), DATABASE) == "0"


def test_a_text_parameter_of_a_type_that_has_no_such_comparison_fails_as_without_the_filter(leaks: Leaks) -> None:
    decided = leaks.decided("SELECT count(*) FROM many WHERE note = $1 AND 1 / n > 0")
    for kind in ("integer", "regclass", "json"):
        with pytest.raises(UpstreamError, match="operator does not exist"):
            leaks.server.execute(f"PREPARE p ({kind}) AS {decided}", DATABASE)
        with pytest.raises(UpstreamError, match="operator does not exist"):
            leaks.server.execute(f"PREPARE p ({kind}) AS SELECT count(*) FROM many WHERE note = $1", DATABASE)


def test_a_cast_of_a_parameter_is_computed_on_hidden_rows_where_there_is_no_fence(leaks: Leaks) -> None:
    decided = leaks.decided("SELECT id FROM many WHERE day = '2024-06-01' AND id = 2 AND n = $1::integer")
    script = "SET plan_cache_mode = force_generic_plan; PREPARE p (text) AS {}; EXECUTE p ('x')"
    assert leaks.server.execute(script.format(decided), DATABASE) == ""
    with pytest.raises(UpstreamError, match="invalid input syntax"):
        leaks.server.execute(script.format(decided.replace(FENCE, " IS TRUE")), DATABASE)


@pytest.mark.parametrize(
    ("kind", "value", "rows"),
    [
        *(("bigint", "1", "1"), ("integer", "1", "1"), ("unknown", "'1'", "1"), ("real", "1", "1")),
        *(("numeric", "1", "1"), ("numeric", "1.4", ""), ("numeric", "1e30", ""), ("double precision", "1e300", "")),
        *(("double precision", "'NaN'", ""), ("numeric", "'NaN'", ""), ("smallint", "2", "")),
    ],
)
def test_a_parameter_inside_the_fence_does_not_fail_on_a_hidden_row(
    leaks: Leaks, kind: str, value: str, rows: str
) -> None:
    decided = leaks.decided("SELECT id FROM many WHERE note > '' AND id IN (1, 2) AND wide = $1")
    for mode in ("force_generic_plan", "force_custom_plan"):
        script = f"SET plan_cache_mode = {mode}; PREPARE p ({kind}) AS {decided}; EXECUTE p ({value})"
        assert leaks.server.execute(script, DATABASE) == rows


@pytest.mark.parametrize("kind", ["oid", "regclass"])
def test_a_parameter_that_a_bigint_may_not_convert_to_fails_before_anything_runs(leaks: Leaks, kind: str) -> None:
    decided = leaks.decided("SELECT id FROM many WHERE note > '' AND wide = $1")
    with pytest.raises(UpstreamError, match="operator does not exist"):
        leaks.server.execute(f"PREPARE p ({kind}) AS {decided}", DATABASE)


def test_a_parameter_inside_the_fence_is_what_an_index_wants(leaks: Leaks) -> None:
    decided = leaks.decided("SELECT id FROM many WHERE note > '' AND wide = $1")
    leaks.server.execute("CREATE INDEX many_wide ON many (wide)", DATABASE)
    for kind in ("bigint", "unknown"):
        script = f"SET enable_seqscan = off; PREPARE p ({kind}) AS {decided}; EXPLAIN EXECUTE p (1)"
        assert "many_wide" in leaks.server.execute(script, DATABASE)
    leaks.server.execute("DROP INDEX many_wide", DATABASE)


def test_what_ties_a_value_to_its_row_is_inside_the_fence_where_an_index_wants_it(leaks: Leaks) -> None:
    decided = leaks.decided(
        "SELECT o.id, (SELECT sum(m.n) FROM many m WHERE m.wide = o.id AND 1 / m.n > 0) FROM other o"
    )
    assert leaks.server.execute(decided, DATABASE).split() == ["1|1", "2|", "3|1", "4|", "5|1", "6|"]
    leaks.server.execute("CREATE INDEX many_wide ON many (wide)", DATABASE)
    assert "(wide = o.id)" in leaks.server.execute(f"SET enable_seqscan = off; EXPLAIN {decided}", DATABASE)
    leaks.server.execute("DROP INDEX many_wide", DATABASE)


def test_what_has_two_collations_is_not_tried_on_statistics(leaks: Leaks) -> None:
    """PostgreSQL fails to plan it where pg_statistic has values to compare, those of hidden rows too."""
    decided = leaks.decided("SELECT m.id FROM many m JOIN many s ON s.c = m.p")
    leaks.fetch(f"EXPLAIN {decided}")
    plain = re.sub(r"COALESCE.(many.[a-z]+), many.[a-z]+. AS [a-z]+", r"\1", decided)
    with pytest.raises(asyncpg.IndeterminateCollationError):
        leaks.fetch(f"EXPLAIN {plain}")
