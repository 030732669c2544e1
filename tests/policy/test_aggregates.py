"""Columns that may be read in aggregates only, on a real server: what is allowed, suppressed and refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.policy import Allow, Decision, Deny, Policy, Reason, decide, load, visible
from nlsql_gateway.server.catalog_reading import read
from nlsql_gateway.sql import Batch, Catalog, classify

DATABASE = "policy_aggregates"

POLICY = """
version: 1
name: clinic
users:
  ann:  {roles: [statistics]}
  bob:  {roles: [statistics, east]}
  carl: {roles: [statistics, hr]}
  dora: {roles: [statistics, careful]}
  emil: {roles: [filtered]}
  fay:  {roles: [looking, masked]}
roles:
  statistics:
    read: public.*
    aggregate_only:
      - {columns: [public.staff.pay, public.staff.bonus], groups_of: 3}
      - {columns: public.visits.cost, groups_of: 3, functions: [avg, max]}
  east:
    read: public.staff
    rows: [{tables: public.staff, using: dept = 'east'}]
  hr:
    read: public.staff
  careful:
    read: public.staff
    aggregate_only: [{columns: public.staff.pay, groups_of: 4, functions: [avg, max]}]
  looking:
    read: public.staff
    rows: [{tables: public.staff, using: "dept IN (SELECT d.name FROM public.depts AS d WHERE d.city = 'Riga')"}]
    aggregate_only: [{columns: public.staff.pay, groups_of: 3}]
  masked:
    read: public.staff
    rows: [{tables: public.staff, using: dept = 'north'}]
    masks: [{columns: public.staff.pay, with: "null"}]
    aggregate_only: [{columns: public.staff.pay, groups_of: 3}]
  filtered:
    read: public.*
    rows: [{tables: public.staff, using: dept <> 'north'}]
    masks: [{columns: public.staff.bonus, with: {bucket: {bounds: [0, 100]}}}]
    aggregate_only: [{columns: [public.staff.pay, public.staff.bonus], groups_of: 3}]
"""

SCHEMA = """
CREATE TABLE depts (name text PRIMARY KEY, city text);
CREATE TABLE staff (id int PRIMARY KEY, dept text, name text, pay int, bonus numeric, "Odd Name" text);
CREATE TABLE visits (id int, day date, cost float8) PARTITION BY RANGE (id);
CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (0) TO (10);
CREATE TABLE visits_2 PARTITION OF visits FOR VALUES FROM (10) TO (100);
INSERT INTO depts VALUES ('east', 'Riga'), ('west', 'Porto'), ('north', 'Oslo');
INSERT INTO staff VALUES (1,'east','a',10,1), (2,'east','b',20,2), (3,'east','c',30,NULL), (4,'east','d',40,300),
  (5,'west','e',50,5), (6,'west','f',60,6), (7,'north','g',70,7), (8,'north','h',NULL,8), (9,'north','i',90,9);
