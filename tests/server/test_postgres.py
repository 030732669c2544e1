"""The gateway's own connections on a real server: catalog, EXPLAIN, the service role's powers."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from nlsql_gateway.config import Upstream
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import ConfigError, UpstreamError
from nlsql_gateway.server.postgres import Databases, UpstreamDatabase, probe
from nlsql_gateway.sql import Catalog, Column, ForeignKey
from tests.server.tls_front import certificate, tls_front

T = TypeVar("T")

DATABASE = "service_catalog"
ROLE = "service_reader"
PASSWORD = "read it"

SCHEMA = """
CREATE SCHEMA shop;
CREATE TYPE shop.size AS ENUM ('s', 'm');
CREATE TABLE shop.regions (id int PRIMARY KEY, name text NOT NULL);
COMMENT ON TABLE shop.regions IS 'Where we sell';
COMMENT ON COLUMN shop.regions.name IS 'In English';
CREATE TABLE shop.customers (
    a int, b int, dropped int, email varchar(80), size shop.size, net numeric(10,2),
    gross numeric(10,2) GENERATED ALWAYS AS (net * 1.2) STORED, region int REFERENCES shop.regions,
    PRIMARY KEY (b, a)
);
ALTER TABLE shop.customers DROP COLUMN dropped;
CREATE TABLE shop.orders (day date, x int, y int, FOREIGN KEY (x, y) REFERENCES shop.customers (a, b))
    PARTITION BY RANGE (day);
CREATE TABLE shop.orders_2026 PARTITION OF shop.orders FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')
    PARTITION BY RANGE (day);
