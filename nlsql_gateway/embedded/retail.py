"""Loads the demonstration database: the tables of retail.sql, rows from a seeded generator, the gateway's service role.

The same day gives the same rows. retail_words.py is what they are made of, retail_company.py makes the company,
retail_sales.py its sales.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from random import Random

from nlsql_gateway.embedded import retail_company, retail_sales, retail_words
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.embedded.retail_company import Rows, Table
from nlsql_gateway.embedded.retail_words import CATEGORIES, REGIONS

DATABASE = "retail"
ROLE = "gateway"

KEEP_FOR = timedelta(days=7)
"A database loaded longer ago is loaded again, so that its newest orders are of these days."

_SCHEMA = Path(__file__).with_name("retail.sql")
_BATCH = 64 * 1024

Progress = Callable[[str, int], None]
"Called with a table's name and its number of rows, before each table is sent."


def load(
    server: EmbeddedPostgres, *, today: date, password: str, progress: Progress = lambda _table, _rows: None
) -> int:
    """Make the database ``retail`` anew, and the role ``gateway`` with ``password``. Returns the number of rows.

    A database of that name is dropped first. The newest order is of the day before ``today``; the same day gives the
    same rows. Raises UpstreamError.
    """
    server.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    server.execute(f"CREATE DATABASE {DATABASE}")
    count = 0

    def script() -> Iterator[bytes]:
        nonlocal count
        yield _SCHEMA.read_bytes()
        for table in tables(today):
            progress(table.name, len(table.rows))
            count += len(table.rows)
            yield f"COPY {table.name} ({table.columns.replace(' ', ', ')}) FROM STDIN;\n".encode()
            yield from _copy_lines(table.rows)
            yield b"\\.\n"

    server.load(script(), DATABASE)
    server.execute("VACUUM ANALYZE", DATABASE)
    _grant(server, password)
    server.execute(f"COMMENT ON DATABASE {DATABASE} IS '{_mark(today)}'")  # last: says that all of it is there
    return count


def tables(today: date, *, seed: int = 7) -> Iterator[Table]:
    """All rows, in an order that satisfies the foreign keys."""
    random = Random(seed)  # noqa: S311 - reproducible on purpose
    stores, store_rows = retail_company.stores(random, today)
    sellers, employee_rows = retail_company.employees(random, today, stores)
    customers, customer_rows = retail_company.customers(random, today)
    supplier_rows = retail_company.suppliers(random)
    products, product_rows = retail_company.products(random, today, len(supplier_rows))
    yield Table("regions", "region_id name", list(enumerate(REGIONS, 1)))
    yield Table("stores", "store_id name region_id city opened_on floor_area", store_rows)
    yield Table(
        "employees", "employee_id name email job_title region_id store_id manager_id salary hired_on", employee_rows
    )
    yield Table("customers", "customer_id name email phone region_id city segment signed_up_on", customer_rows)
    yield Table("suppliers", "supplier_id name country contact_email lead_time_days", supplier_rows)
    yield Table("categories", "category_id name", list(enumerate(CATEGORIES, 1)))
    yield Table(
        "products",
        "product_id name category_id supplier_id list_price unit_cost launched_on discontinued",
        product_rows,
    )
    yield from retail_sales.sales(random, today, stores, sellers, customers, products)
    yield Table(
        "inventory",
        "store_id product_id quantity reorder_level counted_on",
        retail_company.inventory(random, today, stores, products),
    )


def is_loaded(server: EmbeddedPostgres, *, today: date) -> bool:
    """Whether the database is there, whole, made by this version of the files, and not older than ``KEEP_FOR``."""
    mark = server.execute(f"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{DATABASE}'")
    made = re.fullmatch(r"(\d{4}-\d\d-\d\d) ([0-9a-f]+)", mark)
    if made is None:
        return False
    day = date.fromisoformat(made[1])
    return mark == _mark(day) and day <= today <= day + KEEP_FOR


def _mark(day: date) -> str:
    digest = hashlib.sha256()
    for source in (_SCHEMA, *(Path(str(module.__file__)) for module in (retail_company, retail_sales, retail_words))):
        digest.update(source.read_bytes())
    return f"{day.isoformat()} {digest.hexdigest()[:16]}"


def _grant(server: EmbeddedPostgres, password: str) -> None:
    """A service role as `nlsql-gateway check` wants it: it may log in and SELECT, nothing else."""
    exists = server.execute(f"SELECT 1 FROM pg_roles WHERE rolname = '{ROLE}'") == "1"
    server.execute(
        f"{'ALTER' if exists else 'CREATE'} ROLE {ROLE} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION "
        f"NOBYPASSRLS PASSWORD '{password.replace(chr(39), chr(39) * 2)}'"
    )
    server.execute(f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC; GRANT CONNECT ON DATABASE {DATABASE} TO {ROLE}")
    server.execute(
        f"GRANT USAGE ON SCHEMA public TO {ROLE}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ROLE}", DATABASE
    )


def _copy_lines(rows: Rows) -> Iterator[bytes]:
    r"""COPY's text format: tabs between values, \N for null. The generator's texts need no escapes; that is checked."""
    text = ""
    for row in rows:
        line = "\t".join("\\N" if value is None else str(value) for value in row)
        if line.count("\t") != len(row) - 1 or "\n" in line or "\\" in line.replace("\\N", ""):
            raise ValueError(f"a value that COPY would need escaped: {row}")
        text += line + "\n"
        if len(text) > _BATCH:
            yield text.encode()
            text = ""
    yield text.encode()
