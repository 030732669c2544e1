"""What decide() lets through, run on a real server as the service role: the rows are right and nothing hidden shows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.policy import Allow, Policy, decide, load, startup_settings
from nlsql_gateway.server.catalog_reading import read
from nlsql_gateway.sql import Batch, Catalog, classify
from tests.policy import company

DATABASE = "policy_company"
ROLE = "policy_gateway"
ROWS: list[dict[str, Any]] = yaml.safe_load((company.FIXTURES / "rows.yaml").read_text())
SECRETS = ("HIDDEN-2", "hidden", "bert", "99999")


async def connect(server: EmbeddedPostgres, settings: dict[str, str]) -> Any:
    return await asyncpg.connect(
        host=server.host,
        port=server.port,
        user=ROLE,
        password=ROLE,
        database=DATABASE,
        server_settings=settings,
    )


class Company:
    """The database of company.sql, as one person sees it through a policy."""

    def __init__(self, server: EmbeddedPostgres, catalog: Catalog) -> None:
        self.server = server
        self.catalog = catalog

    def decided(self, sql: str, user: str, policy: Policy) -> str:
        batch = classify(sql)
        assert isinstance(batch, Batch)
        (statement,) = batch.statements
        decision = decide(statement, policy.principal(user), self.catalog, policy)
        assert isinstance(decision, Allow), decision
        return decision.sql

    def rows(
        self, sql: str, user: str = "eva", policy: Policy | None = None, *arguments: object
    ) -> list[tuple[Any, ...]]:
        """The rows of ``sql`` for ``user``. Raises asyncpg's errors."""
        of = policy or company.policy()
        settings = startup_settings({}, of).sent
        text = self.decided(sql, user, of)

        async def run() -> list[tuple[Any, ...]]:
            connection = await connect(self.server, settings)
            try:
                return [tuple(record) for record in await connection.fetch(text, *arguments)]
            finally:
                await connection.close()

        return asyncio.run(run())

    @staticmethod
    def read_from(server: EmbeddedPostgres) -> Catalog:
        async def picture() -> Catalog:
            connection = await connect(server, {})
            try:
                return (await read(connection, None)).catalog
            finally:
                await connection.close()

        return asyncio.run(picture())


@pytest.fixture(scope="module")
def database(postgres: EmbeddedPostgres) -> Iterator[Company]:
    postgres.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE}'")
    postgres.execute(f"CREATE DATABASE {DATABASE}")
    postgres.load([(Path(__file__).parent / "company.sql").read_bytes()], DATABASE)
    for schema in ("public", "s2"):
        postgres.execute(
            f"GRANT USAGE ON SCHEMA {schema} TO {ROLE}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {ROLE}",
            DATABASE,
        )

    yield Company(postgres, Company.read_from(postgres))
    postgres.execute(f"DROP DATABASE {DATABASE}")
    postgres.execute(f"DROP ROLE {ROLE}")


@pytest.fixture(scope="module")
def seen(database: Company) -> Company:
    """The same with a table that holds just what eva may read of customers."""
    database.server.execute(
        "CREATE TABLE seen_customers AS SELECT id, name, email, NULL::text AS ssn, salary, region, tenant_id"
        f" FROM customers WHERE region = 'EU'; GRANT SELECT ON seen_customers TO {ROLE}",
        DATABASE,
    )
    return Company(database.server, Company.read_from(database.server))


def test_the_recorded_catalog_is_the_real_one(database: Company) -> None:
    """company.py and its recorded files against what the server says, so that the other tests mean something."""
    real, recorded = database.catalog, company.catalog()
    assert real.search_path == recorded.search_path
    assert {key for key in real.relations if key[0] in ("public", "s2")} == {
        key for key in recorded.relations if key[0] in ("public", "s2")
    }
    for key, relation in recorded.relations.items():
        assert [(c.name, c.type) for c in real.relations[key].columns] == [(c.name, c.type) for c in relation.columns]
        assert real.relations[key].parents == relation.parents
    for name, functions in recorded.functions.items():
        found = {(one.schema, one.volatility) for one in real.functions[name]}
        assert found >= {(one.schema, one.volatility) for one in functions}


@pytest.mark.parametrize("case", ROWS, ids=lambda case: str(case["sql"]))
def test_rows(database: Company, case: dict[str, Any]) -> None:
    assert [list(row) for row in database.rows(case["sql"])] == case["rows"]


