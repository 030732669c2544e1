"""Apache Superset, run by gunicorn on SQLite without workers of its own, and all that is tried by its REST API.

Argument: the interpreter of Superset's environment. Its fresh metadata database is made once and kept there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
from starting import free_port, server, version
from steps import URL, Steps

CONFIG = """
import os
SECRET_KEY = "only-for-this-test"
SQLALCHEMY_DATABASE_URI = "sqlite:///" + os.environ["METADATA"]
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
RATELIMIT_ENABLED = False
FEATURE_FLAGS = {"ESTIMATE_QUERY_COST": True, "ENABLE_TEMPLATE_PROCESSING": True}
"""
BEFORE = "SELECT * FROM customers ORDER BY customer_id LIMIT 5"
GROUPED = (
    "SELECT c.name AS category, sum(i.revenue) AS revenue FROM order_items i JOIN products p USING (product_id) "
    "JOIN categories c USING (category_id) GROUP BY 1"
)


class Superset:
    """What a person does in it, as requests."""

    def __init__(self, port: int) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120)
        login = {"username": "admin", "password": "admin", "provider": "db", "refresh": True}
        token = self.post("/api/v1/security/login", login)["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str) -> Any:
        return self._answer(self._http.get(path))

    def post(self, path: str, body: object) -> Any:
        return self._answer(self._http.post(path, json=body))

    def put(self, path: str, body: object) -> Any:
        return self._answer(self._http.put(path, json=body))

    @staticmethod
    def _answer(response: httpx.Response) -> Any:
        if response.status_code >= 400:
            raise RuntimeError(f"{response.status_code} {response.text}")
        kind = response.headers.get("content-type", "")
        return response.json() if "json" in kind else response.text


def main() -> None:
    python = Path(sys.argv[1])
    folder = Path.cwd()
    environment = prepare(python, folder)
    steps = Steps()
    steps.version = version(python, "apache-superset")
    port = free_port()
    command = [python, "-m", "gunicorn", "--workers=1", "--threads=4", "--timeout=120", f"--bind=127.0.0.1:{port}"]
    with server(
        [*command, "superset.app:create_app()"], f"http://127.0.0.1:{port}/health", environment, folder / "log"
    ):
        browse(steps, Superset(port))
    steps.print()


def prepare(python: Path, folder: Path) -> dict[str, str]:
    (folder / "superset_config.py").write_text(CONFIG)
    metadata = folder / "metadata.db"
    environment = {
        "SUPERSET_CONFIG_PATH": str(folder / "superset_config.py"),
        "SUPERSET_HOME": str(folder),
        "FLASK_APP": "superset",
        "METADATA": str(metadata),
    }
    fresh = python.parent.parent / "metadata.db"
    if not fresh.exists():
        admin = ("--username=admin", "--firstname=A", "--lastname=B", "--email=a@example.com", "--password=admin")
        for arguments in (("db", "upgrade"), ("fab", "create-admin", *admin), ("init",)):
            done = subprocess.run(
                [python.with_name("superset"), *arguments],
                env={**os.environ, **environment},  # noqa: TID251
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        shutil.copy(metadata, fresh)
    shutil.copy(fresh, metadata)
    return environment


def browse(steps: Steps, it: Superset) -> None:
    uri = f"postgresql+psycopg2://{URL}"
    named = {"database_name": "retail", "sqlalchemy_uri": uri}
    steps.run("test connection", lambda: it.post("/api/v1/database/test_connection/", named))
    found = steps.run("add database", lambda: it.post("/api/v1/database/", {**named, "expose_in_sqllab": True})["id"])
    base = f"/api/v1/database/{found}"
    steps.run("catalogs", lambda: it.get(f"{base}/catalogs/"))
    steps.run("schemas", lambda: it.get(f"{base}/schemas/"))
    steps.run("tables", lambda: it.get(f"{base}/tables/?q=(schema_name:public,force:!t)")["result"])
    for table in ("orders", "employees", "customers"):
        steps.run(
            f"columns of {table}", lambda table=table: it.get(f"{base}/table_metadata/?name={table}&schema=public")
        )
        steps.run(
            f"more of {table}", lambda table=table: it.get(f"{base}/table_metadata/extra/?name={table}&schema=public")
        )
        steps.run(f"SELECT * of {table}", lambda table=table: it.get(f"{base}/select_star/{table}/public/"))
    steps.run("functions", lambda: it.get(f"{base}/function_names/"))
    laboratory(steps, it, found)
    dataset(steps, it, found)


def laboratory(steps: Steps, it: Superset, database: int) -> None:
    """SQL Lab."""

    def query(sql: str, **more: object) -> Any:
        body = {"database_id": database, "sql": sql, "schema": "public", "runAsync": False, "queryLimit": 1000, **more}
        told = it.post("/api/v1/sqllab/execute/", body)
        return [told["status"], told["columns"], told["data"]]

    steps.run("SQL Lab: rows", lambda: query(BEFORE))
    steps.run("SQL Lab: grouped", lambda: query(f"{GROUPED} ORDER BY 1"))
    steps.run(
        "SQL Lab: CTE", lambda: query(f"WITH t AS ({GROUPED}) SELECT category FROM t WHERE revenue > 10 ORDER BY 1")
    )
    steps.run("SQL Lab: several", lambda: query("SELECT 1; SELECT count(*) FROM orders"))
    steps.run("SQL Lab: template", lambda: query("SELECT '{{ 1 + 1 }}' AS two, 100 % 7 AS rest, 'a%' AS percent"))
    steps.run("SQL Lab: EXPLAIN", lambda: query("EXPLAIN SELECT * FROM regions"))
    steps.run("SQL Lab: SHOW", lambda: query("SHOW server_version"))
    steps.run("SQL Lab: CREATE TABLE AS", lambda: query("SELECT 1 AS x", select_as_cta=True, tmp_table_name="made"))
    asked = "SELECT -- ask: how many orders came through each channel?\n"
    steps.run("SQL Lab: question", lambda: query(asked)[2])
    steps.run("SQL Lab: question, again", lambda: query(asked)[2])
    another = "SELECT -- ask: how many stores are in each region?\n"
    steps.run("SQL Lab: another question", lambda: query(another)[2])
    steps.run("SQL Lab: hidden column", lambda: query("SELECT salary FROM employees"))
    steps.run("SQL Lab: write", lambda: query("DELETE FROM regions"))
    steps.run("SQL Lab: no such table", lambda: query("SELECT * FROM no_such_table"))
    steps.run("SQL Lab: no such column", lambda: query("SELECT nothing FROM orders"))
    steps.run("SQL Lab: syntax", lambda: query("SELECT FROM WHERE"))
    cost = {"database_id": database, "sql": "SELECT * FROM regions", "schema": "public"}
    steps.run("SQL Lab: estimated cost", lambda: it.post("/api/v1/sqllab/estimate/", cost))


def dataset(steps: Steps, it: Superset, database: int) -> None:
    """Charts on a table, and on a query: a virtual dataset."""

    def made(**more: object) -> Any:
        return it.post("/api/v1/dataset/", {"database": database, "schema": "public", **more})["id"]

    def described(number: int) -> Any:
        told = it.get(f"/api/v1/dataset/{number}")["result"]
        return [
            sorted([one["column_name"], one["type"], one["is_dttm"]] for one in told["columns"]),
            told["main_dttm_col"],
        ]

    def data(number: int, kind: str = "full", **query: object) -> Any:
        body = {
            "datasource": {"id": number, "type": "table"},
            "result_type": kind,
            "force": True,
            "queries": [{"columns": [], "metrics": [], "row_limit": 1000, "orderby": [], **query}],
        }
        one = it.post("/api/v1/chart/data", body)["result"][0]
        return [one.get("colnames"), one.get("coltypes"), one.get("data"), one.get("rowcount"), one.get("query")]

    count = {"expressionType": "SQL", "sqlExpression": "COUNT(*)", "label": "count"}
    orders = steps.run("dataset of a table", lambda: made(table_name="orders"))
    steps.run("its columns", lambda: described(orders))
    steps.run("its columns, synchronised", lambda: it.put(f"/api/v1/dataset/{orders}/refresh", {}))
    month = {
        "columnType": "BASE_AXIS",
        "sqlExpression": "ordered_at",
        "label": "ordered_at",
        "expressionType": "SQL",
        "timeGrain": "P1M",
    }
    steps.run("chart by month", lambda: data(orders, columns=[month], metrics=[count], orderby=[["ordered_at", True]]))
    steps.run(
        "chart of channels", lambda: data(orders, columns=["channel"], metrics=["count"], orderby=[["channel", True]])
    )
    late = [
        {"col": "ordered_at", "op": "TEMPORAL_RANGE", "val": "2026-01-01 : 2026-06-01"},
        {"col": "channel", "op": "IN", "val": ["online"]},
    ]
    steps.run(
        "filtered", lambda: data(orders, columns=["status"], metrics=[count], filters=late, orderby=[["status", True]])
    )
    steps.run(
        "values of a filter",
        lambda: sorted(it.get(f"/api/v1/datasource/table/{orders}/column/status/values/")["result"]),
    )
    steps.run("samples", lambda: len(data(orders, "samples")[2]))
    steps.run("timegrains", lambda: data(orders, "timegrains"))
    steps.run(
        "view query",
        lambda: it.post(
            "/api/v1/chart/data",
            {
                "datasource": {"id": orders, "type": "table"},
                "result_type": "query",
                "queries": [{"columns": ["channel"], "metrics": ["count"]}],
            },
        ),
    )
    virtual = steps.run("virtual dataset", lambda: made(table_name="by category", sql=GROUPED))
    steps.run("virtual: its columns", lambda: described(virtual))
    steps.run(
        "virtual: chart",
        lambda: data(
            virtual,
            columns=["category"],
            metrics=[
                {
                    "expressionType": "SIMPLE",
                    "column": {"column_name": "revenue"},
                    "aggregate": "SUM",
                    "label": "revenue",
                }
            ],
            orderby=[["category", True]],
        ),
    )
    steps.run(
        "virtual: percent, top",
        lambda: data(
            virtual,
            columns=["category"],
            metrics=[count],
            series_limit=3,
            series_columns=["category"],
            orderby=[["category", True]],
        ),
    )
    people = steps.run("virtual dataset of rows", lambda: made(table_name="people", sql="SELECT * FROM customers"))
    steps.run(
        "virtual: rows",
        lambda: data(people, columns=["customer_id", "email"], orderby=[["customer_id", True]], row_limit=5),
    )
    search = [{"col": "city", "op": "ILIKE", "val": "%o%"}]
    steps.run(
        "virtual: search",
        lambda: data(people, columns=["city"], metrics=[count], filters=search, orderby=[["city", True]]),
    )
    asked = "SELECT * FROM ask('how many orders came through each channel?')"
    answer = steps.run("question: virtual dataset", lambda: made(table_name="asked", sql=asked))
    steps.run("question: its columns", lambda: described(answer))
    steps.run("question: chart", lambda: data(answer, columns=["channel"], orderby=[["channel", True]])[2])
    steps.run("question: chart, refreshed", lambda: data(answer, columns=["channel"], orderby=[["channel", True]])[2])

    hidden = {"table_name": "salaries", "sql": "SELECT salary FROM employees"}
    steps.run("virtual dataset of a hidden column", lambda: made(**hidden))


main()
