"""How large a relation is on disk: told of those that the person may read as a whole, NULL of all others.

A size tells roughly how many rows there are, hidden ones included. psql's ``\\dt+`` and every tool's list of tables ask
for the size of each relation in pg_class, so their argument becomes NULL where it is another relation, and the
functions are strict. A relation that the statement itself names must be readable as a whole.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import Final

from nlsql_gateway.policy.access import access
from nlsql_gateway.policy.case import Case
from nlsql_gateway.policy.literals import string
from nlsql_gateway.policy.names import Key, find, split
from nlsql_gateway.policy.open_catalogs import SYSTEM_SCHEMAS
from nlsql_gateway.sql.survey import FunctionUse, constant

SIZES: Final = frozenset({"pg_relation_size", "pg_table_size", "pg_total_relation_size", "pg_indexes_size"})

_MOST: Final = 1000
"""Names in the text that is sent; where more tables are readable, no size is told."""


def guarded(case: Case, use: FunctionUse) -> bool:
    """Whether ``use`` may run with its argument guarded; where the policy allows the function, it needs no guard."""
    policy = case.policy
    if use.name not in SIZES or use.schema not in ("", "pg_catalog") or not use.arguments:
        return False
    if use.name in policy.allowed_functions or use.name in policy.denied_functions:
        return False
    text = constant(use.arguments[0])
    if text is None:
        return "A_Const" not in use.arguments[0]  # an OID
    parts = split(text)
    if parts is None:
        return False
    key = find(parts[-2] if len(parts) > 1 else "", parts[-1], case.catalog, policy)
    return key is not None and _whole(case, key)


def guard(case: Case) -> tuple[str, str]:
    """What stands in front of the argument and behind it. OFFSET 0: what is compared is what is measured."""
    keys = list(islice((key for key in case.catalog.relations if _whole(case, key)), _MOST + 1))
    names = [json.dumps(key, ensure_ascii=False, separators=(",", ":")) for key in keys]
    listed = ", ".join(string(name) for name in names) if len(names) <= _MOST else ""
    behind = (
        ")::pg_catalog.regclass OFFSET 0) AS x(o) WHERE pg_catalog.array_to_json((pg_catalog."
        "pg_identify_object_as_address('pg_catalog.pg_class'::pg_catalog.regclass, o, 0)).object_names)::text"
        f" OPERATOR(pg_catalog.=) ANY (ARRAY[{listed}]::text[]))"
    )
    return "(SELECT o FROM (SELECT (", behind


def _whole(case: Case, key: Key) -> bool:
    relation = case.catalog.relations.get(key)
    if relation is None or key[0] in SYSTEM_SCHEMAS or relation.kind == "sequence":
        return False
    found = access(relation, case.principal, case.catalog, case.policy)
    return found is not None and found.whole
