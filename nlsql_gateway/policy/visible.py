"""visible(): the catalog as one person may see it. What is not in it never gets into a model's prompt."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from nlsql_gateway.policy.access import access
from nlsql_gateway.policy.model import Policy, Principal
from nlsql_gateway.policy.open_catalogs import SYSTEM_SCHEMAS
from nlsql_gateway.sql import Catalog, Relation

Key = tuple[str, str]


def visible(catalog: Catalog, principal: Principal, policy: Policy) -> Catalog:
    """User relations and columns that ``principal`` may read. Comments stay; functions go.

    Masked columns stay, but not the list of what they may hold.
    """
    found: dict[Key, Relation] = {}
    for key, relation in catalog.relations.items():
        if relation.kind == "sequence" or key[0] in SYSTEM_SCHEMAS:
            continue
        if policy.pass_through:
            found[key] = relation
        elif (given := access(relation, principal, catalog, policy)) is not None:
            told = {
                column.name: column if shown is None else replace(column, values=()) for column, shown in given.columns
            }
            grouped = {one.column.name for one in given.aggregates}
            columns = tuple(
                told[column.name]
                if column.name in told
                else replace(column, values=(), comment=f"{column.comment} (in aggregates only)".strip())
                for column in relation.columns
                if column.name in told or column.name in grouped
            )
            # A count of all rows tells how many are hidden.
            rows = relation.estimated_rows if given.condition is None else -1
            found[key] = replace(relation, columns=columns, estimated_rows=rows)
    return replace(
        catalog,
        version=_version(catalog, principal, policy),
        relations={key: _trimmed(relation, found) for key, relation in found.items()},
        functions={},
    )


def _trimmed(relation: Relation, found: dict[Key, Relation]) -> Relation:
    """Without keys that name a relation or column not seen."""
    names = {column.name for column in relation.columns}
    return replace(
        relation,
        primary_key=relation.primary_key if names.issuperset(relation.primary_key) else (),
        foreign_keys=tuple(
            key
            for key in relation.foreign_keys
            if names.issuperset(key.columns)
            and key.target in found
            and {column.name for column in found[key.target].columns}.issuperset(key.target_columns)
        ),
        parents=tuple(parent for parent in relation.parents if parent in found),
    )


def _version(catalog: Catalog, principal: Principal, policy: Policy) -> str:
    seen_as = [catalog.version, policy.version, *sorted(principal.roles), "", *sorted(principal.attributes)]
    return hashlib.sha256("\0".join(seen_as).encode()).hexdigest()
