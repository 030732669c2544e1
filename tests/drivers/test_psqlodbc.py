"""psqlODBC under unixODBC: how Excel, Tableau and Power BI come by ODBC. Debian: odbc-postgresql."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.e2e.harness import PASSWORDS, RunningGateway

DRIVERS = sorted(Path("/usr/lib").glob("*/odbc/psqlodbcw.so"))

pytestmark = pytest.mark.skipif(not DRIVERS, reason="needs odbc-postgresql")


@pytest.fixture(scope="module")
def odbc() -> ModuleType:
    """pyodbc cannot even be imported where unixODBC's library is missing."""
    return pytest.importorskip("pyodbc", exc_type=ImportError)  # type: ignore[no-any-return]  # its annotation


@contextlib.contextmanager
def connected(odbc: ModuleType, gateway: RunningGateway, **options: object) -> Iterator[object]:
    parts = {
        "Driver": DRIVERS[0],
        "Server": "127.0.0.1",
        "Port": gateway.port,
        "Database": gateway.database,
        "UID": "ada",
        "PWD": PASSWORDS["ada"],
        **options,
    }
    connection = odbc.connect(";".join(f"{key}={value}" for key, value in parts.items()), autocommit=False)
    try:
        yield connection
    finally:
        connection.close()


MODES = [
    {},
    {"UseDeclareFetch": 1, "Fetch": 10},
    {"UseServerSidePrepare": 0},
    {"Protocol": "7.4-1"},  # roll back the transaction at an error
    {"Protocol": "7.4-2"},  # a savepoint in front of each statement
    {"UseDeclareFetch": 1, "Fetch": 3, "UseServerSidePrepare": 0, "Protocol": "7.4-2"},
]


@pytest.mark.parametrize("options", MODES, ids=lambda options: ",".join(f"{k}={v}" for k, v in options.items()) or "-")
def test_a_governed_session(odbc: ModuleType, governed: RunningGateway, options: dict[str, object]) -> None:
    with connected(odbc, governed, **options) as connection:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute("SELECT product_id FROM products ORDER BY 1 LIMIT 47")
        assert [row[0] for row in cursor.fetchmany(5)] == [1, 2, 3, 4, 5]
        assert len(cursor.fetchall()) == 42
        for region in (1, 2, 3):
            cursor.execute("SELECT email, signed_up_on FROM customers WHERE region_id = ? LIMIT 4", region)
            assert ["***@***" in row.email for row in cursor.fetchall()] == [True] * 4
        refused = {"SELECT salary FROM employees": "permission denied", "DELETE FROM customers": "read only"}
        for text, message in refused.items():  # psqlODBC has SQLSTATEs of its own
            with pytest.raises(odbc.Error, match=message):
                cursor.execute(text).fetchall()
            connection.rollback()  # type: ignore[attr-defined]
        assert {row.table_name for row in cursor.tables(tableType="TABLE", schema="public")} >= {"customers", "orders"}
        assert [row.column_name for row in cursor.columns(table="regions")] == ["region_id", "name"]
        assert [row.column_name for row in cursor.primaryKeys(table="orders")] == ["order_id"]
        assert cursor.foreignKeys(foreignTable="orders").fetchall()
        assert cursor.statistics("orders").fetchall()
        assert cursor.getTypeInfo().fetchall()
        cursor.execute("SELECT 1")
        assert cursor.fetchone()[0] == 1


@pytest.mark.parametrize("options", MODES, ids=lambda options: ",".join(f"{k}={v}" for k, v in options.items()) or "-")
def test_an_open_session(odbc: ModuleType, passing: RunningGateway, table: str, options: dict[str, object]) -> None:
    with connected(odbc, passing, **options) as connection:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.executemany("INSERT INTO things VALUES (?, ?)", [(number, "x") for number in range(200, 220)])
        connection.commit()  # type: ignore[attr-defined]
        cursor.execute("SELECT id FROM things ORDER BY 1")
        assert len(cursor.fetchall()) == 120
        cursor.execute("UPDATE things SET name = ? WHERE id < ?", "y", 11)
        assert cursor.rowcount == 10
        connection.rollback()  # type: ignore[attr-defined]
        with pytest.raises(odbc.Error):
            cursor.execute("INSERT INTO things VALUES (1, 'twice')")
        connection.rollback()  # type: ignore[attr-defined]
        assert cursor.execute("SELECT count(*) FROM things WHERE name = 'y'").fetchone()[0] == 0
