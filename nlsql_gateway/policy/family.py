"""Helps ``access``: the partitions and children of a table, and what it is one of."""

from __future__ import annotations

from collections.abc import Iterator

from nlsql_gateway.sql import Catalog, Relation


def ancestors(relation: Relation, catalog: Catalog) -> Iterator[Relation]:
    """The tables that this one is a partition or child of, all the way up."""
    seen = {relation.key}
    waiting = list(relation.parents)
    while waiting:
        key = waiting.pop(0)
        if key not in seen and (parent := catalog.relations.get(key)) is not None:
            seen.add(key)
            waiting.extend(parent.parents)
            yield parent


def descendants(relation: Relation, catalog: Catalog) -> list[Relation]:
    """The partitions and children of this one, all the way down."""
    return [
        other
        for other in catalog.relations.values()
        if other.parents and any(parent.key == relation.key for parent in ancestors(other, catalog))
    ]
