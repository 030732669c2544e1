"""SQLAlchemy 2: every method of the Inspector, automap, and queries as tools that build on it write them."""

from __future__ import annotations

import inspect
from typing import Any

import sqlalchemy
from sqlalchemy import MetaData, Table, func, select
from sqlalchemy.engine.reflection import Inspector, ObjectKind, ObjectScope
from sqlalchemy.ext.automap import automap_base
from steps import URL, Steps

LEFT_OUT = {
    "clear_cache": "reads nothing",
    "info_cache": "reads nothing",
    "reflect_table": "called by Table(autoload_with=), below",
    "from_engine": "makes an Inspector",
    "get_view_definition": "there is no view",
    "sort_tables_on_foreign_key_dependency": "called below, without arguments",
}
MORE = {"column_name": "region_id", "index_name": "orders_region_id_idx"}


def plain(value: Any) -> Any:
    """As JSON has it; types by their SQL, and sets of unordered rows in order."""
    if isinstance(value, dict):
        return sorted(([str(key), plain(one)] for key, one in value.items()), key=str)
    if isinstance(value, list | tuple | set):
        return [plain(one) for one in value]
    return value if isinstance(value, int | float | str | None) else str(value)


def main() -> None:
    steps = Steps()
    steps.version = sqlalchemy.__version__
    engine = sqlalchemy.create_engine(f"postgresql+psycopg://{URL}")
    look = sqlalchemy.inspect(engine)
    methods = [name for name, _ in inspect.getmembers(type(look), callable) if not name.startswith("_")]
    for name in methods:
        if name in LEFT_OUT or name in {"engine", "bind", "dialect"}:
            continue
        call(steps, look, name)
    steps.run("sort_tables_on_foreign_key_dependency", lambda: plain(look.sort_tables_on_foreign_key_dependency()))
    metadata = MetaData()
    steps.run("MetaData.reflect", lambda: (metadata.reflect(engine), sorted(metadata.tables))[1])
    base = automap_base()
    steps.run("automap", lambda: (base.prepare(autoload_with=engine), sorted(base.classes.keys()))[1])
    orders = Table("orders", MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        steps.run("count", lambda: connection.scalar(select(func.count()).select_from(orders)))
        steps.run(
            "grouped",
            lambda: plain(
                connection.execute(
                    select(orders.c.channel, func.count()).group_by(orders.c.channel).order_by(orders.c.channel)
                ).all()
            ),
        )
        customers = Table("customers", MetaData(), autoload_with=connection)
        steps.run("rows", lambda: plain(connection.execute(select(customers).order_by(customers.c[0]).limit(5)).all()))
        steps.run(
            "streamed",
            lambda: sum(
                1
                for _ in connection.execution_options(stream_results=True, max_row_buffer=50).execute(select(customers))
            ),
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        steps.run("autocommit", lambda: connection.scalar(sqlalchemy.text("SELECT 1")))
    with engine.connect().execution_options(isolation_level="SERIALIZABLE", postgresql_readonly=True) as connection:
        steps.run("serializable, read only", lambda: connection.scalar(sqlalchemy.text("SHOW transaction_isolation")))
    steps.run("server_version_info", lambda: plain(engine.dialect.server_version_info))
    engine.dispose()
    steps.print()


def call(steps: Steps, look: Inspector, name: str) -> None:
    """Each method once; those of one table on three of them, those of many with every kind of object."""
    method = getattr(look, name)
    parameters = inspect.signature(method).parameters
    if "table_name" in parameters or "view_name" in parameters:
        for table in ("orders", "employees", "order_items"):
            more = [MORE[one] for one in parameters if one in MORE]
            steps.run(f"{name} of {table}", lambda table=table, more=more: plain(method(table, *more)))
    elif "table_names" in parameters:
        steps.run(name, lambda: plain(method(["orders", "none"])))
    elif "type_name" in parameters or "sequence_name" in parameters:
        steps.run(name, lambda: plain(method("none")))
    elif "kind" in parameters:
        steps.run(name, lambda: plain(method(kind=ObjectKind.ANY, scope=ObjectScope.ANY)))
    elif "schema_name" in parameters:
        steps.run(name, lambda: plain(method("public")))
    else:
        steps.run(name, lambda: plain(method()))


main()
