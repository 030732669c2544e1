"""information_schema lists what the person may read, as PostgreSQL's own does for a role (manual, chapter 35).

Without it, it would list what the gateway's role may read: a tool that puts every column it finds into a query would be
refused for a hidden one. What it leaves out are names, which pg_catalog tells everybody: nothing here need be fenced.
"""

from __future__ import annotations

from collections.abc import Iterator

from nlsql_gateway.policy.access import Access, access
from nlsql_gateway.policy.case import Case
from nlsql_gateway.policy.decision import Applied
from nlsql_gateway.policy.literals import string
from nlsql_gateway.policy.names import Key
from nlsql_gateway.policy.open_catalogs import SYSTEM_SCHEMAS
from nlsql_gateway.sql.quoting import identifier

MOST = 2000
"""Names in the text that is sent; where more would be left out, all are listed."""


def listed(key: Key, case: Case) -> Access | None:
    """Of a view of information_schema; None: there is nothing to leave out of it."""
    relation = case.catalog.relations.get(key)
    if relation is None or relation.column("table_schema") is None or relation.column("table_name") is None:
        return None
    own = identifier(relation.name)
    names = [f"{own}.table_schema::text", f"{own}.table_name::text"]
    tables = [string(f"{schema}.{name}") for schema, name in unreadable(case)]
    columns = []
    if relation.column("column_name") is not None:
        columns = [string(f"{schema}.{name}.{column}") for schema, name, column in _columns(case)]
    if not 0 < len(tables) + len(columns) <= MOST:
        return None
    terms = (_not_in(names, tables), _not_in([*names, f"{own}.column_name::text"], columns))
    return Access(
        relation,
        tuple((column, None) for column in relation.columns),
        condition=None,
        applied=(Applied("listed", f"{key[0]}.{key[1]}", "what may be read"),),
        limited=True,
        listed=" AND ".join(term for term in terms if term),
    )


def _not_in(names: list[str], left_out: list[str]) -> str:
    # A name that is NULL, as of the other side of some constraints, stays.
    joined = " OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) ".join(names)
    listed = ", ".join(left_out)
    return f"({joined} OPERATOR(pg_catalog.=) ANY (ARRAY[{listed}]::text[])) IS NOT TRUE" if left_out else ""


def unreadable(case: Case) -> Iterator[Key]:
    """Those of which the person may read nothing."""
    for key, relation in case.catalog.relations.items():
        if key[0] in SYSTEM_SCHEMAS or relation.kind == "sequence":
            continue
        if access(relation, case.principal, case.catalog, case.policy) is None:
            yield key


def _columns(case: Case) -> Iterator[tuple[str, str, str]]:
    """Those that the person may not read, of the tables of which there is something to read."""
    for key, relation in case.catalog.relations.items():
        if key[0] in SYSTEM_SCHEMAS or relation.kind == "sequence":
            continue
        found = access(relation, case.principal, case.catalog, case.policy)
        if found is not None:
            for name in sorted(found.hidden - {one.column.name for one in found.aggregates}):
                yield *key, name