@pytest.mark.parametrize(
    "condition",
    [
        "ssn::int > 0",
        "1 / (CASE WHEN name = 'Bert' THEN 0 ELSE 1 END) = 1",
        "sqrt(salary - 3500) > 0",
        "salary * 1e308 * 1e308 > 0",
        "lpad('x', salary * 1000000) <> ''",
        "email::json IS NOT NULL AND false",
        "('<a>' || name)::xml IS NOT NULL AND region = 'US'",
        "name ~ CASE WHEN name = 'Bert' THEN '(' ELSE 'x' END",
        "tenant_id / (id - 2) >= 0",
        "shout(CASE WHEN id = 2 THEN (1 / (id - 2))::text ELSE 'x' END) <> ''",
    ],
)
def test_errors_never_tell_a_hidden_value(database: Company, condition: str) -> None:
    """Errors of rows that she may read are hers; what stands in hidden rows must not make any difference."""
    sql = f"SELECT count(*) FROM customers WHERE {condition}"
    try:
        answer = repr(database.rows(sql))
    except asyncpg.PostgresError as error:
        answer = f"{error.sqlstate} {error} {error.detail}"
    assert not any(secret in answer for secret in SECRETS)
    database.server.execute("UPDATE customers SET name = 'Bert2', salary = 1, tenant_id = 9 WHERE id = 2", DATABASE)
    try:
        again = repr(database.rows(sql))
    except asyncpg.PostgresError as error:
        again = f"{error.sqlstate} {error} {error.detail}"
    finally:
        database.server.execute(
            "UPDATE customers SET name = 'Bert', salary = 2000, tenant_id = 2 WHERE id = 2", DATABASE
        )
    assert again == answer


def test_attributes_are_values_never_sql(database: Company) -> None:
    assert database.rows("SELECT count(*) FROM customers", "otto") == [(0,)]
    database.server.execute(
        r"""INSERT INTO customers VALUES (9, 'Otto', NULL, NULL, 1, E'O''Brien\\ EU', 1)""", DATABASE
    )
    try:
        assert database.rows("SELECT name FROM customers", "otto") == [("Otto",)]
    finally:
        database.server.execute("DELETE FROM customers WHERE id = 9", DATABASE)


def test_roles_add_up_cell_by_cell(database: Company) -> None:
    """tim: one role gives three columns of all rows, the other all columns of some rows."""
    assert database.rows("SELECT id, name, email, ssn FROM customers ORDER BY id", "tim") == [
        (1, "Anna", "anna@example.com", "111"),
        (2, "Bert", "bert@example.com", "HIDDEN-2"),
        (3, "Cleo", None, None),
        (4, "Dora", None, None),
        (5, "Emma", None, None),
    ]
    with pytest.raises(AssertionError, match="COLUMN_DENIED"):
        database.rows("SELECT email FROM customers", "clara")


MASKS = """
version: 1
name: masks
users: {x: {roles: r}, y: {roles: r}}
hash_key: sixteen characters
roles:
  r:
    read: [public.staff, public.customers, public.orders]
    masks:
      - {columns: public.customers.email, with: hash}
      - {columns: public.customers.name, with: {constant: {value: "it's hidden"}}}
      - {columns: public.customers.salary, with: {round: {to: 1500}}}
      - {columns: public.customers.ssn, with: {partial: {first: 1, last: 1, fill: "-"}}}
      - {columns: public.staff.pay, with: {round: {to: 1000}}}
      - {columns: public.staff.phone, with: {constant: {value: "0123456789012345678901234567890"}}}
      - {columns: public.staff.hired, with: "null"}
      - {columns: public.orders.ordered_at, with: year}
"""


def test_masks_keep_types_and_hide_values(database: Company) -> None:
    masks = load(MASKS, "masks")
    found = database.rows("SELECT name, salary, ssn, email FROM customers ORDER BY id LIMIT 4", "x", masks)
    assert [row[:3] for row in found] == [
        ("it's hidden", 0, "1-1"),
        ("it's hidden", 1500, "H-2"),
        ("it's hidden", 3000, "3-3"),
        ("it's hidden", 3000, None),
    ]
    hashes = [row[3] for row in found]
    assert hashes[3] is None
    assert len(set(hashes)) == 4
    assert all(len(value) == 64 for value in hashes[:3])
    assert database.rows("SELECT email FROM customers ORDER BY id LIMIT 1", "y", masks) == [(hashes[0],)]
    assert [str(pay) for (pay,) in database.rows("SELECT pay FROM staff ORDER BY id", "x", masks)] == [
        "5000.00",
        "6000.00",
        "7000.00",
    ]
    types = (
        "SELECT pg_typeof(pay)::text, pg_typeof(phone)::text, pg_typeof(hired)::text, length(phone) FROM staff LIMIT 1"
    )
    assert database.rows(types, "x", masks) == [("numeric", "character varying", "date", 20)]
    assert database.rows("SELECT DISTINCT ordered_at::text FROM orders", "x", masks) == [("2024-01-01",)]


def test_the_hash_key_is_nowhere_in_the_text(database: Company) -> None:
    masks = load(MASKS, "masks")
    assert "sixteen" not in database.decided("SELECT email FROM customers", "x", masks)


def test_parameters_keep_their_numbers(database: Company) -> None:
    sql = "SELECT id FROM customers WHERE id = $2 AND name = $1"
    assert database.rows(sql, "eva", None, "Cleo", 3) == [(3,)]


def test_unnamed_columns_keep_their_names(database: Company) -> None:
    """BI tools bind to them."""
    sql = "SELECT count(*), max(id), CASE WHEN true THEN 1 END, id::text, now()::date, 1 + 1 FROM customers GROUP BY id"

    async def names(text: str) -> list[str]:
        connection = await connect(database.server, {})
        try:
            return [attribute.name for attribute in (await connection.prepare(text)).get_attributes()]
        finally:
            await connection.close()

    assert asyncio.run(names(database.decided(sql, "eva", company.policy()))) == asyncio.run(names(sql))


