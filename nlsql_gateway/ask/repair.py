"""Repair by code, before the model is asked again: names that stand in the wrong place, tables missing from a join.

A small model mostly fails on *where* a column is, not on which column is meant: of answers that do not run, most name
a column that stands in another table nearby. The catalog knows where, and the join graph knows the way there.

``STEPS`` is the order: each step looks at the outline of the text and gives the edits for the first fault it can mend,
or none. After every edit the text is read afresh and the steps start over, so no step needs to know of another. What
is not certain (two tables could be meant) is left alone: it becomes a ``Problem`` for the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from nlsql_gateway.ask.joins import INFERRED, Edge, Graph, Key, family, graph, singulars, way
from nlsql_gateway.ask.linking import words
from nlsql_gateway.ask.values import Problem
from nlsql_gateway.errors import LimitError, StatementError
from nlsql_gateway.sql.catalog import Catalog, Relation
from nlsql_gateway.sql.edits import AddJoin, Edit, Equate, Expand, RenameTable, Requalify, edit
from nlsql_gateway.sql.names import Outline, Scope, Source, Use, outline

Ways = Callable[[], Graph]
"The join graph, made when a step first needs it: most answers need none."

MAX_EDITS = 12
"""Rounds of repair; an answer that needs more is not worth mending."""
MAX_NAMES = 30
"""Names listed in one problem: a prompt that grows makes a small model worse."""


@dataclass(frozen=True, slots=True)
class Mended:
    sql: str
    "The candidate's own text where nothing was mended."
    problem: Problem | None
    "The first name that is still not there."
    strange: bool = False
    "No name or comment of the schema speaks of what that name is a kind of: it is not a matter of spelling."


def mend(sql: str, schema: Catalog) -> Mended:
    """``sql`` with its names put right as far as ``schema`` tells how. Never raises; text it can't read stays as is."""
    ways = cache(lambda: graph(schema))
    try:
        names = outline(sql, schema)
        for _ in range(MAX_EDITS):
            edits = _first(names, schema, ways)
            if not edits:
                break
            sql = edit(sql, edits, schema)
            names = outline(sql, schema)
    except (StatementError, LimitError):
        return Mended(sql, None)
    return _remaining(sql, names, schema)


def _first(names: Outline, schema: Catalog, ways: Ways) -> Sequence[Edit]:
    for step in STEPS:
        edits = step(names, schema, ways)
        if edits:
            return edits
    return ()


def rename_tables(names: Outline, schema: Catalog, _: Ways) -> Sequence[Edit]:
    """``customer`` for ``customers`` and the like: another case, or singular for plural, and only one such table."""
    for written in names.unknown:
        wanted = singulars(written.rsplit(".", 1)[-1].lower())
        found = [key for key in sorted(schema.relations) if singulars(key[1].lower()) & wanted]
        if len(found) == 1:
            return (RenameTable(written, found[0]),)
    return ()


def respell_columns(names: Outline, _: Catalog, __: Ways) -> Sequence[Edit]:
    """A name in mixed case written without quotes; ``river_length`` for ``length`` of river, and conversely."""
    for scope, use in _lost(names):
        for source in (*scope.sources, *(scope.outer if use.table else ())):
            if use.table not in ("", source.alias) or source.relation is None or source.has(use.column):
                continue
            spelled = [name for name in source.columns or () if _same_name(name, use.column, source.relation[1])]
            if len(spelled) == 1:
                return (Requalify(use.index, source.alias, spelled[0]),)
    return ()


def expand_outputs(names: Outline, _: Catalog, __: Ways) -> Sequence[Edit]:
    """A name of the select list in HAVING or WHERE: other databases know it there, Postgres does not."""
    for scope, use in _lost(names):
        known = not use.table and use.column in scope.outputs
        if known and (use.clause == "having" or (use.clause == "where" and use.column not in scope.aggregates)):
            return (Expand(scope.index, use.index),)
    return ()


