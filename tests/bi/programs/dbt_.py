"""dbt with a project of its own: what reads, and `dbt run`, which writes and must fail both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner
from dbt.version import __version__
from steps import SERVER, Steps

FILES = {
    "dbt_project.yml": "name: shop\nversion: 1.0.0\nprofile: shop\nflags: {send_anonymous_usage_stats: false}\n",
    "profiles.yml": json.dumps(
        {
            "shop": {
                "target": "it",
                "outputs": {
                    "it": {
                        "type": "postgres",
                        "host": SERVER["PGHOST"],
                        "port": int(SERVER["PGPORT"]),
                        "user": SERVER["PGUSER"],
                        "password": SERVER["PGPASSWORD"],
                        "dbname": SERVER["PGDATABASE"],
                        "schema": "public",
                        "threads": 2,
                    }
                },
            }
        }
    ),
    "models/sources.yml": """
sources:
  - name: retail
    schema: public
    tables:
      - name: orders
        loaded_at_field: ordered_at
        freshness: {warn_after: {count: 100000, period: day}}
        columns:
          - {name: order_id, tests: [unique, not_null]}
          - {name: channel, tests: [{accepted_values: {arguments: {values: [store, online]}}}]}
          - name: customer_id
            tests: [{relationships: {arguments: {to: "source('retail', 'customers')", field: customer_id}}}]
      - name: order_items
      - name: customers
      - name: employees
""",
    "models/revenue.sql": """
SELECT o.channel, date_trunc('month', o.ordered_at) AS month, sum(i.revenue) AS revenue, count(*) AS items
FROM {{ source('retail', 'orders') }} o JOIN {{ source('retail', 'order_items') }} i USING (order_id)
GROUP BY 1, 2
""",
    "models/salaries.sql": "SELECT salary FROM {{ source('retail', 'employees') }}",
    "tests/no_cancelled_items.sql": """
SELECT o.order_id FROM {{ source('retail', 'orders') }} o JOIN {{ source('retail', 'order_items') }} i USING (order_id)
WHERE o.status = 'cancelled'
""",
}


def main() -> None:
    for name, text in FILES.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    steps = Steps()
    steps.version = __version__
    steps.run("dbt debug", lambda: dbt("debug"))
    steps.run("dbt ls", lambda: dbt("ls"))
    steps.run("dbt compile", lambda: dbt("compile"))
    steps.run("dbt show of a model", lambda: dbt("show", "--select", "revenue", "--output", "json", "--limit", "500"))
    inline = "SELECT segment, count(*) FROM {{ source('retail', 'customers') }} GROUP BY 1 ORDER BY 1"
    steps.run("dbt show of an inline query", lambda: dbt("show", "--inline", inline))
    rows = "SELECT * FROM {{ source('retail', 'customers') }} ORDER BY customer_id LIMIT 5"
    steps.run("rows", lambda: dbt("show", "--inline", rows, "--limit", "-1"))
    steps.run("hidden column", lambda: dbt("show", "--select", "salaries"))
    steps.run("dbt test", lambda: dbt("test"))
    steps.run("dbt source freshness", lambda: dbt("source", "freshness"))
    steps.run("dbt docs generate", lambda: [dbt("docs", "generate"), catalog()])
    steps.run("write", lambda: dbt("run", "--select", "revenue"))
    steps.print()


def dbt(*arguments: str) -> list[Any]:
    """The status and the rows of each node. Raises with dbt's own words when it was no success."""
    done = dbtRunner().invoke(["--quiet", "--no-use-colors", *arguments])
    if done.exception is not None:
        raise done.exception
    found = []
    for one in getattr(done.result, "results", None) or []:
        table = getattr(one, "agate_table", None)
        rows = [[str(cell) for cell in row] for row in table.rows] if table is not None else None
        found.append([one.node.unique_id, str(one.status), getattr(one, "failures", None), rows])
    if not done.success:
        raise RuntimeError("; ".join(str(getattr(one, "message", one)) for one in done.result.results))
    return sorted(found, key=str) or [done.result if isinstance(done.result, bool | list) else str(type(done.result))]


def catalog() -> Any:
    """What `dbt docs generate` read of the tables."""
    told = json.loads(Path("target/catalog.json").read_text())
    return [told["sources"], told["nodes"], told["errors"]]


main()
