"""The tools, quick ones first."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from tests.bi.tool import PROGRAMS, Tool, ours, script
from tests.drivers.test_node import node_modules

_PGJDBC: Final = Path("/usr/share/java/postgresql.jar")

_LIBREOFFICE: Final = "libreoffice-base, libreoffice-sdbc-postgresql and python3-uno"

TOOLS: Final = (
    Tool(
        "pgjdbc",
        "pgjdbc",
        "every method of `DatabaseMetaData` by reflection, `ResultSetMetaData`, parameters, session calls",
        lambda _place, _address: ["java", "-cp", _PGJDBC, PROGRAMS / "Metadata.java"],
        needs=lambda: "" if shutil.which("java") and _PGJDBC.exists() else "libpostgresql-jdbc-java",
    ),
    Tool(
        "psqlodbc",
        "psqlODBC, by pyodbc",
        "every catalog function (`SQLTables`, `SQLColumns`, `SQLStatistics` …), parameters, quoted names",
        script("odbc.py"),
        needs=lambda: "" if sorted(Path("/usr/lib").glob("*/odbc/psqlodbcw.so")) else "odbc-postgresql",
    ),
    Tool(
        "sqlalchemy",
        "SQLAlchemy",
        "every method of the `Inspector`, `MetaData.reflect`, automap, streamed rows, isolation levels",
        script("reflection.py"),
    ),
    Tool(
        "superset",
        "Apache Superset",
        "by its REST API: schemas, tables, SQL Lab, charts by time and with filters, virtual datasets, `ask()`",
        ours("superset_.py"),
        figures=(
            *("add database", "SQL Lab: rows", "SQL Lab: grouped", "SQL Lab: question"),
            *(
                "SQL Lab: another question",
                "SQL Lab: question, again",
                "chart by month",
                "virtual: chart",
                "question: virtual dataset",
                "question: chart",
            ),
        ),
        asks=True,
    ),
    Tool(
        "pgadmin",
        "pgAdmin 4",
        "server added, tree opened to the leaves with properties, SQL and statistics, dashboards, query tool",
        ours("pgadmin_.py"),
        figures=("add and connect server", "databases", "query tool: rows", "query tool: question"),
        asks=True,
    ),
    Tool(
        "dbt",
        "dbt, by dbt-postgres",
        "`dbt debug`, `ls`, `compile`, `show`, `test`, `source freshness`, `docs generate`; `dbt run`, which writes",
        script("dbt_.py"),
    ),
    Tool(
        "harlequin",
        "harlequin, by harlequin-postgres",
        "its tree opened to the leaves, completion, queries, both modes of transactions",
        script("harlequin_.py"),
    ),
    Tool(
        "jupysql",
        "JupySQL and pandas",
        "`%sql`, `--save` and `--with`, `%sqlcmd`, `%sqlplot`; `read_sql_query`, `read_sql_table`, chunks",
        script("jupysql_.py"),
    ),
    Tool(
        "node",
        "node-postgres",
        "pools, named statements, types, pg-cursor, pg-query-stream, transactions, `information_schema`",
        lambda _place, _address: ["env", f"NODE_PATH={node_modules()}", "node", PROGRAMS / "node.js"],
        needs=lambda: "" if shutil.which("node") and shutil.which("npm") else "nodejs and npm",
    ),
    Tool(
        "libreoffice",
        "LibreOffice Base",
        "by UNO, with its own PostgreSQL driver: tables, columns, keys, `XDatabaseMetaData`, grids, parameters",
        lambda _place, _address: ["/usr/bin/python3", PROGRAMS / "libreoffice_.py"],
        figures=("table in a grid", "question"),
        asks=True,
        needs=lambda: (
            "" if sorted(Path("/usr/lib/libreoffice/program").glob("libpostgresql-sdbc*.so")) else _LIBREOFFICE
        ),
    ),
    Tool("pgcli", "pgcli", "30 backslash commands and statements", script("pgcli_.py"), persons=("emil",)),
)