def rejoin(names: Outline, schema: Catalog, ways: Ways) -> Sequence[Edit]:
    """An ON clause that equates what is not there, or two types that do not compare: the keys put in its place."""
    for scope in names.scopes:
        uses = {use.index: use for use in scope.uses}
        for pair in scope.equalities:
            if pair[0] not in uses or pair[1] not in uses:
                continue
            left, right = uses[pair[0]], uses[pair[1]]
            if all(_place(scope, use) for use in (left, right)) and not _clash(scope, left, right, schema):
                continue
            edits = _join_by_keys(scope, pair, left.join, schema, ways)
            if edits:
                return edits
    return ()


def right_keys(names: Outline, _: Catalog, ways: Ways) -> Sequence[Edit]:
    """``ON r.city = l.city`` where ``l.restaurant_id`` is a key: tables are joined by their key, if they have one."""
    for scope in names.scopes:
        uses = {use.index: use for use in scope.uses}
        relations = {source.alias: source.relation for source in scope.sources}
        pairs = [pair for pair in scope.equalities if pair[0] in uses and pair[1] in uses]
        for pair in pairs:
            left, right = uses[pair[0]], uses[pair[1]]
            alone = [uses[other[0]].join for other in pairs].count(left.join) == 1
            ours, theirs = relations.get(left.table), relations.get(right.table)
            if not alone or not left.join or ours is None or theirs is None or ours == theirs:
                continue
            direct = [edge for edge in ways().get(ours, ()) if edge.right == theirs]
            near = [edge.on[0] for edge in direct if edge.price <= INFERRED and len(edge.on) == 1]
            if len(near) == 1 and not any((left.column, right.column) in edge.on for edge in direct):
                return (Equate(pair, (left.table, near[0][0]), (right.table, near[0][1])),)
    return ()


def own_names(names: Outline, schema: Catalog, _: Ways) -> Sequence[Edit]:
    """``tv_channel.channel``: a table that is compared by its own name is compared by its ``id``."""
    for _scope, use, source, relation in _lost_of_tables_with_id(names, schema):
        if use.column.lower() in singulars(words(relation.name)[-1]):
            return (Requalify(use.index, source.alias, "id"),)
    return ()


def own_keys(names: Outline, schema: Catalog, _: Ways) -> Sequence[Edit]:
    """``car.make_id = maker.make_id``: a key that no way leads to, and that its table does not have, is its ``id``."""
    for scope, use, source, _relation in _lost_of_tables_with_id(names, schema):
        if use.column.lower().endswith("id") and (use.join or (use.clause == "output" and scope.outer)):
            return (Requalify(use.index, source.alias, "id"),)
    return ()


def _lost_of_tables_with_id(names: Outline, schema: Catalog) -> Iterator[tuple[Scope, Use, Source, Relation]]:
    """Lost mentions that can only be of one table, which has a column ``id``."""
    for scope, use in _lost(names):
        owners = [source for source in scope.sources if use.table in ("", source.alias)]
        relation = schema.relations.get(owners[0].relation) if len(owners) == 1 and owners[0].relation else None
        if relation is not None and relation.column("id") is not None:
            yield scope, use, owners[0], relation


def move_owners(names: Outline, _: Catalog, __: Ways) -> Sequence[Edit]:
    """A column that another source of the query has, and only that one; or a bare one whose owners are equated."""
    for scope, use in _lost(names):
        own = [source for source in _seen(scope, use) if source.columns is not None and use.column in source.columns]
        outer = scope.outer if use.table else ()
        found = own or [source for source in outer if source.columns is not None and use.column in source.columns]
        named = [source for source in found if source.relation is not None and source.relation[1] == use.table]
        chosen = named if len(named) == 1 else found
        if len(chosen) == 1 or (chosen and _equated(scope, chosen, use.column)):
            return (Requalify(use.index, chosen[0].alias),)
    return ()


def add_joins(names: Outline, schema: Catalog, ways: Ways) -> Sequence[Edit]:
    """The nearest table that has a column which no table of the query has, joined over keys."""
    for scope, use in _lost(names):
        if any(source.columns is None or use.column in source.columns for source in scope.sources):
            continue
        sources = [source for source in _before(scope, use.join) if source.relation is not None]
        starts = [source.relation for source in sources if source.relation is not None]
        found = [
            (sum(edge.price for edge in edges), edges)
            for key in _owners(schema, use)
            if key not in starts and (edges := way(ways(), starts, key)) is not None
        ]
        found.sort(key=lambda priced: priced[0])
        if not found or (len(found) > 1 and found[0][0] == found[1][0]):
            continue  # nothing is near, or two tables are equally near: a guess
        joins, alias = _chain(scope, sources, found[0][1])
        return (*joins, Requalify(use.index, alias), *_pins(scope, joins, schema, use))
    return ()


