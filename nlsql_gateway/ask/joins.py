"""How tables may be joined: a graph over keys, and the cheapest way through it (pure).

Declared foreign keys come first. Many databases declare none, so a column of one table that is named like a key of
another is taken for one too, at a higher price, where the two tables have no declared key between them. Where neither
keys nor names say anything, columns of which one holds the other's values do, at the highest.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nlsql_gateway.sql.catalog import Catalog, Column, Relation

Key = tuple[str, str]
"(schema, name) of a relation."
Place = tuple[Relation, Column]

TO_PARENT, TO_CHILD, INFERRED, ALIKE, FIRST, OVERLAP = 1.0, 1.125, 1.5, 1.75, 2.0, 2.5
"""Prices of one join. Towards the referenced table no row is doubled, so that way is a little cheaper; ALIKE: keys
whose names only end alike; FIRST: no key's name, but the first column of a table that declares no key; OVERLAP:
not their names, but their values."""
MAX_JOINS = 3
"""Longer ways connect anything with anything."""
MAX_GROUP = 8
"""Tables that share the name of a column and are all joined with one another by it."""

_FAMILIES = {
    "smallint": "number", "integer": "number", "bigint": "number", "numeric": "number", "real": "number",
    "double precision": "number", "text": "text", "character varying": "text", "character": "text", "date": "time",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edge:
    """One way from ``left`` to ``right``."""

    left: Key
    right: Key
    on: tuple[tuple[str, str], ...]
    "(column of left, column of right), all equal."
    price: float


Graph = Mapping[Key, tuple[Edge, ...]]
"""Every relation of the schema -> the edges that leave it, in canonical order."""


def graph(schema: Catalog) -> Graph:
    """The join graph of ``schema``, edges in both directions."""
    edges: dict[Key, list[Edge]] = {key: [] for key in sorted(schema.relations)}
    joined: set[tuple[Key, Key]] = set()
    for key in edges:
        for foreign in schema.relations[key].foreign_keys:
            target = schema.relations.get(foreign.target)
            # What this person may not read is not in the schema, so a key that leads there is no way.
            if target is None or not _readable(schema.relations[key], foreign.columns, target, foreign.target_columns):
                continue
            on = tuple(zip(foreign.columns, foreign.target_columns, strict=True))
            _add(edges, joined, key, target.key, on, TO_PARENT, TO_CHILD)
    declared = frozenset(joined)
    for one, two in _candidates(schema):
        if (one[0].key, two[0].key) not in declared:
            price = _likeness(*one, *two)
            if price is not None:
                _add(edges, joined, one[0].key, two[0].key, ((one[1].name, two[1].name),), price, price)
    named = frozenset(joined)
    for left, ours, right, theirs in schema.overlaps:
        if (left, right) not in named and left in edges and right in edges:
            _add(edges, joined, left, right, ((ours, theirs),), OVERLAP, OVERLAP)
    return {key: tuple(found) for key, found in edges.items()}


def way(graph: Graph, starts: Iterable[Key], goal: Key) -> tuple[Edge, ...] | None:
    """The cheapest edges from any of ``starts`` to ``goal``; None when there is none of at most MAX_JOINS edges."""
    queue: list[tuple[float, int, Key, tuple[Edge, ...]]] = [
        (0.0, order, start, ()) for order, start in enumerate(dict.fromkeys(starts))
    ]
    order = len(queue)
    seen: set[Key] = set()
    while queue:
        price, _, key, edges = heapq.heappop(queue)
        if key == goal:
            return edges
        if key in seen or len(edges) == MAX_JOINS:
            continue
        seen.add(key)
        for edge in graph.get(key, ()):
            order += 1
            heapq.heappush(queue, (price + edge.price, order, edge.right, (*edges, edge)))
    return None


def family(type_name: str) -> str:
    """Types that compare with each other without a cast; the type itself where nothing is known of it."""
    bare = type_name.split("(")[0].strip()
    return "time" if bare.startswith("timestamp") else _FAMILIES.get(bare, bare)


def _add(
    edges: dict[Key, list[Edge]],
    joined: set[tuple[Key, Key]],
    left: Key,
    right: Key,
    on: tuple[tuple[str, str], ...],
    there: float,
    back: float,
) -> None:
    edges[left].append(Edge(left, right, on, there))
    if left != right:
        edges[right].append(Edge(right, left, tuple((theirs, ours) for ours, theirs in on), back))
    joined.update({(left, right), (right, left)})


def _readable(left: Relation, columns: tuple[str, ...], right: Relation, target_columns: tuple[str, ...]) -> bool:
    return all(map(left.column, columns)) and all(map(right.column, target_columns))


def _candidates(schema: Catalog) -> list[tuple[Place, Place]]:
    """Pairs of columns worth a look, in canonical order: by shared names and endings, not by trying all with all."""
    groups: dict[tuple[str, str], list[Place]] = {}
    tables: dict[str, list[Relation]] = {}
    for key in sorted(schema.relations):
        for form in singulars(key[1].lower()):
            tables.setdefault(form, []).append(schema.relations[key])
    pairs: dict[tuple[Key, str, Key, str], tuple[Place, Place]] = {}

    def pair(one: Place, two: Place) -> None:
        if one[0].key != two[0].key:
            first, second = sorted((one, two), key=lambda place: place[0].key)
            pairs.setdefault((first[0].key, first[1].name, second[0].key, second[1].name), (first, second))

    for key in sorted(schema.relations):
        relation = schema.relations[key]
        for column in relation.columns:
            place, name = (relation, column), column.name.lower()
            if _is_key_name(name) or "_" in name:
                groups.setdefault(("name", name), []).append(place)
            if _is_key_name(name):
                groups.setdefault(("end", _ending(name)), []).append(place)
            for target in tables.get(_stem(name), ()):
                for other in target.columns:
                    if _points(name, target, other.name.lower()):
                        pair(place, (target, other))
    for group in groups.values():
        # In a crowd only the tables that a key is first in, or the primary key of, are joined to the others.
        heads = group if len(group) <= MAX_GROUP else [place for place in group if _heads(*place)][:MAX_GROUP]
        for head in heads:
            for place in group:
                pair(head, place)
    return [pairs[names] for names in sorted(pairs)]


def _heads(table: Relation, column: Column) -> bool:
    return table.primary_key == (column.name,) or table.columns[0] == column


def _likeness(left: Relation, ours: Column, right: Relation, theirs: Column) -> float | None:
    """The price of joining the two columns; None: nothing says that they belong together."""
    one, two = ours.name.lower(), theirs.name.lower()
    if family(ours.type) != family(theirs.type):
        return None
    if one == two:
        if _is_key_name(one):
            return INFERRED
        return FIRST if "_" in one and (_leads(left, one) or _leads(right, two)) else None
    if _points(one, right, two) or _points(two, left, one):
        return INFERRED
    return ALIKE if _is_key_name(one) and _is_key_name(two) and _ending(one) == _ending(two) else None


def _is_key_name(name: str) -> bool:
    """``customer_id``, ``customerid``, ``cid``, ``country_code``; not ``id``, which names a key of any table."""
    return name.endswith(("id", "_key", "_code", "_no")) and name != "id"


def _leads(table: Relation, column: str) -> bool:
    return not table.primary_key and table.columns[0].name.lower() == column


def _points(column: str, table: Relation, key: str) -> bool:
    """``customer_id``, ``customer`` -> ``id`` or ``customer_id`` of customer(s)."""
    stem = _stem(column)
    return stem in singulars(table.name.lower()) and key in ("id", "key", "code", f"{stem}_id", f"{stem}id")


def _stem(column: str) -> str:
    return column.removesuffix("id").removesuffix("key").removesuffix("code").rstrip("_")


def _ending(name: str) -> str:
    """``parent_user_id`` and ``user_id``: the last two words; ``txcustid`` and ``sbcustid``, without: six letters."""
    words = name.split("_")
    if len(words) > 1:
        return "_".join(words[-2:])
    return name[-6:] if len(name) >= 6 else name


def singulars(name: str) -> frozenset[str]:
    """The name and what may be its singular: orders -> order, categories -> category, branches -> branch."""
    forms = {name, name.removesuffix("s"), name.removesuffix("es")}
    if name.endswith("ies"):
        forms.add(name[:-3] + "y")
    return frozenset(forms)