INSERT INTO visits SELECT n, date '2026-01-01' + n, n * 10 FROM generate_series(1, 20) n;
CREATE VIEW staff_view AS SELECT * FROM staff;
CREATE FUNCTION apart(float8) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN $1;
"""


class Clinic:
    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self.catalog: Catalog = asyncio.run(self._read())
        self.policy: Policy = load(POLICY, "clinic.yaml")

    async def connect(self) -> Any:
        return await asyncpg.connect(
            host=self.server.host, port=self.server.port, user="policy_clinic", password="clinic", database=DATABASE
        )

    async def _read(self) -> Catalog:
        connection = await self.connect()
        try:
            return (await read(connection, None)).catalog
        finally:
            await connection.close()

    def decided(self, sql: str, user: str = "ann") -> Decision:
        batch = classify(sql)
        assert isinstance(batch, Batch)
        (statement,) = batch.statements
        return decide(statement, self.policy.principal(user), self.catalog, self.policy)

    def rows(self, sql: str, user: str = "ann", *arguments: object) -> list[tuple[Any, ...]]:
        decision = self.decided(sql, user)
        assert isinstance(decision, Allow), decision
        return self.plain(decision.sql, *arguments)

    def plain(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        async def run() -> list[tuple[Any, ...]]:
            connection = await self.connect()
            try:
                return [tuple(record) for record in await connection.fetch(sql, *arguments)]
            finally:
                await connection.close()

        return asyncio.run(run())


@pytest.fixture(scope="module")
def clinic(postgres: EmbeddedPostgres) -> Iterator[Clinic]:
    postgres.execute("CREATE ROLE policy_clinic LOGIN PASSWORD 'clinic'")
    postgres.execute(f"CREATE DATABASE {DATABASE} OWNER policy_clinic")
    postgres.execute(f"SET ROLE policy_clinic; SET search_path = public; {SCHEMA}", DATABASE)
    yield Clinic(postgres)
    postgres.execute(f"DROP DATABASE {DATABASE}")
    postgres.execute("DROP ROLE policy_clinic")


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT avg(pay) FROM staff", [(46.25,)]),
        ("SELECT (avg(pay))::int FROM staff;", [(46,)]),
        ("TABLE depts ORDER BY 1 LIMIT 1", [("east", "Riga")]),
        ("SELECT dept, avg(pay), count(pay), count(*) FROM staff GROUP BY dept", [("east", 25, 4, 4)]),
        ("SELECT dept, count(*) FROM staff GROUP BY dept ORDER BY 1", [("east", 4), ("north", 3), ("west", 2)]),
        ("SELECT sum(pay) FROM staff WHERE id = 1", []),
        ("SELECT sum(pay) FROM staff WHERE id <= 2 -- two of them", []),
        ("SELECT sum(pay), sum(bonus) FROM staff WHERE id <= 3", []),
        ("SELECT sum(pay) FROM staff WHERE id <= 3", [(60,)]),
        ("SELECT (SELECT sum(pay) FROM staff WHERE id = 1) AS s", [(None,)]),
        ("SELECT sum(pay) AS limit FROM staff s WHERE s.id < 4 LIMIT 1", [(60,)]),
        ("SELECT dept, sum(s.pay::numeric) FROM public.staff AS s GROUP BY 1 HAVING sum(s.pay) > 5", [("east", 100)]),
        ("SELECT dept, sum(pay) FROM staff GROUP BY 1 HAVING 1/(sum(pay)-110) * (sum(pay)-160) < 9", [("east", 100)]),
        ("SELECT dept, avg(pay) AS pay FROM staff GROUP BY dept ORDER BY pay DESC", [("east", 25)]),
        ("SELECT dept, avg(pay) FROM staff GROUP BY 1 ORDER BY avg(staff.pay) LIMIT ALL", [("east", 25)]),
        ("SELECT pay FROM (SELECT avg(pay) AS pay FROM staff) AS x", [(46.25,)]),
        ("WITH x AS (SELECT dept, sum(pay) AS pay FROM staff GROUP BY 1) TABLE x LIMIT 9", [("east", 100)]),
        ("SELECT 1 WHERE (SELECT avg(pay) FROM staff) > 46", [(1,)]),
        ("SELECT avg(pay) FROM staff UNION ALL SELECT sum(pay) FROM staff WHERE id = 1 ORDER BY 1", [(46.25,)]),
        ("(SELECT sum(pay) FROM staff WHERE id < 4) EXCEPT SELECT 1", [(60,)]),
        ("SELECT city, sum(pay) FROM staff s JOIN depts d ON d.name = s.dept GROUP BY city", [("Riga", 100)]),
        ("SELECT city, sum(pay) FROM depts d LEFT JOIN staff AS s ON d.name = s.dept GROUP BY city", [("Riga", 100)]),
        ("SELECT dept, sum(pay) FROM staff GROUP BY ROLLUP (dept) ORDER BY 1", [("east", 100), (None, 370)]),
        ("SELECT sum(a.pay) FROM staff a JOIN staff b ON a.id = b.id", [(370,)]),
        ("SELECT dept, rank() OVER (ORDER BY avg(pay)) FROM staff GROUP BY dept", [("east", 1)]),
        ("SELECT dept, avg(pay) FROM staff GROUP BY dept WINDOW w AS (ORDER BY dept)", [("east", 25)]),
        ("SELECT max(cost), avg(cost) FROM visits", [(200, 105)]),
        ("SELECT avg(cost) FROM visits_2 WHERE id > 19", []),
        ("SELECT max(cost) FROM visits v JOIN generate_series(5, 30) g ON g = v.id", [(200,)]),
        ("SELECT max(cost) FROM visits v JOIN generate_series(19, 30) g ON g = v.id", []),
        ("SELECT * FROM staff WHERE id = 1", [(1, "east", "a", None)]),
        ("SELECT staff FROM staff WHERE id = 1", [((1, "east", "a", None),)]),
    ],
)  # fmt: skip
def test_rows(clinic: Clinic, sql: str, rows: list[tuple[Any, ...]]) -> None:
    found = [tuple(tuple(v.values()) if isinstance(v, asyncpg.Record) else v for v in row) for row in clinic.rows(sql)]
    assert found == rows


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(pay) FROM staff, generate_series(1, 9) WHERE id = 1",
        "SELECT sum(pay) FROM staff JOIN generate_series(1, 1000) g ON g = 1 OR id = 1",
        "SELECT sum(a.pay) FROM staff a CROSS JOIN staff b WHERE a.id = 1",
        "SELECT sum(pay) FROM staff s, LATERAL (SELECT FROM staff t WHERE s.id = 1) x",
        "SELECT sum(pay) FROM staff, (VALUES (1), (2), (3)) v WHERE id = 1",
        "WITH v AS (SELECT generate_series(1, 5)) SELECT sum(pay) FROM staff, v WHERE id = 1",
        "SELECT sum(pay) FROM staff WHERE id = 1 GROUP BY generate_series(1, 5) / 9",
        "SELECT generate_series(1, 5) / 9 AS g, sum(pay) FROM staff WHERE id = 1 GROUP BY g",
        "SELECT id, sum(pay) FROM staff GROUP BY id",
        "SELECT name, sum(pay) FROM staff GROUP BY id",
        "SELECT id, sum(pay) FROM staff GROUP BY GROUPING SETS ((id), (name))",
        "SELECT DISTINCT ON (id) sum(pay) FROM staff GROUP BY id",
        "SELECT avg(pay) FROM staff WHERE id = 1 HAVING true OR avg(pay) > 0",
        "SELECT avg(pay) FROM staff WHERE id = 1 HAVING 1/(avg(pay) - 10) > 0",
        "SELECT 1/(avg(pay) - 10) FROM staff WHERE id = 1",
        "SELECT avg(pay) FROM staff WHERE id = 1 ORDER BY 1/(avg(pay) - 10)",
        "SELECT avg(pay) OVER (), 1 FROM (SELECT id, sum(pay) AS pay FROM staff GROUP BY id) x",
        "SELECT d.name FROM depts d, LATERAL (SELECT sum(pay) AS pay FROM staff WHERE dept = d.name || 'x') s",
    ],
)
def test_suppressed(clinic: Clinic, sql: str) -> None:
    assert clinic.rows(sql) == []


@pytest.mark.parametrize(
    "sql",
    """
    SELECT pay FROM staff
    SELECT id FROM staff WHERE pay > 10
    SELECT avg(pay) FROM staff WHERE pay = 10
    SELECT count(*) FROM staff GROUP BY pay
    SELECT avg(pay) AS pay FROM staff GROUP BY pay
    SELECT id FROM staff ORDER BY pay
    SELECT DISTINCT ON (pay) id FROM staff
    SELECT DISTINCT pay FROM staff
    SELECT avg(pay) FILTER (WHERE id = 1) FROM staff
    SELECT avg(DISTINCT pay) FROM staff
    SELECT sum(pay ORDER BY id) FROM staff
    SELECT avg(pay) OVER () FROM staff
    SELECT avg(pay) OVER (PARTITION BY id) FROM staff
    SELECT max(pay) FROM staff
    SELECT sum(cost) FROM visits
    SELECT array_agg(pay) FROM staff
    SELECT string_agg(pay::text, ',') FROM staff
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY pay) FROM staff
    SELECT regr_avgy(pay, id) FROM staff
    SELECT sum(CASE WHEN id = 1 THEN pay END) FROM staff
    SELECT sum(pay * (id = 1)::int) FROM staff
    SELECT sum(pay + 1) FROM staff
    SELECT sum(abs(pay)) FROM staff
    SELECT sum(pay::smallint) FROM staff
    SELECT sum(bonus::float8) FROM staff
    SELECT sum(bonus::numeric(3,1)) FROM staff
    SELECT sum((SELECT s.pay)) FROM staff s
    SELECT sum(COALESCE(pay, 0)) FROM staff
    SELECT count(*) FILTER (WHERE pay > 1) FROM staff
    SELECT avg(pay) FROM staff HAVING max(pay) = 90
    SELECT a.id FROM staff a JOIN staff b ON a.pay = b.id
    SELECT a.id FROM staff a JOIN depts d ON a.pay > 10
    SELECT id FROM staff JOIN (SELECT 10 AS pay) x USING (pay)
    SELECT id FROM staff NATURAL JOIN (SELECT 10 AS pay) x
    SELECT (s).pay FROM staff s
    SELECT pay(s) FROM staff s
    SELECT avg(pay), array_agg(s) FROM staff s
    SELECT avg(pay), array_agg(to_json(s.*)) FROM staff s
    SELECT avg(s.pay), (SELECT x FROM (SELECT s.*) x) FROM staff s
    SELECT * FROM (SELECT *, avg(pay) FROM staff) x
    SELECT avg(a.pay), array_agg(j) FROM (staff a JOIN depts d ON a.dept = d.name) AS j
    SELECT (SELECT avg(s.pay) FROM depts) FROM staff s
    SELECT (SELECT avg(s.pay)) FROM staff s GROUP BY id
    SELECT x.v FROM staff s, LATERAL (SELECT s.pay AS v) x
    SELECT x.v FROM staff s, LATERAL (VALUES (s.pay)) x(v)
    SELECT id FROM staff s WHERE EXISTS (SELECT 1 FROM depts WHERE s.pay = 10)
    SELECT avg(pay) FROM staff s WHERE EXISTS (SELECT 1 FROM depts WHERE pay = 10)
    SELECT id FROM staff s WHERE id IN (SELECT avg(s.pay) FROM depts)
    WITH c AS (SELECT pay FROM staff) SELECT avg(pay) FROM c
    SELECT avg(pay), count(nlsql_gateway_row) FROM staff
    SELECT avg(pay), max(s."nlsql_gateway_row") FROM staff s
    SELECT avg(pay), max(ctid) FROM staff
    COPY staff (pay) TO STDOUT
    COPY (SELECT pay FROM staff) TO STDOUT
    EXPLAIN SELECT avg(pay) FROM staff
    EXPLAIN ANALYZE SELECT avg(pay) FROM staff
    SELECT avg(pay) FROM staff TABLESAMPLE SYSTEM (10)
    SELECT avg(pay), apart(pay) FROM staff
    SELECT FROM staff HAVING avg(pay) > 1
    SELECT id FROM staff_view
    SELECT public.avg(pay) FROM staff
    """.strip().splitlines(),
)
def test_refused(clinic: Clinic, sql: str) -> None:
    decision = clinic.decided(sql.strip())
    assert isinstance(decision, Deny), decision


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT avg(j.pay) FROM (staff a JOIN depts d ON a.dept = d.name) AS j",
        "SELECT avg(x) FROM staff AS s(a, b, c, x)",
        "WITH c AS (SELECT * FROM staff) SELECT pay FROM c",
    ],
)
def test_under_other_names_the_column_is_not_there(clinic: Clinic, sql: str) -> None:
    with pytest.raises((asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError)):
        clinic.rows(sql)


def test_the_refusal_says_what_is_allowed(clinic: Clinic) -> None:
    decision = clinic.decided("SELECT id, s.pay FROM staff s")
    assert isinstance(decision, Deny)
    assert (decision.reason, decision.position) == (Reason.COLUMN_DENIED, 12)
    assert decision.message == "column s.pay may be read in aggregates only"
    assert decision.hint.startswith("use avg(pay), count(pay), stddev(pay) over at least 3 rows")


def test_what_is_sent(clinic: Clinic) -> None:
    decision = clinic.decided("SELECT avg(pay) FROM staff s HAVING avg(pay) > $1")
    assert isinstance(decision, Allow)
    assert decision.sql == (
        'SELECT avg(pay) FROM (SELECT staff.id, staff.dept, staff.name, staff."Odd Name", staff.pay, staff.bonus,'
        " ROW(staff.tableoid, staff.ctid) AS nlsql_gateway_row FROM public.staff) s"
        " HAVING CASE WHEN pg_catalog.count(s.pay) OPERATOR(pg_catalog.>=) 3 THEN ( avg(pay) > $1) ELSE false END"
    )
    assert [(one.rule, one.target, one.detail) for one in decision.applied] == [
        ("aggregate_only", "public.staff.pay", "groups of 3"),
        ("aggregate_only", "public.staff.bonus", "groups of 3"),
    ]
    assert clinic.plain(decision.sql, 40) == [(46.25,)]


def test_a_role_that_gives_the_column_clearly_in_all_rows_wins(clinic: Clinic) -> None:
    assert clinic.rows("SELECT pay FROM staff WHERE id = 1", "carl") == [(10,)]
    assert isinstance(clinic.decided("SELECT pay FROM staff WHERE id = 1", "bob"), Deny), "clear in some rows only"
    assert clinic.rows("SELECT dept, sum(pay) FROM staff GROUP BY dept", "bob") == [("east", 100)]


def test_the_strictest_of_several_rules_counts(clinic: Clinic) -> None:
    assert clinic.rows("SELECT avg(pay) FROM staff WHERE id < 4", "dora") == []
    assert clinic.rows("SELECT avg(pay) FROM staff WHERE id < 5", "dora") == [(25,)]
    assert isinstance(clinic.decided("SELECT max(pay) FROM staff", "dora"), Deny)
    assert isinstance(clinic.decided("SELECT sum(pay) FROM staff", "dora"), Deny)


def test_filters_and_masks_hold_inside(clinic: Clinic) -> None:
    assert clinic.rows("SELECT count(pay), sum(pay), sum(bonus) FROM staff", "emil") == [(6, 210, 100)]
    assert clinic.rows("SELECT sum(pay) FROM staff WHERE id >= 5", "emil") == [], "two are left"


def test_a_model_is_told(clinic: Clinic) -> None:
    seen = visible(clinic.catalog, clinic.policy.principal("ann"), clinic.policy)
    column = seen.relations["public", "staff"].column("pay")
    assert column is not None
    assert column.comment == "(in aggregates only)"


def test_a_filter_that_looks_something_up_may_stand_in_the_cell_too(clinic: Clinic) -> None:
    """Found by tests/proof: with such a filter in the CASE of a column for aggregates only it was refused."""
    text = "SELECT dept, sum(pay) FROM staff GROUP BY dept"
    assert clinic.rows(text, "fay") == [("east", 100)]
    assert clinic.rows("SELECT count(*) FROM staff", "fay") == [(7,)]