CREATE TABLE shop.orders_january PARTITION OF shop.orders_2026 FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE shop.parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE shop.parts_1 PARTITION OF shop.parts FOR VALUES FROM (0) TO (10);
CREATE TABLE shop.uses (part int REFERENCES shop.parts);
CREATE VIEW shop.plain AS SELECT name FROM shop.regions;
CREATE VIEW shop.invoker WITH (security_invoker = on, security_barrier) AS SELECT name FROM shop.regions;
CREATE VIEW shop.checked WITH (check_option = local) AS SELECT name FROM shop.regions;
CREATE MATERIALIZED VIEW shop.kept AS SELECT name FROM shop.regions;
CREATE SEQUENCE shop.numbers;
CREATE TABLE "Odd ""name" ("Col umn" int[]);
CREATE FUNCTION shop.definer(int) RETURNS SETOF int LANGUAGE sql SECURITY DEFINER STABLE AS 'SELECT 1';
CREATE FUNCTION shop.definer(text) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE PROCEDURE shop.act() LANGUAGE sql AS '';
"""


@pytest.fixture(scope="module")
def upstream(postgres: EmbeddedPostgres) -> Iterator[Upstream]:
    postgres.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
    postgres.execute(f"CREATE DATABASE {DATABASE}")
    # UNIQUE for the foreign key of two columns in another order than the primary key's.
    postgres.execute(SCHEMA.replace("PRIMARY KEY (b, a)", "PRIMARY KEY (b, a), UNIQUE (a, b)"), DATABASE)
    postgres.execute(f"GRANT USAGE ON SCHEMA shop TO {ROLE}; GRANT SELECT ON shop.regions TO {ROLE}", DATABASE)
    yield Upstream(host=postgres.host, port=postgres.port, user=ROLE)
    postgres.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    postgres.execute(f"DROP ROLE {ROLE}")


def run(
    upstream: Upstream,
    use: Callable[[UpstreamDatabase], Awaitable[T]],
    *,
    password: str = PASSWORD,
    database: str = DATABASE,
    search_path: str | None = None,
) -> T:
    async def main() -> T:
        databases = Databases(upstream, password, search_path)
        try:
            return await use(databases.get(database))
        finally:
            await databases.aclose()

    return asyncio.run(main())


def read(upstream: Upstream, search_path: str | None = None) -> Catalog:
    return run(upstream, lambda database: database.refresh(), search_path=search_path)


def test_relations_and_columns(upstream: Upstream) -> None:
    catalog = read(upstream)
    assert (catalog.database, catalog.server_version // 10000) == (DATABASE, 18)
    regions = catalog.relations["shop", "regions"]
    assert (regions.kind, regions.comment, regions.primary_key) == ("table", "Where we sell", ("id",))
    assert regions.columns == (Column("id", "integer", True), Column("name", "text", True, "In English"))
    customers = catalog.relations["shop", "customers"]
    assert [(column.name, column.type) for column in customers.columns] == [
        ("a", "integer"),
        ("b", "integer"),
        ("email", "character varying(80)"),
        ("size", "shop.size"),
        ("net", "numeric(10,2)"),
        ("gross", "numeric(10,2)"),
        ("region", "integer"),
    ]
    assert [column.name for column in customers.columns if column.generated] == ["gross"]
    assert customers.primary_key == ("b", "a")
    assert customers.foreign_keys == (ForeignKey(("region",), ("shop", "regions"), ("id",)),)
    assert catalog.relations["public", 'Odd "name'].columns == (Column("Col umn", "integer[]"),)


def test_kinds(upstream: Upstream) -> None:
    relations = read(upstream).relations
    assert {name: relations["shop", name].kind for name in ("orders", "orders_2026", "plain", "kept", "numbers")} == {
        "orders": "partitioned table",
        "orders_2026": "partitioned table",
        "plain": "view",
        "kept": "materialized view",
        "numbers": "sequence",
    }
    invokers = {name: relations["shop", name].security_invoker for name in ("plain", "invoker", "checked", "regions")}
    assert invokers == {"plain": False, "invoker": True, "checked": False, "regions": False}


def test_keys_and_parents_of_partitions(upstream: Upstream) -> None:
    relations = read(upstream).relations
    assert relations["shop", "orders_january"].parents == (("shop", "orders_2026"), ("shop", "orders"))
    composite = ForeignKey(("x", "y"), ("shop", "customers"), ("a", "b"))
    assert relations["shop", "orders"].foreign_keys == (composite,)
    assert relations["shop", "orders_january"].foreign_keys == (composite,)
    assert relations["shop", "uses"].foreign_keys == (ForeignKey(("part",), ("shop", "parts"), ("id",)),)


def test_functions(upstream: Upstream) -> None:
    functions = read(upstream).functions
    stable, volatile = functions["definer"]
    assert (stable.volatility, stable.security_definer, stable.returns_set, stable.language) == (
        "stable",
        True,
        True,
        "sql",
    )
    assert (volatile.volatility, volatile.security_definer, volatile.returns_set) == ("volatile", False, False)
    assert functions["act"][0].kind == "procedure"
    assert {function.kind for function in functions["count"]} == {"aggregate"}
    assert {function.kind for function in functions["row_number"]} == {"window"}
    assert functions["int4lt"][0].leakproof


def test_the_systems_own_relations_are_there_and_toast_is_not(upstream: Upstream) -> None:
    relations = read(upstream).relations
    assert ("pg_catalog", "pg_class") in relations
    assert ("information_schema", "tables") in relations
    assert not [key for key in relations if key[0].startswith(("pg_toast", "pg_temp"))]


def test_the_search_path_is_the_one_given(upstream: Upstream) -> None:
    assert read(upstream).search_path == ("pg_catalog", "public")
    assert read(upstream, '"$user", shop').search_path == ("pg_catalog", "shop")


def test_the_version_changes_with_the_schema_and_not_with_analyze(
    upstream: Upstream, postgres: EmbeddedPostgres
) -> None:
    async def use(database: UpstreamDatabase) -> None:
        first = await database.refresh()
        assert first.relations["shop", "regions"].estimated_rows == -1
        assert await database.refresh() is first
        postgres.execute("INSERT INTO shop.regions VALUES (1, 'Europe'); ANALYZE shop.regions", DATABASE)
        assert await database.refresh() is first
        assert read_apart().version == first.version
        for change in (
            "ALTER TABLE shop.regions ADD COLUMN extra int",
            "COMMENT ON COLUMN shop.regions.extra IS 'more'",
            "ALTER TABLE shop.regions ALTER COLUMN extra TYPE bigint",
            "ALTER VIEW shop.plain SET (security_invoker = true)",
            "CREATE FUNCTION shop.late() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "ALTER FUNCTION shop.late() SECURITY DEFINER",
        ):
            postgres.execute(change, DATABASE)
            changed = await database.refresh()
            assert changed.version != first.version, change
            first = changed
        postgres.execute(
            "ALTER TABLE shop.regions DROP COLUMN extra; DROP FUNCTION shop.late(); ALTER VIEW shop.plain RESET"
            " (security_invoker)",
            DATABASE,
        )

    def read_apart() -> Catalog:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(read, upstream).result()

    run(upstream, use)
    assert read(upstream).relations["shop", "regions"].estimated_rows == 1


def test_a_picture_becomes_old(upstream: Upstream) -> None:
    now = 100.0

    async def main() -> None:
        nonlocal now
        databases = Databases(upstream, PASSWORD, monotonic=lambda: now)
        database = databases.get(DATABASE)
        assert databases.get(DATABASE) is database
        try:
            assert database.catalog() is None
            catalog = await database.refresh()
            assert database.catalog() is catalog
            now += upstream.catalog_refresh
            assert database.catalog() is None
            assert await database.refresh() is catalog
            assert database.catalog() is catalog
        finally:
            await databases.aclose()

    asyncio.run(main())


def test_refreshes_at_the_same_time_share_one_reading(upstream: Upstream, postgres: EmbeddedPostgres) -> None:
    async def use(database: UpstreamDatabase) -> list[Catalog]:
        return await asyncio.gather(*(database.refresh() for _ in range(20)))

    before = readings(postgres)
    catalogs = run(upstream, use)
    assert all(catalog is catalogs[0] for catalog in catalogs)
    assert readings(postgres) - before == 1


def test_a_refresh_sees_what_was_there_when_it_was_asked_for(upstream: Upstream, postgres: EmbeddedPostgres) -> None:
    """A reading that began before is not shared: it may have missed the table."""

    async def use(database: UpstreamDatabase) -> None:
        await database.refresh()
        async with asyncio.TaskGroup() as tasks:
            for number in range(10):
                table = ("public", f"late_{number}")
                await asyncio.to_thread(postgres.execute, f"CREATE TABLE late_{number} ()", DATABASE)
                tasks.create_task(seen(database, table))
                await asyncio.sleep(0.005)

    async def seen(database: UpstreamDatabase, table: tuple[str, str]) -> None:
        assert table in (await database.refresh()).relations

    run(upstream, use)


def test_a_cancelled_refresh_does_not_spoil_the_others(upstream: Upstream) -> None:
    async def use(database: UpstreamDatabase) -> None:
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(database.refresh())
            others = [tasks.create_task(database.refresh()) for _ in range(3)]
            await asyncio.sleep(0.01)
            first.cancel()
        assert {id(other.result()) for other in others} == {id(database.catalog())}

    run(upstream, use)


def readings(postgres: EmbeddedPostgres) -> int:
    return postgres.log.read_text(errors="replace").count("FROM pg_catalog.pg_inherits ORDER BY inhrelid, inhseqno\n")


def test_explain(upstream: Upstream) -> None:
    async def use(database: UpstreamDatabase) -> None:
        await database.explain("SELECT * FROM shop.regions")
        for _ in range(5):  # the connection is as good as new after an error
            with pytest.raises(UpstreamError) as caught:
                await database.explain("SELECT nme FROM shop.regions")
            error = caught.value
            assert (error.sqlstate, error.message) == ("42703", 'column "nme" does not exist')
            assert error.hint == 'Perhaps you meant to reference the column "regions.name".'
        await database.explain("SELECT name FROM shop.regions")
        with pytest.raises(UpstreamError, match="permission denied") as caught:
            await database.explain("SELECT * FROM shop.customers")
        assert caught.value.sqlstate == "42501"

    run(upstream, use)


@pytest.mark.parametrize(
    ("sql", "sqlstate"),
    [
        ("SELECT 1; SELECT 2", "42601"),
        ("SELECT 1; COMMIT; CREATE TABLE escaped ()", "42601"),
        ("SELECT $1::int", "42P02"),
        ("", "42601"),
    ],
)
def test_explain_takes_one_statement_only(upstream: Upstream, sql: str, sqlstate: str) -> None:
    async def use(database: UpstreamDatabase) -> None:
        with pytest.raises(UpstreamError) as caught:
            await database.explain(sql)
        assert caught.value.sqlstate == sqlstate

    run(upstream, use)


def test_explain_runs_nothing_and_could_not_write(upstream: Upstream, postgres: EmbeddedPostgres) -> None:
    writer = Upstream(host=postgres.host, port=postgres.port, user=postgres.superuser)

    async def use(database: UpstreamDatabase) -> None:
        await database.explain("SELECT nextval('shop.numbers')")
        with pytest.raises(UpstreamError) as caught:
            await database.explain("ANALYZE INSERT INTO shop.regions VALUES (7, 'x')")
        assert caught.value.sqlstate in ("25006", "42601")

    run(writer, use, password=postgres.password)
    assert postgres.execute("SELECT last_value, is_called FROM shop.numbers", DATABASE) == "1|f"


def test_sessions_are_read_only_and_named(upstream: Upstream) -> None:
    async def use(database: UpstreamDatabase) -> None:
        async with database._connection() as connection:
            for name, value in (
                ("default_transaction_read_only", "on"),
                ("application_name", "nlsql-gateway"),
                ("statement_timeout", "10s"),
            ):
                assert await connection.fetchval(f"SHOW {name}") == value

    run(upstream, use)


@pytest.mark.parametrize(("user", "password"), [(ROLE, "wrong"), (ROLE, ""), ("nobody_here", "x")])
def test_a_refused_login(upstream: Upstream, user: str, password: str) -> None:
    refused = upstream.model_copy(update={"user": user})
    with pytest.raises(UpstreamError) as caught:
        run(refused, lambda database: database.refresh(), password=password)
    assert (caught.value.sqlstate, caught.value.message) == ("08006", f"the upstream refused the login of role {user}")
    with pytest.raises(UpstreamError, match="refused the login"):
        asyncio.run(probe(refused, password, DATABASE))


def test_a_database_that_is_not_there(upstream: Upstream) -> None:
    with pytest.raises(UpstreamError) as caught:
        run(upstream, lambda database: database.refresh(), database="nothing_here")
    assert (caught.value.sqlstate, caught.value.message) == ("3D000", 'database "nothing_here" does not exist')


def test_nobody_listens(upstream: Upstream) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        away = upstream.model_copy(update={"port": free.getsockname()[1]})
        with pytest.raises(UpstreamError, match="cannot be reached") as caught:
            run(away, lambda database: database.refresh())
    assert caught.value.sqlstate == "08006"


def test_a_folder_without_a_socket(upstream: Upstream, tmp_path: Path) -> None:
    with pytest.raises(UpstreamError, match="cannot be reached"):
        run(upstream.model_copy(update={"host": str(tmp_path)}), lambda database: database.refresh())


def test_a_server_that_says_nothing(upstream: Upstream) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = upstream.model_copy(update={"port": silent.getsockname()[1], "connect_timeout": 0.3})
        with pytest.raises(UpstreamError, match="did not answer in time") as caught:
            run(slow, lambda database: database.refresh())
    assert caught.value.sqlstate == "08006"


def test_those_who_wait_share_a_failure_too(upstream: Upstream) -> None:
    async def use(database: UpstreamDatabase) -> None:
        outcomes = await asyncio.gather(*(database.refresh() for _ in range(30)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {UpstreamError}

    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = upstream.model_copy(update={"port": silent.getsockname()[1], "connect_timeout": 0.2})
        start = time.monotonic()
        run(slow, use)
        assert time.monotonic() - start < 3.0  # one after the other: 6


@pytest.mark.parametrize("sslmode", ["require", "verify-ca", "verify-full"])
def test_tls_that_is_asked_for_and_not_there(upstream: Upstream, sslmode: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        run(upstream.model_copy(update={"sslmode": sslmode}), lambda database: database.refresh())
    assert caught.value.sqlstate == "08006"


@pytest.mark.parametrize(
    ("sslmode", "host", "trusted", "reached"),
    [
        ("disable", "127.0.0.1", False, False),
        ("prefer", "127.0.0.1", False, True),
        ("require", "127.0.0.1", False, True),
        ("verify-ca", "127.0.0.1", False, False),
        ("verify-ca", "127.0.0.1", True, True),
        ("verify-full", "127.0.0.1", True, False),  # the certificate is for localhost
        ("verify-full", "localhost", False, False),
        ("verify-full", "localhost", True, True),
    ],
)
def test_tls(upstream: Upstream, tmp_path: Path, sslmode: str, host: str, *, trusted: bool, reached: bool) -> None:
    made, key = certificate(tmp_path, "localhost")
    with tls_front(upstream.host, upstream.port, made, key) as port:
        update = {"host": host, "port": port, "sslmode": sslmode, "root_certificate": made if trusted else None}
        behind = upstream.model_copy(update=update)
        if reached:
            assert run(behind, lambda database: database.refresh()).database == DATABASE
        else:
            with pytest.raises(UpstreamError) as caught:
                run(behind, lambda database: database.refresh())
            assert caught.value.sqlstate == "08006"


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_root_certificate_that_is_none(upstream: Upstream, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "root.pem"
    if content is not None:
        path.write_text(content)
    wrong = upstream.model_copy(update={"sslmode": "verify-full", "root_certificate": path})
    with pytest.raises(ConfigError, match=r"upstream\.root_certificate: .*root\.pem: "):
        Databases(wrong, PASSWORD)


def test_a_lost_connection_is_replaced(upstream: Upstream, postgres: EmbeddedPostgres) -> None:
    async def use(database: UpstreamDatabase) -> None:
        await database.explain("SELECT 1")
        await asyncio.to_thread(
            postgres.execute, f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{ROLE}'"
        )
        await asyncio.sleep(0.05)
        await database.explain("SELECT 1")

    run(upstream, use)


def test_a_connection_lost_midway(upstream: Upstream, postgres: EmbeddedPostgres) -> None:
    async def use(database: UpstreamDatabase) -> None:
        try:
            async with database._connection() as connection:
                pid = await connection.fetchval("SELECT pg_backend_pid()")
                await asyncio.to_thread(postgres.execute, f"SELECT pg_terminate_backend({pid}, 5000)")
                await connection.fetch("SELECT 1")
        except UpstreamError as error:
            assert error.sqlstate in ("08006", "57P01")  # noqa: PT017 - the block has more than one statement
        else:
            raise AssertionError("the connection was not lost")
        await database.explain("SELECT 1")

    run(upstream, use)


def test_probe_of_a_role_that_may_only_read(upstream: Upstream) -> None:
    role = asyncio.run(probe(upstream, PASSWORD, DATABASE))
    assert role.findings == ()
    assert role.server_version.startswith("18")


@pytest.mark.parametrize(
    ("change", "findings"),
    [
        (f"ALTER ROLE {ROLE} BYPASSRLS", ("bypasses row security",)),
        (f"ALTER ROLE {ROLE} REPLICATION", ("may replicate",)),
        (f"ALTER ROLE {ROLE} CREATEROLE CREATEDB", ("may create roles", "may create databases")),
        (f"GRANT pg_read_all_data TO {ROLE}", ("is a member of pg_read_all_data",)),
        (f"GRANT service_power TO {ROLE}", ("is a member of service_power, which may create databases",)),
        (f"GRANT service_middle TO {ROLE}", ("is a member of pg_monitor", "is a member of pg_read_all_settings")),
        (f"ALTER TABLE shop.regions OWNER TO {ROLE}", ("owns 1 relation, such as shop.regions",)),
        (f"ALTER DATABASE {DATABASE} OWNER TO {ROLE}", ("is a member of pg_database_owner",)),
    ],
)
def test_probe_finds_each_power(
    upstream: Upstream, postgres: EmbeddedPostgres, change: str, findings: tuple[str, ...]
) -> None:
    postgres.execute(
        "CREATE ROLE service_power CREATEDB; CREATE ROLE service_middle; GRANT pg_monitor TO service_middle"
    )
    try:
        postgres.execute(change, DATABASE)
        role = asyncio.run(probe(upstream, PASSWORD, DATABASE))
        assert set(findings) <= set(role.findings)
    finally:
        postgres.execute(
            f"ALTER ROLE {ROLE} NOBYPASSRLS NOREPLICATION NOCREATEROLE NOCREATEDB; REVOKE pg_read_all_data FROM {ROLE};"
            f"ALTER TABLE shop.regions OWNER TO {postgres.superuser};"
            f"ALTER DATABASE {DATABASE} OWNER TO {postgres.superuser};"
            f"GRANT USAGE ON SCHEMA shop TO {ROLE}; GRANT SELECT ON shop.regions TO {ROLE};"
            "DROP ROLE service_power; DROP ROLE service_middle",
            DATABASE,
        )


def test_probe_of_a_superuser(postgres: EmbeddedPostgres) -> None:
    upstream = Upstream(host=postgres.host, port=postgres.port, user=postgres.superuser)
    findings = asyncio.run(probe(upstream, postgres.password, "postgres")).findings
    assert findings[0] == "is a superuser"
    assert not [finding for finding in findings if "member" in finding]