Step = Callable[[Outline, Catalog, Ways], Sequence[Edit]]
STEPS: tuple[Step, ...] = (
    rename_tables,
    respell_columns,
    expand_outputs,
    rejoin,
    right_keys,
    own_names,
    move_owners,
    add_joins,
    own_keys,
)


def _lost(names: Outline) -> Iterator[tuple[Scope, Use]]:
    """Mentions of a column that Postgres would not find, or not be sure of."""
    for scope in names.scopes:
        for use in scope.uses:
            if not _place(scope, use):
                yield scope, use


def _place(scope: Scope, use: Use) -> bool:
    """Whether the mention means exactly one column, as far as the catalog tells."""
    if use.table:
        named = [source for source in (*scope.sources, *scope.outer) if source.alias == use.table]
        return bool(named) and named[0].has(use.column)
    if use.column in scope.merged or (use.column in scope.outputs and use.clause not in ("where", "having")):
        return True
    if any(source.alias == use.column for source in (*scope.sources, *scope.outer)):
        return True  # a whole-row reference
    here = [source for source in scope.sources if source.has(use.column)]
    if here:
        return len(here) == 1 or any(source.columns is None for source in here)
    # ``x IN (SELECT x FROM t)`` where t has no x is valid SQL, and always a mistake: the inner x is the outer one.
    stray = use.clause == "output" and bool(scope.sources)
    return not stray and any(source.has(use.column) for source in scope.outer)


def _clash(scope: Scope, left: Use, right: Use, schema: Catalog) -> bool:
    types = []
    for use in (left, right):
        source = next((source for source in scope.sources if source.alias == use.table), None)
        relation = schema.relations.get(source.relation) if source is not None and source.relation else None
        column = relation.column(use.column) if relation is not None else None
        if column is None:
            return False
        types.append(family(column.type))
    return types[0] != types[1]


def _join_by_keys(scope: Scope, pair: tuple[int, int], joined: str, schema: Catalog, ways: Ways) -> Sequence[Edit]:
    """Let the join of source ``joined`` go over keys from the sources before it, tables between included."""
    target = next((source for source in scope.sources if source.alias == joined), None)
    sources = [source for source in _before(scope, joined) if source.relation is not None]
    if target is None or target.relation is None or not sources:
        return ()
    starts = [source.relation for source in sources if source.relation is not None]
    edges = way(ways(), starts, target.relation) if target.relation not in starts else None
    if not edges or len(edges[-1].on) != 1:
        return ()
    joins, alias = _chain(scope, sources, edges[:-1])
    if not alias:
        alias = next(source.alias for source in sources if source.relation == edges[-1].left)
    theirs, ours = edges[-1].on[0]
    return (*joins, Equate(pair, (alias, theirs), (joined, ours)), *_pins(scope, joins, schema, None))


def _chain(scope: Scope, sources: Sequence[Source], edges: Iterable[Edge]) -> tuple[list[AddJoin], str]:
    """The joins that walk ``edges``, and the alias at their end; empty when there are none."""
    taken = {source.alias for source in (*scope.sources, *scope.outer)}
    at = {source.relation: source.alias for source in reversed(sources)}
    joins: list[AddJoin] = []
    alias = ""
    for edge in edges:
        anchor = at[edge.left]
        alias = edge.right[1]
        while alias in taken:
            alias += "_2"
        taken.add(alias)
        at[edge.right] = alias
        joins.append(AddJoin(scope.index, edge.right, alias, anchor, edge.on))
    return joins, alias


def _pins(scope: Scope, joins: Sequence[AddJoin], schema: Catalog, moved: Use | None) -> list[Requalify]:
    """Qualify the bare columns that the new tables would make ambiguous."""
    new = {column.name for join in joins for column in schema.relations[join.relation].columns}
    pins = []
    for use in scope.uses:
        owners = [source for source in scope.sources if source.columns is not None and use.column in source.columns]
        bare = not use.table and use is not moved and use.column not in scope.merged
        if bare and use.column in new and len(owners) == 1:
            pins.append(Requalify(use.index, owners[0].alias))
    return pins


