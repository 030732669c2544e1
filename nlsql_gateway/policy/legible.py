"""legible(): what of the catalog one person sees as it is stored. Only of this may values be kept for his questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nlsql_gateway.policy.access import access
from nlsql_gateway.policy.model import Policy, Principal
from nlsql_gateway.policy.open_catalogs import SYSTEM_SCHEMAS
from nlsql_gateway.sql import Catalog


@dataclass(frozen=True, slots=True)
class Legible:
    shown: Mapping[tuple[str, str], frozenset[str]]
    "The columns that are neither masked nor for aggregates only; of filtered relations too. None has no entry."
    whole: frozenset[tuple[str, str]]
    "The relations without a row filter: only of these may statistics be told, for they are of all rows."


def legible(catalog: Catalog, principal: Principal, policy: Policy) -> Legible:
    shown: dict[tuple[str, str], frozenset[str]] = {}
    whole = set()
    for key, relation in catalog.relations.items():
        if relation.kind == "sequence" or key[0] in SYSTEM_SCHEMAS:
            continue
        if policy.pass_through:
            shown[key] = frozenset(column.name for column in relation.columns)
            whole.add(key)
        elif (given := access(relation, principal, catalog, policy)) is not None:
            names = frozenset(column.name for column, mask in given.columns if mask is None)
            if names:
                shown[key] = names
                if given.condition is None:
                    whole.add(key)
    return Legible(shown, frozenset(whole))
