"""Joins that an answer does not need: a small model joins every table that it has read of.

``needless(names)`` finds, in one SELECT at a time, a source that is there for its keys alone: each of its columns that
is used is equated by the inner joins with a column of another source. Rows of the others are multiplied by it, so
sums and counts come out too large. Whether it was meant as a condition ("customers who have orders") is for the
caller to say, who knows the question. ``drop`` takes it out and lets the others be joined as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot import exp

from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.names import fold, fold_alias, identifier, parse, selects

Meant = Callable[[tuple[str, str], tuple[tuple[str, str], ...], frozenset[str]], bool]
"""(a relation, the other relations of the SELECT, its columns that are joined on) -> whether the question speaks of it.
"""

Place = tuple[str, str]
"(alias, column)."
Pair = tuple[Place, Place]
Sources = dict[str, tuple[str, str]]
"Alias -> relation, in the order of FROM."


def without_needless_joins(sql: str, catalog: Catalog, meant: Meant) -> str:
    """``sql`` without the joined tables that only pass keys on and are not ``meant``; the same text without such.

    Raises StatementError (not readable), LimitError.
    """
    tree = parse(sql)
    changed = False
    for scope in selects(tree):
        if _is_taken_away(scope.expression):
            continue
        while _drop_one(scope.expression, catalog, meant):
            changed = True
    return tree.sql(dialect="postgres", normalize_functions=False) if changed else sql


def _drop_one(select: exp.Expr, catalog: Catalog, meant: Meant) -> bool:
    sources = _plain_sources(select, catalog)
    if sources is None or len(sources) < 2:
        return False
    equal = _equalities(select, sources)
    # With two sources, count(*) counts what the one has of the other; with more, one that is not meant multiplies.
    if equal is None or (len(sources) == 2 and _counts_rows(select)):
        return False
    # First those that nothing else is asked of, and last the one that the model began with.
    begun = next(iter(sources))
    used = {alias: sum(1 for _ in _uses(select, alias, sources, catalog)) for alias in sources}
    for alias in sorted(sources, key=lambda name: (used[name] > 0, name == begun)):
        others = tuple(relation for name, relation in sources.items() if name != alias)
        if _shows_all(select, alias):
            continue
        joined_on = frozenset(name for pair in equal for owner, name in pair if owner == alias)
        if meant(sources[alias], others, joined_on):
            continue
        moved = _stand_ins(select, alias, sources, equal, catalog)
        if moved is not None and _drop(select, alias, moved, list(_uses(select, alias, sources, catalog)), equal):
            return True
    return False


def _shows_all(select: exp.Expr, alias: str) -> bool:
    """``*`` or ``t.*`` in the select list: its columns are shown, though none is named."""
    return any(
        isinstance(item, exp.Star)
        or (isinstance(item, exp.Column) and isinstance(item.this, exp.Star) and fold(item.args["table"]) == alias)
        for item in select.expressions
    )


def _is_taken_away(select: exp.Expr) -> bool:
    """It says what is left out: ``… EXCEPT SELECT``, ``NOT IN (SELECT)``. A join in it is the condition."""
    inner: exp.Expr = select
    while (outer := inner.parent) is not None:
        if isinstance(outer, exp.Except) and outer.expression is inner:
            return True
        if isinstance(outer, exp.In | exp.Exists) and isinstance(outer.parent, exp.Not):
            return True
        if isinstance(outer, exp.Select):
            return False
        inner = outer
    return False


def _plain_sources(select: exp.Expr, catalog: Catalog) -> Sources | None:
    """Alias -> relation, in the order of FROM; None unless all are tables of the catalog that are inner joined."""
    start = select.args.get("from_")
    if start is None or select.args.get("laterals"):
        return None
    found: Sources = {}
    for item in (start.this, *(join.this for join in select.args.get("joins") or [])):
        if not isinstance(item, exp.Table) or item.args.get("joins") or not isinstance(item.this, exp.Identifier):
            return None
        relation = catalog.resolve(fold(item.args["db"]) if item.args.get("db") is not None else None, fold(item.this))
        if relation is None or fold_alias(item) in found:
            return None
        found[fold_alias(item)] = relation.key
    for join in select.args.get("joins") or []:
        inner = not join.side and join.kind in ("", "INNER") and not join.args.get("method")
        if not inner or join.args.get("on") is None or join.args.get("using"):
            return None
    return found


def _equalities(select: exp.Expr, sources: Sources) -> list[Pair] | None:
    """What the ON clauses equate; None when one says something else."""
    pairs = []
    for join in select.args.get("joins") or []:
        for condition in join.args["on"].flatten() if isinstance(join.args["on"], exp.And) else [join.args["on"]]:
            one, two = (condition.this, condition.expression) if isinstance(condition, exp.EQ) else (None, None)
            if not isinstance(one, exp.Column) or not isinstance(two, exp.Column):
                return None
            places = (_place(one), _place(two))
            if places[0][0] not in sources or places[1][0] not in sources:
                return None
            pairs.append(places)
    return pairs


def _counts_rows(select: exp.Expr) -> bool:
    """``count(*)`` counts the rows of whatever is joined."""
    return any(
        isinstance(count.this, exp.Star | exp.Literal) and count.find_ancestor(exp.Select) is select
        for count in select.find_all(exp.Count)
    )


def _stand_ins(
    select: exp.Expr, alias: str, sources: Sources, equal: list[Pair], catalog: Catalog
) -> dict[Place, Place] | None:
    """For each used column of ``alias`` an equal one of another source; None when there is not one for all."""
    groups = _classes(equal)
    moved: dict[Place, Place] = {}
    for column in _uses(select, alias, sources, catalog):
        place = (alias, fold(column.this))
        others = sorted(other for other in groups.get(place, ()) if other[0] != alias)
        if not others:
            return None
        moved[place] = others[0]
    keys = [place for pair in equal for place in pair if place[0] == alias]
    for key in keys:
        others = sorted(other for other in groups[key] if other[0] != alias)
        if not others:
            return None
        moved.setdefault(key, others[0])
    # Two different keys of it equated with others would be a bridge: without it nothing ties its two sides.
    if len({frozenset(groups[key]) for key in keys}) != 1 or not keys:
        return None
    return None if _counts_partners(select, alias, moved, groups[keys[0]]) else moved


def _counts_partners(select: exp.Expr, alias: str, moved: dict[Place, Place], keys: set[Place]) -> bool:
    """``count(t.id) … GROUP BY t.name`` counts what t is joined with: without the join it is one."""
    group = select.args.get("group")
    grouped = {fold(column.args["table"]) for column in group.find_all(exp.Column) if column.table} if group else set()
    for count in select.find_all(exp.Count):
        counted = count.this
        if isinstance(counted, exp.Column) and _place(counted) in keys:
            owner = moved.get(_place(counted), _place(counted))[0]
            if not grouped or owner in grouped or alias in grouped:
                return True
    return False


def _classes(equal: list[Pair]) -> dict[Place, set[Place]]:
    groups: dict[Place, set[Place]] = {}
    for one, two in equal:
        merged = groups.get(one, {one}) | groups.get(two, {two})
        for place in merged:
            groups[place] = merged
    return groups


def _uses(select: exp.Expr, alias: str, sources: Sources, catalog: Catalog) -> Iterator[exp.Column]:
    """Mentions of the source outside of the ON clauses: with its name, or bare where no other source has the column."""
    joins = {id(join) for join in select.args.get("joins") or []}
    names = {column.name for column in catalog.relations[sources[alias]].columns}
    for other, relation in sources.items():
        if other != alias:
            names -= {column.name for column in catalog.relations[relation].columns}
    for column in select.find_all(exp.Column):
        join = column.find_ancestor(exp.Join)
        if join is not None and id(join) in joins:
            continue
        if fold(column.args["table"]) == alias if column.table else fold(column.this) in names:
            yield column


def _drop(select: exp.Expr, alias: str, moved: dict[Place, Place], uses: list[exp.Column], equal: list[Pair]) -> bool:
    """False, and nothing is changed: without it another source would be joined with nothing."""
    groups = _classes(equal)
    start = select.args["from_"]
    items = [item for item in (start.this, *(join.this for join in select.args["joins"])) if fold_alias(item) != alias]
    placed, joins = {fold_alias(items[0])}, []
    for item in items[1:]:
        name = fold_alias(item)
        pairs = [
            (one, two) if one[0] == name else (two, one)
            for one, two in equal
            if name in (one[0], two[0]) and {one[0], two[0]} - {name} <= placed
        ]
        if not pairs:  # it was tied to the dropped one: tie it to what stands for that
            pairs = [
                (place, other)
                for place in sorted(groups)
                if place[0] == name
                for other in sorted(groups[place])
                if other[0] in placed
            ][:1]
        # What both it and a placed one were tied to by way of the dropped one ties them still.
        tied = {frozenset(groups[one]) for one, _ in pairs}
        for place in sorted(groups):
            group = frozenset(groups[place])
            others = sorted(other for other in group if other[0] in placed)
            if place[0] == name and group not in tied and others and any(other[0] == alias for other in group):
                pairs.append((place, others[0]))
                tied.add(group)
        if not pairs:
            return False
        placed.add(name)
        conditions = [exp.EQ(this=_named(one), expression=_named(two)) for one, two in pairs]
        joins.append(exp.Join(this=item, on=exp.and_(*conditions)))
    for column in uses:
        column.replace(_named(moved[alias, fold(column.this)]))
    start.set("this", items[0])
    select.set("joins", joins)
    return True


def _named(place: Place) -> exp.Column:
    alias, name = place
    return exp.Column(this=identifier(name), table=identifier(alias))


def _place(column: exp.Column) -> Place:
    return (fold(column.args["table"]) if column.args.get("table") is not None else "", fold(column.this))
