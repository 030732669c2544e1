"""The database and the policy that the tests of this folder share: one relation of each kind that an attack needs.

``company.sql`` makes the same database on a real server. PostgreSQL's own functions and system relations are recorded
from version 18.6 in ``fixtures/postgresql18_*.tsv``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import cast

from nlsql_gateway.policy import Policy, load
from nlsql_gateway.sql import Catalog, Column, ForeignKey, Function, Relation
from nlsql_gateway.sql.catalog import RelationKind, Volatility

FIXTURES = Path(__file__).parent / "fixtures"

# schema.name, kind, parent, columns; one a line
_RELATIONS = """
public.customers       | table             |           | id integer, name text, email text, ssn text, salary integer, region text, tenant_id integer
public.customers_child | table             | customers | id integer, name text, email text, ssn text, salary integer, region text, tenant_id integer, extra text
public.hr_salaries     | table             |           | id integer, employee text, amount integer
public.orders          | table             |           | id integer, customer_id integer, ssn text, total numeric(10;2), ordered_at date
public.events          | partitioned table |           | id integer, region text, what text
public.events_eu       | table             | events    | id integer, region text, what text
public.events_us       | table             | events    | id integer, region text, what text
public.Customers       | table             |           | id integer, Full_Name text
public.staff           | table             |           | id integer, name text, phone character varying(20), pay numeric(9;2), hired date
public.assignments     | table             |           | customer_id integer, person text
public.v_customers     | view              |           | id integer, ssn text
public.mv_customers    | materialized view |           | id integer, ssn text
public.v_open          | view              |           | id integer
public.seq1            | sequence          |           | last_value bigint, log_cnt bigint, is_called boolean
s2.customers           | table             |           | id integer, secret text
"""  # noqa: E501 - a table

_FUNCTIONS = (
    Function("public", "all_customers", "function", "stable", security_definer=True, returns_set=True, language="sql"),
    Function("public", "peek", "function", "stable", language="sql"),
    Function("public", "mutate", "function", "volatile", language="plpgsql"),
    Function("public", "shout", "function", "immutable", language="sql"),
)

POLICY = """
version: 1
name: company
users:
  eva:   {roles: [analyst], attributes: {region: EU, tenants: [1, 2]}}
  otto:  {roles: [analyst], attributes: {region: "O'Brien\\\\ EU"}}
  clara: {roles: [clerk]}
  tim:   {roles: [tenant, clerk], attributes: {tenants: [1, 2]}}
  boss:  {roles: [boss]}
  nobody: {roles: []}
  lost:  {roles: [analyst]}
roles:
  analyst:
    read:
      - {tables: [public.customers, public.customers_child, public.orders, "public.events*", public.Customers]}
      - {tables: public.staff, hide: [pay]}
      - public.v_open
    rows:
      - {tables: [public.customers, public.events], using: region = person.region}
    masks:
      - {columns: public.customers.ssn, with: "null"}
      - {columns: public.staff.phone, with: {partial: {last: 2}}}
      - {columns: public.staff.hired, with: year}
  clerk:
    read:
      - {tables: public.customers, columns: [id, name, region]}
      - public.orders
  tenant:
    read:
      - {tables: public.customers}
    rows:
      - {tables: public.customers, using: tenant_id = ANY(person.tenants)}
      - tables: public.customers
        using: EXISTS (SELECT 1 FROM public.assignments a WHERE a.customer_id = customers.id AND person = person.name)
  boss:
    read:
      - {tables: "*.*", views: true}
functions:
  allow: [public.shout]
"""


@cache
def policy(text: str = POLICY) -> Policy:
    return load(text, "company.yaml")


@cache
def catalog() -> Catalog:
    return Catalog(
        database="company",
        version="c1",
        server_version=180006,
        search_path=("pg_catalog", "public"),
        relations={relation.key: relation for relation in (*_own(), *_system())},
        functions=_functions(),
    )


def _own() -> Iterator[Relation]:
    for line in _RELATIONS.strip().splitlines():
        key, kind, parent, columns = (part.strip() for part in line.split("|"))
        schema, name = key.split(".")
        yield Relation(
            schema,
            name,
            cast("RelationKind", kind),
            tuple(_column(*column.split(" ", 1)) for column in columns.split(", ")),
            primary_key=("id",) if columns.startswith("id ") and kind == "table" else (),
            foreign_keys=(ForeignKey(("customer_id",), ("public", "customers"), ("id",)),) if name == "orders" else (),
            parents=(("public", parent),) if parent else (),
            estimated_rows=1000,
        )


def _column(name: str, of: str) -> Column:
    return Column(name.replace("_Name", " Name"), of.replace(";", ","), comment=f"the {name}")


def _system() -> Iterator[Relation]:
    for line in (FIXTURES / "postgresql18_relations.tsv").read_text().splitlines():
        schema, name, kind, columns = line.split("\t")
        pairs = [column.partition(":") for column in columns.split(",")]
        yield Relation(
            schema,
            name,
            "view" if kind == "v" else "table",
            tuple(Column(column, of) for column, colon, of in pairs if colon),
        )


def _functions() -> dict[str, tuple[Function, ...]]:
    volatilities: dict[str, Volatility] = {"i": "immutable", "s": "stable", "v": "volatile"}
    found: dict[str, list[Function]] = {}
    for line in (FIXTURES / "postgresql18_functions.tsv").read_text().splitlines():
        schema, name, kind, volatility, definer = line.split("\t")
        found.setdefault(name, []).append(
            Function(
                schema,
                name,
                "aggregate" if kind == "a" else "function",
                volatilities[volatility],
                security_definer=definer == "t",
            )
        )
    for function in _FUNCTIONS:
        found.setdefault(function.name, []).append(function)
    return {name: tuple(functions) for name, functions in found.items()}
