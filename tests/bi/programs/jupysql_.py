"""JupySQL's magics in an IPython shell, and pandas, as a notebook has them."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pandas as pd
import sqlalchemy
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from steps import URL, Steps


def main() -> None:
    steps = Steps()
    steps.version = f"{version('jupysql')}, pandas {version('pandas')}"
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "sql")
    shell.run_line_magic("config", "SqlMagic.displaycon = False")
    shell.run_line_magic("config", "SqlMagic.feedback = 0")
    shell.run_line_magic("config", "SqlMagic.displaylimit = None")
    steps.run("%sql: connect", lambda: str(line(shell, "sql", f"postgresql+psycopg2://{URL}")))

    def rows(query: str) -> Any:
        return [list(row) for row in line(shell, "sql", query)]

    steps.run("%sql: rows", lambda: rows("SELECT * FROM customers ORDER BY customer_id LIMIT 5"))
    shell.push({"region": 3})
    steps.run("%sql: variable", lambda: rows("SELECT count(*) FROM stores WHERE region_id = {{region}}"))
    saved = "SELECT channel, count(*) AS n FROM orders GROUP BY 1"
    steps.run("%%sql: saved query", lambda: cell(shell, "--save by_channel", saved))
    steps.run("%%sql: query on it", lambda: cell(shell, "--with by_channel", "SELECT * FROM by_channel ORDER BY 1"))
    steps.run("%%sql: several", lambda: cell(shell, "", "SELECT 1; SELECT count(*) FROM orders"))
    steps.run("%sqlcmd tables", lambda: str(line(shell, "sqlcmd", "tables")))
    for table in ("orders", "employees", "customers"):
        steps.run(f"%sqlcmd columns of {table}", lambda table=table: str(line(shell, "sqlcmd", f"columns -t {table}")))
    steps.run("%sqlcmd profile", lambda: str(line(shell, "sqlcmd", "profile -t stores")))
    steps.run("%sqlcmd test", lambda: str(line(shell, "sqlcmd", "test -t orders -c order_id --greater 0")))
    for plot in (
        "bar --table orders --column channel",
        "histogram --table stores --column floor_area --bins 5",
        "boxplot --table stores --column floor_area",
    ):
        steps.run(f"%sqlplot {plot.split()[0]}", lambda plot=plot: type(line(shell, "sqlplot", plot)).__name__)
    steps.run("hidden column", lambda: rows("SELECT salary FROM employees"))
    stores = "SELECT * FROM stores ORDER BY 1"
    steps.run("DataFrame()", lambda: line(shell, "sql", stores).DataFrame().describe(include="all").to_csv())
    pandas(steps)
    steps.print()


def line(shell: InteractiveShell, magic: str, text: str) -> Any:
    with capture_output():
        return shell.run_line_magic(magic, text)


def cell(shell: InteractiveShell, text: str, body: str) -> Any:
    with capture_output():
        return [list(row) for row in shell.run_cell_magic("sql", text, body) or []]


def pandas(steps: Steps) -> None:
    engine = sqlalchemy.create_engine(f"postgresql+psycopg2://{URL}")
    join = (
        "SELECT o.channel, i.revenue, o.ordered_at FROM orders o JOIN order_items i USING (order_id) "
        "ORDER BY o.order_id, i.line_number"
    )

    def frame() -> Any:
        read = pd.read_sql_query(join, engine)
        by = read.groupby([read["ordered_at"].dt.year, "channel"])["revenue"].sum()
        return [str(read.dtypes.to_dict()), by.round(2).to_csv()]

    steps.run("read_sql_query, grouped", frame)
    named = sqlalchemy.text("SELECT name FROM stores WHERE region_id = :r ORDER BY 1")
    steps.run("read_sql_query, parameters", lambda: pd.read_sql_query(named, engine, params={"r": 3}).to_csv())
    steps.run("read_sql_table", lambda: sorted(pd.read_sql_table("orders", engine)["order_id"].tolist()))
    some = ["employee_id", "name"]
    steps.run("read_sql_table: columns", lambda: pd.read_sql_table("employees", engine, columns=some).shape)
    steps.run("read_sql_table: hidden column", lambda: pd.read_sql_table("employees", engine).shape)
    with engine.connect().execution_options(stream_results=True) as streaming:
        steps.run("in chunks", lambda: [len(part) for part in pd.read_sql_query(join, streaming, chunksize=2000)])
    first = "SELECT * FROM customers ORDER BY customer_id LIMIT 5"
    steps.run("rows", lambda: pd.read_sql_query(first, engine).to_csv())
    steps.run("write", lambda: pd.DataFrame({"x": [1]}).to_sql("made", engine))
    engine.dispose()


main()
