"""pgAdmin 4 in desktop mode: a server is added, its tree opened to the leaves with all their tabs, the query tool.

Argument: the interpreter of pgAdmin's environment.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import httpx
from starting import free_port, server, version
from steps import SERVER, Steps

CONFIG = """
import os
SERVER_MODE = False
MASTER_PASSWORD_REQUIRED = False
USE_OS_SECRET_STORAGE = False
UPGRADE_CHECK_ENABLED = False
WTF_CSRF_ENABLED = False
DATA_DIR = os.environ["PGADMIN_DATA"]
SQLITE_PATH = DATA_DIR + "/pgadmin4.db"
SESSION_DB_PATH = DATA_DIR + "/sessions"
STORAGE_DIR = DATA_DIR + "/storage"
LOG_FILE = DATA_DIR + "/pgadmin4.log"
DEFAULT_SERVER_PORT = int(os.environ["PGADMIN_PORT"])
"""

OF_SERVER = ("role", "tablespace")
OF_DATABASE = (
    *("schema", "catalog", "cast", "event_trigger", "extension", "foreign_data_wrapper", "language"),
    *("publication", "subscription"),
)
OF_SCHEMA = (
    *("table", "view", "mview", "sequence", "function", "procedure", "trigger_function", "type", "domain", "collation"),
    *("aggregate", "operator", "foreign_table", "fts_configuration", "fts_dictionary", "fts_parser", "fts_template"),
)
OF_TABLE = (
    *("column", "index", "trigger", "rule", "row_security_policy", "partition"),
    *("primary_key", "foreign_key", "unique_constraint", "check_constraint", "exclusion_constraint"),
)


class PgAdmin:
    """What its window sends."""

    def __init__(self, port: int) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, follow_redirects=True)
        self._http.get("/browser/")
        self._conversations = 1000

    def get(self, path: str, **parameters: str) -> Any:
        return self._answer(self._http.get(path, params=parameters))

    def post(self, path: str, body: object) -> Any:
        return self._answer(self._http.post(path, json=body))

    @staticmethod
    def _answer(response: httpx.Response) -> Any:
        if response.status_code >= 400:
            raise RuntimeError(f"{response.status_code} {response.text}")
        told = response.json() if "json" in response.headers.get("content-type", "") else response.text
        return told.get("data", told) if isinstance(told, dict) else told

    def opened(self, where: str, kind: str = "query_tool", more: str = "") -> int:
        """A tab of the query tool."""
        self._conversations += 1
        number = self._conversations
        name = f"sqleditor/{number}" if kind == "query_tool" else f"viewdata/{number}/{more}"
        path = f"/sqleditor/initialize/{name}/{where}"
        login = {"user": SERVER["PGUSER"], "password": SERVER["PGPASSWORD"], "role": "", "dbname": SERVER["PGDATABASE"]}
        self.post(path, login)
        return number

    def query(self, number: int, sql: str, **more: object) -> Any:
        self.post(f"/sqleditor/query_tool/start/{number}", {"sql": sql, "explain_plan": None, **more})
        return self.polled(number)

    def polled(self, number: int) -> Any:
        for _ in range(600):
            told = self.get(f"/sqleditor/poll/{number}")
            if told["status"] != "Busy":
                names = [column["name"] for column in told.get("colinfo") or []] if told.get("colinfo") else None
                return [told["status"], names, told["result"] if isinstance(told.get("result"), str | list) else None]
            time.sleep(0.05)
        raise TimeoutError("the query tool is busy")


def main() -> None:
    python = Path(sys.argv[1])
    package = next(python.parent.parent.glob("lib/*/site-packages/pgadmin4"))
    (package / "config_local.py").write_text(CONFIG)
    folder = Path.cwd()
    port = free_port()
    steps = Steps()
    steps.version = version(python, "pgadmin4")
    environment = {"PGADMIN_DATA": str(folder), "PGADMIN_PORT": str(port)}
    with server([python, package / "pgAdmin4.py"], f"http://127.0.0.1:{port}/misc/ping", environment, folder / "log"):
        browse(steps, PgAdmin(port))
    steps.print()


def browse(steps: Steps, it: PgAdmin) -> None:
    added = {
        "name": "retail", "host": SERVER["PGHOST"], "port": int(SERVER["PGPORT"]), "db": SERVER["PGDATABASE"],
        "username": SERVER["PGUSER"], "password": SERVER["PGPASSWORD"], "save_password": True, "connect_now": True,
        "connection_params": [{"name": "sslmode", "value": "prefer", "keyword": "sslmode"}],
    }  # fmt: skip
    number = steps.run("add and connect server", lambda: it.post("/browser/server/obj/1/", added)["node"]["_id"])
    top = f"1/{number}"
    steps.run("server: properties", lambda: without(it.get(f"/browser/server/obj/{top}"), "password"))
    databases = steps.run("databases", lambda: labels(it.get(f"/browser/database/nodes/{top}/"))) or {}
    where = f"{top}/{databases[SERVER['PGDATABASE']]}"
    steps.run("connect to the database", lambda: bool(it.post(f"/browser/database/connect/{where}", {})["connected"]))
    for kind in OF_SERVER:
        listed(steps, it, kind, top, leaf=True)
    steps.run("database: properties", lambda: it.get(f"/browser/database/obj/{where}"))
    for view in ("sql", "stats", "dependency", "dependent"):
        steps.run(f"database: {view}", lambda view=view: shape(view, it.get(f"/browser/database/{view}/{where}")))
    for kind in OF_DATABASE:
        listed(steps, it, kind, where, leaf=kind != "catalog")
    schema = f"{where}/{labels(it.get(f'/browser/schema/nodes/{where}/'))['public']}"
    for kind in OF_SCHEMA:
        listed(steps, it, kind, schema, leaf=kind != "table")
    tables = labels(it.get(f"/browser/table/nodes/{schema}/"))
    for name in ("orders", "employees", "customers"):
        table = f"{schema}/{tables[name]}"
        looked(steps, it, "table", name, table)
        for kind in OF_TABLE:
            listed(steps, it, kind, table, of=name)
    dashboard(steps, it, where)
    query_tool(steps, it, where, f"{where}/{tables['customers']}")


def without(told: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key != name}


def labels(nodes: Any) -> dict[str, Any]:
    return {one["label"]: one["_id"] for one in nodes}


def shape(view: str, told: Any) -> Any:
    """Statistics change from moment to moment: their names do not. Dependents come in no order."""
    if view in ("dependency", "dependent"):
        return sorted(told, key=str)
    if view != "stats":
        return told
    return [[column["name"] for column in told["columns"]], sorted(str(row.get("Statistics")) for row in told["rows"])]


def listed(steps: Steps, it: PgAdmin, kind: str, where: str, *, leaf: bool = True, of: str = "") -> None:
    """The nodes of a kind, the table of their properties, and of the first all that its tabs show."""
    name = f"{kind} of {of}" if of else kind
    nodes = steps.run(f"{name}: nodes", lambda: labels(it.get(f"/browser/{kind}/nodes/{where}/")))
    steps.run(f"{name}: collection", lambda: it.get(f"/browser/{kind}/obj/{where}/"))
    if nodes and leaf:
        label, number = next(iter(nodes.items()))
        looked(steps, it, kind, f"{label} of {of}" if of else label, f"{where}/{number}")


def looked(steps: Steps, it: PgAdmin, kind: str, name: str, where: str) -> None:
    steps.run(f"{kind} {name}: properties", lambda: it.get(f"/browser/{kind}/obj/{where}"))
    for view in ("sql", "stats", "dependency", "dependent"):
        path = f"/browser/{kind}/{view}/{where}"
        steps.run(f"{kind} {name}: {view}", lambda view=view, path=path: shape(view, it.get(path)))


def dashboard(steps: Steps, it: PgAdmin, where: str) -> None:
    _, number, database = where.split("/")
    charts = "session_stats,tps_stats,ti_stats,to_stats,bio_stats"
    for way in (f"{number}", f"{number}/{database}"):
        of = "database" if "/" in way else "server"
        path = f"/dashboard/dashboard_stats/{way}"
        steps.run(f"dashboard of the {of}: charts", lambda path=path: sorted(it.get(path, chart_names=charts)))
        for part in ("activity", "locks", "prepared"):
            path = f"/dashboard/{part}/{way}"
            steps.run(f"dashboard of the {of}: {part}", lambda path=path: type(it.get(path)).__name__)
    steps.run("dashboard: configuration", lambda: len(it.get(f"/dashboard/config/{number}")))
    steps.run("dashboard: replication", lambda: it.get(f"/dashboard/replication_stats/{number}"))


def query_tool(steps: Steps, it: PgAdmin, where: str, table: str) -> None:
    tab = steps.run("query tool: opened", lambda: it.opened(where)) or 0
    steps.run("query tool: rows", lambda: it.query(tab, "SELECT * FROM customers ORDER BY customer_id LIMIT 5"))
    grouped = "SELECT channel, count(*) FROM orders GROUP BY 1 ORDER BY 1"
    steps.run("query tool: grouped", lambda: it.query(tab, grouped))
    not_asked = dict.fromkeys(("analyze", "verbose", "buffers", "timing", "summary", "settings", "wal"), False)
    plan = {**not_asked, "costs": True, "format": "json"}
    steps.run("query tool: explain", lambda: it.query(tab, "SELECT * FROM regions", explain_plan=plan)[0])
    steps.run("query tool: SHOW", lambda: it.query(tab, "SHOW server_version"))
    steps.run("query tool: BEGIN", lambda: it.query(tab, "BEGIN")[0])
    steps.run("query tool: question", lambda: it.query(tab, "-- ask: how many stores are in each region?"))
    steps.run("query tool: hidden column", lambda: it.query(tab, "SELECT salary FROM employees"))
    steps.run("query tool: ROLLBACK", lambda: it.query(tab, "ROLLBACK")[0])
    steps.run("query tool: write", lambda: it.query(tab, "DELETE FROM regions"))
    steps.run("query tool: no such table", lambda: it.query(tab, "SELECT * FROM no_such_table"))
    for more in ("1", "2", "3"):
        name = {"1": "first rows", "2": "last rows", "3": "all rows"}[more]

        def view(more: str = more) -> Any:
            number = it.opened(table, "viewdata", f"{more}/table")
            it.get(f"/sqleditor/view_data/start/{number}")
            told = it.polled(number)
            return [told[0], told[1], len(told[2] or [])]

        steps.run(f"view data: {name}", view)


main()
