"""Helps ``rewrite``: conditions on a column that is equal to one inside a fence go inside too, so that indexes work.

``WHERE c.id = 5 AND o.customer = c.id AND 1 / o.total > 2``: the last condition keeps the fence of o, which hides from
the planner that o.customer = 5. What ``pushdown`` allows of c.id holds for o.customer where these are of one type, and
may go inside of o by the same argument. It leaves out only what is left out anyway:

- Beside each other in FROM, whether the equality stands in WHERE or in ON of a join, inner or outer, that has c on one
  side and o on the other: a row that comes out has c.id = 5, so it has a row of c, and the rows of o that meet that one
  are those with customer = 5. Rows of c without such come out as before; what else becomes of other rows, WHERE leaves
  out. Not so in ON of an outer join that has both on one side: there it keeps no row of them away.
- In a query within the WHERE clause or the select list of the one that has c, such as EXISTS: what it finds for a row
  of c with another id does not matter, since that row is left out.

The condition itself must stand in WHERE: in ON of an outer join it would not hold of all rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from nlsql_gateway.policy.case import Read
from nlsql_gateway.policy.correlated import Around, around_of, clauses_of, leaves, sublinks
from nlsql_gateway.policy.grouping import tables_of
from nlsql_gateway.policy.leakproof import comparable_type
from nlsql_gateway.policy.pushdown import Parameters, filtered, lacks, parameters_of, restated, terms
from nlsql_gateway.sql import Column
from nlsql_gateway.sql.grammar import Node
from nlsql_gateway.sql.survey import Survey, strings

Place = tuple[int, str]
"""A table's location and a column of it."""

_Equality = tuple[tuple[tuple[str, ...], ...], frozenset[int] | None]
"""The names on both sides; of a join, the tables on its left."""


def implications(
    survey: Survey, reads: Sequence[Read], fenced: Sequence[Read], own: frozenset[str] | None, declared: Sequence[Node]
) -> Mapping[int, tuple[str, ...]]:
    """For each of the ``fenced`` tables with a row filter, by its location: what to add to that filter."""
    candidates = filtered(fenced)
    found: dict[int, tuple[str, ...]] = {}
    if not candidates or len(survey.tables) < 2 or own is None or "=" in own:
        return found
    by_location = {read.use.location: read for read in reads}
    once = parameters_of(survey, own, declared)
    nested = "SubLink" in survey.keys
    for select in survey.selects:
        if "whereClause" not in select:
            continue
        here, conditions = around_of(select["fromClause"], by_location), list(terms(select["whereClause"]))
        anywhere = [(sides, None) for sides in _equalities(conditions)]
        equalities = [*anywhere, *_joined(select["fromClause"])]
        within = [
            (read, _equal(read, equalities, here, None)) for read in here.tables if read.use.location in candidates
        ]
        links = sublinks(clauses_of(select)) if nested and here.tables else ()
        for query in [one for link in links for one in leaves(link["subselect"].get("SelectStmt", {}))]:
            beside = around_of(query["fromClause"], by_location)
            if beside.whole:
                inner = [(sides, None) for sides in _equalities(terms(query["whereClause"]))]
                within += [
                    (read, _equal(read, inner, beside, here))
                    for read in beside.tables
                    if read.use.location in candidates
                ]
        for read, equal in within:
            if equal:
                texts = _restated(conditions, read, equal, here, once)
                found[read.use.location] = tuple(dict.fromkeys((*found.get(read.use.location, ()), *texts)))
    return found


def _restated(
    conditions: Sequence[Node], read: Read, equal: Mapping[Place, Column], here: Around, once: Parameters
) -> Iterator[str]:
    def column(node: Node) -> Column | None:
        place = _place(strings(node["ColumnRef"]["fields"]), here, None) if "ColumnRef" in node else None
        return equal.get(place) if place is not None else None

    return restated(conditions, read, column, once)


def _equal(read: Read, equalities: Sequence[_Equality], here: Around, outside: Around | None) -> Mapping[Place, Column]:
    """The columns that the equalities make equal to one of this table; with ``outside``, those of its tables only."""
    assert read.access is not None
    own = {column.name: column for column, shown in read.access.columns if shown is None}
    types = {one.use.location: dict(one.access.types) for one in (outside or here).tables if one.access is not None}
    found: dict[Place, Column] = {}
    for sides, left in equalities:
        places = [_place(fields, here, outside) for fields in sides]
        if left is not None and sum(place is not None and place[0] in left for place in places) != 1:
            continue
        for mine, other in (places, places[::-1]):
            if mine is None or other is None or mine[0] != read.use.location or other[0] == mine[0]:
                continue
            column, kind = own.get(mine[1]), types.get(other[0], {}).get(other[1], "")
            if column is not None and kind and comparable_type(column) == kind:
                found[other] = column
    return found


def _place(fields: Sequence[str], here: Around, outside: Around | None) -> Place | None:
    """The table that has the column; None where that is not certain."""
    owners: Sequence[Read] = ()
    if len(fields) == 2:
        owners = [read for read in here.tables if read.use.called == fields[0]]
    elif len(fields) == 1 and here.whole:
        owners = [read for read in here.tables if not lacks(read, fields[0])]
    if owners or outside is None or not here.whole or any(read.use.called == fields[0] for read in here.tables):
        return (owners[0].use.location, fields[-1]) if len(owners) == 1 else None
    return _place(fields, outside, None)


def _equalities(conditions: Iterable[Node]) -> Iterator[tuple[tuple[str, ...], ...]]:
    for term in conditions:
        body = term.get("A_Expr", {})
        sides = [body.get(side, {}).get("ColumnRef", {}).get("fields") for side in ("lexpr", "rexpr")]
        if body.get("kind") == "AEXPR_OP" and strings(body.get("name", [])) == ("=",) and None not in sides:
            yield tuple(strings(side) for side in sides)


def _joined(items: Sequence[Node]) -> Iterator[_Equality]:
    """What the ON of joins has."""
    for item in items:
        if "JoinExpr" in item:
            join = item["JoinExpr"]
            yield from _joined([join["larg"], join["rarg"]])
            left = frozenset(tables_of([join["larg"]]))
            for sides in _equalities(terms(join["quals"]) if "quals" in join else ()):
                yield sides, left
