"""harlequin's PostgreSQL adapter: what its tree, its completion and its editor ask of it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from harlequin_postgres import HarlequinPostgresAdapter
from steps import SERVER, Steps


def main() -> None:
    steps = Steps()
    steps.version = f"{version('harlequin')}, harlequin-postgres {version('harlequin-postgres')}"
    adapter = HarlequinPostgresAdapter(
        conn_str=(), host=SERVER["PGHOST"], port=SERVER["PGPORT"], user=SERVER["PGUSER"],
        password=SERVER["PGPASSWORD"], dbname=SERVER["PGDATABASE"],
    )  # fmt: skip
    connection = adapter.connect()
    steps.run("catalog", lambda: tree(connection.get_catalog().items))
    steps.run("completions", lambda: sorted(str(one) for one in connection.get_completions()))

    def rows(query: str, limit: int | None = None) -> Any:
        cursor = connection.execute(query)
        if cursor is None:
            return None
        if limit is not None:
            cursor = cursor.set_limit(limit)
        columns = cursor.columns()
        return [columns, [[str(cell) for cell in row] for row in cursor.fetchall() or []]]

    steps.run("rows", lambda: rows("SELECT * FROM customers ORDER BY customer_id LIMIT 5"))
    steps.run("grouped", lambda: rows("SELECT segment, count(*) FROM customers GROUP BY 1 ORDER BY 1"))
    steps.run("limited", lambda: rows("SELECT product_id FROM products ORDER BY 1", 10))
    steps.run("transaction mode", lambda: connection.transaction_mode.label)
    steps.run("hidden column", lambda: rows("SELECT salary FROM employees"))
    steps.run("write", lambda: rows("DELETE FROM regions"))
    steps.run("manual transactions", lambda: connection.toggle_transaction_mode().label)
    steps.run("in a transaction", lambda: rows("SELECT count(*) FROM orders"))
    connection.close()
    steps.print()


def tree(items: Any, depth: int = 0) -> Any:
    """Opened to the leaves, but for PostgreSQL's own schemas."""
    found = []
    for item in items:
        own = item.label in ("pg_catalog", "information_schema", "pg_toast", "postgres")
        children = [] if own or depth > 4 else (item.children or fetched(item))
        found.append([item.qualified_identifier, item.label, item.type_label, tree(children, depth + 1)])
    return found


def fetched(item: Any) -> Any:
    return item.fetch_children() if hasattr(item, "fetch_children") else []


main()
