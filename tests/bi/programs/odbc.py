"""psqlODBC under unixODBC through pyodbc: every catalog function, and statements as Excel and Tableau send them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyodbc
from steps import SERVER, Steps


def main() -> None:
    steps = Steps()
    driver = min(Path("/usr/lib").glob("*/odbc/psqlodbcw.so"))
    to = SERVER
    connection = pyodbc.connect(
        f"Driver={driver};Server={to['PGHOST']};Port={to['PGPORT']};Database={to['PGDATABASE']};UID={to['PGUSER']};"
        f"PWD={to['PGPASSWORD']}"
    )
    steps.version = connection.getinfo(pyodbc.SQL_DRIVER_VER)
    cursor = connection.cursor()

    def rows(call: Callable[[], Any]) -> Callable[[], Any]:
        def read() -> Any:
            found = call()
            return [[one[0] for one in found.description], [list(row) for row in found.fetchall()]]

        return read

    for name in ("SQL_DBMS_NAME", "SQL_DBMS_VER", "SQL_DATABASE_NAME", "SQL_USER_NAME", "SQL_DATA_SOURCE_READ_ONLY",
                 "SQL_IDENTIFIER_QUOTE_CHAR", "SQL_MAX_CATALOG_NAME_LEN", "SQL_SCHEMA_USAGE"):  # fmt: skip
        steps.run(f"SQLGetInfo {name}", partial(connection.getinfo, getattr(pyodbc, name)))
    steps.run("SQLTables", rows(lambda: cursor.tables()))
    steps.run("SQLTables of public", rows(lambda: cursor.tables(schema="public", tableType="TABLE,VIEW")))
    steps.run("SQLTables catalogs", rows(lambda: cursor.tables(catalog="%", schema="", table="")))
    steps.run("SQLTables schemas", rows(lambda: cursor.tables(catalog="", schema="%", table="")))
    for table in ("orders", "employees", "customers", "order_items", "inventory"):
        for name, call in {
            "SQLColumns of": partial(cursor.columns, table, schema="public"),
            "SQLPrimaryKeys of": partial(cursor.primaryKeys, table, schema="public"),
            "SQLForeignKeys to": partial(cursor.foreignKeys, table, schema="public"),
            "SQLForeignKeys of": partial(cursor.foreignKeys, foreignTable=table, foreignSchema="public"),
            "SQLStatistics of": partial(cursor.statistics, table, schema="public"),
            "SQLSpecialColumns, rows of": partial(cursor.rowIdColumns, table, schema="public"),
            "SQLSpecialColumns, versions of": partial(cursor.rowVerColumns, table),
        }.items():
            steps.run(f"{name} {table}", rows(call))
    steps.run("SQLColumns of all", rows(lambda: cursor.columns(schema="public")))
    steps.run("SQLProcedures", rows(lambda: cursor.procedures(schema="public")))
    steps.run("SQLProcedureColumns", rows(lambda: cursor.procedureColumns(schema="public")))
    steps.run("SQLGetTypeInfo", rows(lambda: cursor.getTypeInfo()))
    steps.run("rows", rows(lambda: cursor.execute("SELECT * FROM customers ORDER BY customer_id LIMIT 5")))
    steps.run(
        "quoted names",
        rows(
            lambda: cursor.execute(
                'SELECT "customers"."segment" AS "segment", COUNT(DISTINCT "customers"."customer_id") AS "ctd:id:ok" '
                'FROM "public"."customers" "customers" GROUP BY 1 ORDER BY 1'
            )
        ),
    )
    steps.run("parameters", rows(lambda: cursor.execute("SELECT name FROM stores WHERE region_id = ? ORDER BY 1", 3)))
    steps.run("SQLDescribeParam", lambda: cursor.execute("SELECT ?::int + ?::numeric", 1, 2).fetchall())
    steps.run("hidden column", rows(lambda: cursor.execute("SELECT salary FROM employees")))
    connection.rollback()
    steps.run("write", lambda: cursor.execute("DELETE FROM regions").rowcount)
    connection.rollback()
    connection.close()
    steps.print()


main()
