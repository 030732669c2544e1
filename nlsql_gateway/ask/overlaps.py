"""Joins that values tell of: all values of one column are values of another table's, which has each once (pure).

Only where neither a key nor a name says how two tables are joined. Only texts: numbers that count from 1 are contained
in any other column of such.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from nlsql_gateway.ask.joins import graph
from nlsql_gateway.ask.vocabulary import Held, Overlap, Place
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.names import quote

LEAST: Final = 3
"""Values that a column must have to be contained in another by more than chance."""
MAX_HOLDERS: Final = 3
"""Columns that contain another: more of them say nothing of which is meant."""
MAX_OVERLAPS: Final = 200
"""Of one schema."""
TESTED: Final = 50
"""Values of a column that a statement looks for in another."""


def overlaps(columns: Iterable[Held], schema: Catalog) -> list[Overlap]:
    """Those between ``columns``, whose values are known, in canonical order; one for two tables."""
    held = sorted(columns, key=lambda one: one.place)
    unique: dict[str, list[Held]] = defaultdict(list)
    for one in held:
        if is_key(one, schema):
            for value in one.values:
                unique[value].append(one)
    sets = {one.place: frozenset(one.values) for one in held}
    joined = _joined(schema)
    found: dict[tuple[str, ...], Overlap] = {}
    for one in held:
        if len(one.values) < LEAST:
            continue
        holders = [other for other in unique.get(one.values[0], ()) if other.place[0] != one.place[0]]
        holders = [other for other in holders if sets[one.place] <= sets[other.place]]
        if len(holders) > MAX_HOLDERS:
            continue
        for other in holders:
            (left, ours), (right, theirs) = one.place, other.place
            pair = tuple(part for key in sorted((left, right)) for part in key)
            if (left, right) not in joined:
                # Of two that fit, the one whose values fill the other's most.
                known = found.get(pair)
                if known is None or _share(sets, known) < len(sets[one.place]) / len(sets[other.place]):
                    found[pair] = (left, ours, right, theirs)
    return sorted(found.values())[:MAX_OVERLAPS]


def to_test(columns: Iterable[Held], keys: Iterable[Place], schema: Catalog) -> list[Overlap]:
    """Those that may be there with ``keys``, columns that have each value once but too many to be known.

    Both in one schema, the columns with the most values first: what has few is seldom a key of what has many.
    """
    joined = _joined(schema)
    found = [
        (-len(one.values), (*one.place, *key))
        for key in keys
        for one in columns
        if len(one.values) >= LEAST and one.place[0] != key[0] and one.place[0][0] == key[0][0]
        if (one.place[0], key[0]) not in joined
    ]
    return [overlap for _, overlap in sorted(found)]


def containment(overlap: Overlap) -> str:
    """A SELECT of one row: how many values of the one column there are, at most TESTED, and how many the other has.

    The values are not in its text: that is recorded.
    """
    left, ours, right, theirs = overlap
    one, other = quote(ours), quote(theirs)
    values = f"SELECT {one} AS value FROM {_table(left)} WHERE {one} IS NOT NULL GROUP BY {one} LIMIT {TESTED}"
    return (
        f"SELECT count(*), count(held.{other}) FROM ({values}) AS tested "
        f"LEFT JOIN {_table(right)} AS held ON held.{other} = tested.value"
    )


def is_key(held: Held, schema: Catalog) -> bool:
    """Whether the column has each value once and no other is known to come."""
    key, column = held.place
    unique = held.unique or schema.relations[key].primary_key == (column,)
    return unique and held.complete and len(held.values) >= LEAST


def _joined(schema: Catalog) -> set[tuple[tuple[str, str], tuple[str, str]]]:
    return {(edge.left, edge.right) for edges in graph(schema).values() for edge in edges}


def _share(sets: dict[Place, frozenset[str]], overlap: Overlap) -> float:
    left, ours, right, theirs = overlap
    return len(sets[left, ours]) / len(sets[right, theirs])


def _table(key: tuple[str, str]) -> str:
    return f"{quote(key[0])}.{quote(key[1])}"
