"""LibreOffice Base by UNO, run by Debian's own Python: what its windows do, through its own PostgreSQL driver."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import uno
from com.sun.star.beans import PropertyValue
from com.sun.star.connection import NoConnectException
from steps import SERVER, Steps

TABLES = ("customers", "orders", "employees", "order_items", "inventory")
PIPE = f"nlsql-{SERVER['PGPORT']}"
TABLE, COMMAND = 0, 2  # com.sun.star.sdb.CommandType


def main() -> None:
    steps = Steps()
    process = office()
    try:
        context = connected()
        make = context.ServiceManager
        configured = make.createInstance(
            "com.sun.star.configuration.ConfigurationProvider"
        ).createInstanceWithArguments(
            "com.sun.star.configuration.ConfigurationAccess",
            (PropertyValue("nodepath", 0, "/org.openoffice.Setup/Product", 0),),
        )
        steps.version = configured.ooSetupVersionAboutBox
        source = make.createInstance("com.sun.star.sdb.DatabaseContext").createInstance()
        source.URL = "sdbc:postgresql:host={PGHOST} port={PGPORT} dbname={PGDATABASE}".format(**SERVER)
        connection = source.getConnection(SERVER["PGUSER"], SERVER["PGPASSWORD"])
        browse(steps, connection)
        query(steps, make, source, connection)
        connection.close()
    finally:
        process.terminate()
        process.wait(30)
    steps.print()


def office() -> subprocess.Popen[bytes]:
    """LibreOffice without a window."""
    profile = Path("profile").absolute().as_uri()
    return subprocess.Popen(
        ["soffice", "--headless", "--norestore", f"-env:UserInstallation={profile}", f"--accept=pipe,name={PIPE};urp;"]
    )


def connected() -> Any:
    """Its component context."""
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
    return resolve(resolver, f"uno:pipe,name={PIPE};urp;StarOffice.ComponentContext")


def resolve(resolver: Any, address: str) -> Any:
    deadline = time.monotonic() + 120
    while True:
        try:
            return resolver.resolve(address)
        except NoConnectException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def rows(result: Any, width: int = 0) -> list[list[str | None]]:
    """All rows, each value as text, as Base's grid shows it. ``width``: the columns of a result without metadata."""
    told = None if width else result.getMetaData()
    columns = range(1, (told.getColumnCount() if told else width) + 1)
    found = [[told.getColumnLabel(n) for n in columns]] if told else []
    while result.next():
        row = [(result.getString(n), result.wasNull()) for n in columns]
        found.append([None if null else text for text, null in row])
    return found


def properties(thing: Any, *names: str) -> dict[str, Any]:
    return {name: thing.getPropertyValue(name) for name in names}


def browse(steps: Steps, connection: Any) -> None:
    """The tables' window, the table's design, relations; and the catalog behind them."""
    steps.run("tables", lambda: sorted(connection.getTables().getElementNames()))
    for table in TABLES:
        steps.run(f"columns of {table}", partial(columns, connection, table))
        steps.run(f"keys of {table}", partial(keys, connection, table))
        steps.run(f"indexes of {table}", partial(indexes, connection, table))
        steps.run(f"rights on {table}", partial(lambda table: named(connection, table).Privileges, table))
    told = connection.getMetaData()
    catalog: dict[str, tuple[int, Callable[[], Any]]] = {
        "getSchemas": (1, told.getSchemas),
        "getCatalogs": (1, told.getCatalogs),
        "getTableTypes": (1, told.getTableTypes),
        "getTypeInfo": (18, told.getTypeInfo),
        "getTables": (5, lambda: told.getTables(None, "public", "%", ())),
        "getColumns": (18, lambda: told.getColumns(None, "public", "%", "%")),
        "getTablePrivileges": (0, lambda: told.getTablePrivileges(None, "public", "%")),
    }
    for table in TABLES:
        catalog[f"getPrimaryKeys of {table}"] = 6, partial(told.getPrimaryKeys, None, "public", table)
        catalog[f"getImportedKeys of {table}"] = 0, partial(told.getImportedKeys, None, "public", table)
        catalog[f"getExportedKeys of {table}"] = 0, partial(told.getExportedKeys, None, "public", table)
        catalog[f"getIndexInfo of {table}"] = 13, partial(told.getIndexInfo, None, "public", table, False, False)
    for name, (width, call) in catalog.items():
        steps.run(name, partial(lambda width, call: rows(call(), width), width, call))