def _same_name(name: str, written: str, table: str) -> bool:
    ours, theirs = name.lower(), written.lower()
    if ours == theirs:
        return True
    return any(theirs == f"{stem}_{ours}" or ours == f"{stem}_{theirs}" for stem in singulars(table.lower()))


def _seen(scope: Scope, use: Use) -> Sequence[Source]:
    """The sources that this mention may move to. In ON, never the one on the other side of its equality."""
    if not use.join:
        return scope.sources
    uses = {other.index: other for other in scope.uses}
    across = {
        uses[right if left == use.index else left].table
        for left, right in scope.equalities
        if use.index in (left, right) and left in uses and right in uses
    }
    joined = [source for source in scope.sources if source.alias == use.join]
    return [source for source in (*_before(scope, use.join), *joined) if source.alias not in across]


def _before(scope: Scope, join: str) -> Sequence[Source]:
    """The sources that an ON clause of the join to ``join`` may name, that one excepted; all outside of ON."""
    aliases = [source.alias for source in scope.sources]
    return scope.sources[: aliases.index(join)] if join in aliases else scope.sources


def _owners(schema: Catalog, use: Use) -> list[Key]:
    """The relations that have the column; if its qualifier names one of them, that one."""
    having = [key for key in sorted(schema.relations) if schema.relations[key].column(use.column) is not None]
    named = [key for key in having if key[1] == use.table]
    return named or having


def _equated(scope: Scope, sources: Sequence[Source], column: str) -> bool:
    """Whether an ON clause says that ``column`` is the same in all ``sources``."""
    uses = {use.index: use for use in scope.uses}
    same = {
        frozenset((uses[left].table, uses[right].table))
        for left, right in scope.equalities
        if left in uses and right in uses and uses[left].column == uses[right].column == column
    }
    first, *rest = sources
    return all(frozenset((first.alias, source.alias)) in same for source in rest)


def _remaining(sql: str, names: Outline, schema: Catalog) -> Mended:
    if names.unknown:
        tables = ", ".join(relation.name for relation in _some(schema.relations.values()))
        message = f"table {names.unknown[0]} does not exist; there are: {tables}"
        return Mended(sql, Problem(message, unknown=True), _strange(names.unknown[0], schema))
    for scope, use in _lost(names):
        having = [source for source in scope.sources if source.columns is not None and use.column in source.columns]
        if not use.table and len(having) > 1:
            owners = " and in ".join(source.alias for source in having)
            return Mended(sql, Problem(f"column {use.column} is ambiguous: it is in {owners}"))
        unknown = not _owners(schema, use)
        problem = Problem(_missing(scope, use, schema), unknown=unknown)
        return Mended(sql, problem, unknown and _strange(use.column, schema))
    return Mended(sql, None)


def _strange(name: str, schema: Catalog) -> bool:
    """Whether the last word of ``name``, which says what it is a kind of, is in no name and no comment."""
    kind = words(name)[-1:]
    relations = schema.relations.values()
    said = [f"{relation.name} {relation.comment}" for relation in relations]
    said += [f"{column.name} {column.comment}" for relation in relations for column in relation.columns]
    return not any(word in kind for text in said for word in words(text))


def _missing(scope: Scope, use: Use, schema: Catalog) -> str:
    source = next((source for source in (*scope.sources, *scope.outer) if source.alias == use.table), None)
    where = [source] if source is not None else list(scope.sources)
    names = [item.relation[1] if item.relation else item.alias for item in where]
    parts = [f"column {use.column} does not exist in {' or '.join(names) or 'the query'}"]
    owners = _owners(schema, use)
    if owners:
        parts.append(f"{use.column} is in {', '.join(key[1] for key in owners[:MAX_NAMES])}")
    else:
        parts.extend(
            f"{name} has: {', '.join(item.columns[:MAX_NAMES])}"
            for name, item in zip(names, where, strict=True)
            if item.columns
        )
    return "; ".join(parts)


def _some(relations: Iterable[Relation]) -> list[Relation]:
    return sorted(relations, key=lambda relation: relation.key)[:MAX_NAMES]