UNFILTERED = load(
    "version: 1\nname: unfiltered\nusers: {eva: {roles: r}}\n"
    "roles: {r: {read: [public.seen_customers, public.orders]}}\n",
    "unfiltered.yaml",
)

_VALUES = st.sampled_from(
    ["1", "-3", "0", "4", "'2'", "NULL", "2.5", "'EU'", "'Anna'", "'ANNA'", "id", "o.id", "upper('x')"]
)
_COLUMNS = st.sampled_from(
    ["id", "c.id", "name", "c.region", "tenant_id", "c.salary", "o.id", "o.customer_id", "customer_id"]
)


@st.composite
def _terms(draw: st.DrawFn) -> str:
    column, value = draw(_COLUMNS), draw(_VALUES)
    return draw(
        st.sampled_from(
            [
                *(f"{column} {operator} {value}" for operator in ("=", "<", "<=", ">", ">=", "<>")),
                f"{value} > {column}",
                f"{column} IN ({value}, {draw(_VALUES)})",
                f"{column} BETWEEN {value} AND {draw(_VALUES)}",
                f"NOT {column} = {value}",
                f"({column} = {value} OR c.id = 1)",
                f"({column} IS NULL AND c.id < 3)",
            ]
        )
    )


@given(
    st.sampled_from(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]),
    st.sampled_from(["{t} c %s orders o ON c.id = o.customer_id", "orders o %s {t} c ON o.id = c.id + 1"]),
    st.lists(_terms(), min_size=1, max_size=4),
)
@settings(deadline=None, max_examples=200)
def test_conditions_inside_the_fence_change_no_row(
    database: Company, seen: Company, join: str, tables: str, terms: list[str]
) -> None:
    """The same statement on a table that holds just what she may read, where no condition is moved."""
    text = f"SELECT c.id, c.name, o.id FROM {tables % join} WHERE {' AND '.join(terms)} ORDER BY 1, 2, 3"

    def outcome(of: Company, table: str, policy: Policy) -> object:
        try:
            return of.rows(text.format(t=table), "eva", policy)
        except asyncpg.PostgresError:
            return "an error"  # of two errors in a statement another one may be found first

    assert outcome(database, "customers", company.policy()) == outcome(seen, "seen_customers", UNFILTERED)


def test_a_condition_on_a_key_uses_its_index(database: Company) -> None:
    database.server.execute(
        "CREATE TABLE many AS SELECT n AS id, CASE n % 2 WHEN 0 THEN 'EU' ELSE 'US' END AS region"
        f" FROM generate_series(1, 20000) n; ALTER TABLE many ADD PRIMARY KEY (id); GRANT SELECT ON many TO {ROLE};"
        "ANALYZE many",
        DATABASE,
    )
    policy = load(
        "version: 1\nname: many\nusers: {x: {roles: r}}\nroles: {r: {read: [public.many],"
        " rows: [{tables: public.many, using: region = 'EU'}]}}\n",
        "many.yaml",
    )
    fresh = Company(database.server, Company.read_from(database.server))
    sql = fresh.decided("SELECT region FROM many WHERE id = 4711 AND region <> 'x'", "x", policy)
    plan = database.server.execute(f"EXPLAIN {sql}", DATABASE)
    assert "Index Scan using many_pkey" in plan
    database.server.execute("DROP TABLE many", DATABASE)


@pytest.mark.parametrize("of", ["oid", "regclass", "bigint", "integer", "numeric", "float8"])
def test_no_declared_type_of_a_parameter_makes_a_hidden_row_fail(database: Company, of: str) -> None:
    """bigint = oid compares two oids, and not every bigint is one (manual, "Operators", type resolution): then
    the comparison stays outside of the fence.
    """
    database.server.execute(
        "CREATE TABLE large AS SELECT * FROM (VALUES (7::bigint, 'EU'), (5000000000, 'US')) AS x(id, region);"
        f" GRANT SELECT ON large TO {ROLE}",
        DATABASE,
    )
    policy = load(
        "version: 1\nname: large\nusers: {x: {roles: r}}\nroles: {r: {read: [public.large],"
        " rows: [{tables: public.large, using: upper(lower(upper(region))) = 'EU'}]}}\n",
        "large.yaml",
    )
    fresh = Company(database.server, Company.read_from(database.server))
    sql = fresh.decided(f"PREPARE p ({of}) AS SELECT region FROM large WHERE id = $1", "x", policy)

    async def run() -> list[tuple[Any, ...]]:
        connection = await connect(database.server, startup_settings({}, policy).sent)
        try:
            await connection.execute(sql)
            return [tuple(record) for record in await connection.fetch("EXECUTE p(7)")]
        finally:
            await connection.close()

    try:
        assert asyncio.run(run()) == [("EU",)]
        assert ("COALESCE" in sql) == (of not in ("oid", "regclass"))
    finally:
        database.server.execute("DROP TABLE large", DATABASE)
