"""How tables may be joined: a graph over keys, and the cheapest way through it (pure).

Declared foreign keys come first. Many databases declare none, so a column of one table that is named like a key of
another is taken for one too, at a higher price, where the two tables have no declared key between them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nlsql_gateway.sql.catalog import Catalog, Relation

Key = tuple[str, str]
"(schema, name) of a relation."

TO_PARENT, TO_CHILD, INFERRED, ALIKE, FIRST = 1.0, 1.125, 1.5, 1.75, 2.0
"""Prices of one join. Towards the referenced table no row is doubled, so that way is a little cheaper; ALIKE: keys
whose names only end alike; FIRST: no key's name, but the first column of a table that declares no key."""
MAX_JOINS = 3
"""Longer ways connect anything with anything."""

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
    for key in edges:
        for other in edges:
            if key < other and (key, other) not in declared:
                for on, price in _inferred(schema.relations[key], schema.relations[other]):
                    _add(edges, joined, key, other, on, price, price)
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


def _inferred(left: Relation, right: Relation) -> list[tuple[tuple[tuple[str, str], ...], float]]:
    """Pairs of columns that are named like a key and the reference to it, with the price; the types must agree."""
    found: list[tuple[tuple[tuple[str, str], ...], float]] = []
    for ours in left.columns:
        for theirs in right.columns:
            if family(ours.type) == family(theirs.type):
                price = _likeness(left, ours.name.lower(), right, theirs.name.lower())
                if price is not None:
                    found.append((((ours.name, theirs.name),), price))
    return found


def _likeness(left: Relation, ours: str, right: Relation, theirs: str) -> float | None:
    """The price of joining the two columns; None: nothing says that they belong together."""
    if ours == theirs:
        if _is_key_name(ours):
            return INFERRED
        return FIRST if "_" in ours and (_leads(left, ours) or _leads(right, theirs)) else None
    if _points(ours, right, theirs) or _points(theirs, left, ours):
        return INFERRED
    return ALIKE if _is_key_name(ours) and _is_key_name(theirs) and _ends_alike(ours, theirs) else None


def _is_key_name(name: str) -> bool:
    """``customer_id``, ``customerid``, ``cid``, ``country_code``; not ``id``, which names a key of any table."""
    return name.endswith(("id", "_key", "_code", "_no")) and name != "id"


def _leads(table: Relation, column: str) -> bool:
    return not table.primary_key and table.columns[0].name.lower() == column


def _points(column: str, table: Relation, key: str) -> bool:
    """``customer_id``, ``customer`` -> ``id`` or ``customer_id`` of customer(s)."""
    stem = column.removesuffix("id").removesuffix("key").removesuffix("code").rstrip("_")
    return stem in singulars(table.name.lower()) and key in ("id", "key", "code", f"{stem}_id", f"{stem}id")


def _ends_alike(ours: str, theirs: str) -> bool:
    """``parent_user_id`` and ``user_id``: by words; ``txcustid`` and ``sbcustid``, without words: by six letters."""
    common = 0
    while common < min(len(ours), len(theirs)) and ours[-1 - common] == theirs[-1 - common]:
        common += 1
    tail = ours[len(ours) - common :]
    if "_" in ours or "_" in theirs:
        whole = tail in (ours, theirs) or tail.startswith("_")
        return whole and "_" in tail.strip("_")
    return len(tail) >= 6


def singulars(name: str) -> frozenset[str]:
    """The name and what may be its singular: orders -> order, categories -> category, branches -> branch."""
    forms = {name, name.removesuffix("s"), name.removesuffix("es")}
    if name.endswith("ies"):
        forms.add(name[:-3] + "y")
    return frozenset(forms)