def named(connection: Any, table: str) -> Any:
    return connection.getTables().getByName(f"public.{table}")


def columns(connection: Any, table: str) -> list[dict[str, Any]]:
    found = named(connection, table).getColumns()
    names = ("Name", "TypeName", "IsNullable", "Precision", "Scale", "DefaultValue")
    return [properties(found.getByName(name), *names) for name in found.getElementNames()]


def indexes(connection: Any, table: str) -> list[str]:
    return sorted(named(connection, table).getIndexes().getElementNames())


def keys(connection: Any, table: str) -> list[dict[str, Any]]:
    container = named(connection, table).getKeys()
    found = [container.getByIndex(n) for n in range(container.getCount())]
    return [
        {**properties(one, "Name", "Type", "ReferencedTable"), "columns": one.getColumns().getElementNames()}
        for one in found
    ]


def query(steps: Steps, make: Any, source: Any, connection: Any) -> None:
    """Forms and grids (row sets), the query design, parameters, statements."""

    def row_set(kind: int, command: str, order: str = "", condition: str = "") -> list[list[str | None]]:
        one = make.createInstance("com.sun.star.sdb.RowSet")
        one.ActiveConnection = connection
        one.CommandType, one.Command, one.Order = kind, command, order
        one.Filter, one.ApplyFilter = condition, bool(condition)
        one.execute()
        found = rows(one)
        one.dispose()
        return found

    def parameters() -> list[list[str | None]]:
        statement = connection.prepareStatement("SELECT name FROM stores WHERE region_id = ? ORDER BY 1")
        statement.setInt(1, 3)
        return rows(statement.executeQuery())

    def composed() -> list[str]:
        composer = connection.createInstance("com.sun.star.sdb.SingleSelectQueryComposer")
        composer.setQuery("SELECT segment, count(*) AS n FROM customers GROUP BY segment")
        composer.setOrder("segment")
        return [composer.getQuery(), *composer.getColumns().getElementNames()]

    def execute(text: str) -> list[list[str | None]]:
        return rows(connection.createStatement().executeQuery(text))

    def directly(text: str) -> list[list[str | None]]:
        """With "Run SQL command directly": Base's own parser knows no function in FROM."""
        statement = connection.createStatement()
        statement.EscapeProcessing = False
        return rows(statement.executeQuery(text))

    steps.run("table in a grid", lambda: row_set(TABLE, "public.stores", order='"store_id"'))
    steps.run("table in a grid, filtered", lambda: row_set(TABLE, "public.orders", '"order_id"', '"order_id" < 50'))
    steps.run("rows", lambda: execute("SELECT * FROM customers ORDER BY customer_id LIMIT 5"))
    steps.run("grid over a query", lambda: row_set(COMMAND, "SELECT * FROM regions", order='"region_id"'))
    steps.run("query design", composed)
    steps.run("parameters", parameters)
    steps.run(
        "join",
        lambda: row_set(
            COMMAND,
            'SELECT "r"."name", COUNT("o"."order_id") AS "orders" FROM "public"."orders" "o" '
            'INNER JOIN "public"."stores" "s" ON "o"."store_id" = "s"."store_id" '
            'INNER JOIN "public"."regions" "r" ON "s"."region_id" = "r"."region_id" GROUP BY "r"."name"',
        ),
    )
    steps.run("question", lambda: directly("SELECT * FROM ask('how many customers are there')"))
    steps.run("hidden column", lambda: execute("SELECT salary FROM employees"))
    steps.run("write", lambda: connection.createStatement().executeUpdate("DELETE FROM regions"))


main()
