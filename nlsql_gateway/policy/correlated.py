"""Helps ``rewrite``: what ties a sub-query to the row around it may go inside the fence, so that indexes work.

``(SELECT avg(l.price) FROM lineitem l WHERE l.part = p.part AND 1 / l.discount > 2)``: the second condition keeps the
fence, and without the first one inside, all rows that the filter leaves would be read for each row of p. Beside what
``pushdown`` asks of a condition (leakproof, a term of the WHERE clause, so it leaves out only what is left out anyway):

- Only sub-queries that are computed for each row of the query around: in the place of a value or of ARRAY(...), behind
  ALL, behind IN and ANY where that cannot become a join, and behind LATERAL where something is computed of their rows.
  Others may become joins, which a reference out of the fence would prevent, and so may EXISTS.
- Inside the fence's parentheses the tables beside it are not seen (manual, 7.2.1.5 "LATERAL Subqueries"), those of the
  queries around it are. So a name must mean a table of the query just around, there and here: no table beside the
  fence has it, nor the fenced table itself, by its own name, which is what it is called inside. Of a LATERAL query only
  what stands to its left is around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nlsql_gateway.policy.case import Read
from nlsql_gateway.policy.grouping import tables_of
from nlsql_gateway.policy.leakproof import comparable
from nlsql_gateway.policy.pushdown import filtered, lacks, terms
from nlsql_gateway.sql import Catalog
from nlsql_gateway.sql.grammar import Node
from nlsql_gateway.sql.quoting import identifier
from nlsql_gateway.sql.survey import Survey, strings

_VALUES: Final = frozenset({"EXPR_SUBLINK", "ARRAY_SUBLINK", "ALL_SUBLINK"})

_COMPUTING: Final = frozenset(
    {"sortClause", "groupClause", "distinctClause", "limitCount", "limitOffset", "havingClause", "withClause"}
)
"""A query with one of these in FROM does not become a join (PostgreSQL, is_simple_subquery in prepjointree.c)."""

_CORRELATED_JOINS: Final = 170000
"""The version since which IN of a query that uses the row around it may become a join."""


@dataclass(frozen=True, slots=True)
class Around:
    """The tables of a FROM clause, or of what stands to the left of something in it."""

    tables: Sequence[Read]
    whole: bool
    "There is nothing else in it: a name without a table's can be looked up."


def correlations(
    survey: Survey, reads: Sequence[Read], fenced: Sequence[Read], catalog: Catalog
) -> Mapping[int, tuple[str, ...]]:
    """For each of the ``fenced`` tables with a row filter, by its location: what to add to that filter."""
    candidates = filtered(fenced)
    found: dict[int, tuple[str, ...]] = {}
    own = catalog.own_operators
    tying = "SubLink" in survey.keys or "lateral" in survey.keys
    if not candidates or not tying or len(survey.selects) < 2 or own is None or "=" in own:
        return found
    by_location = {read.use.location: read for read in reads}
    for select in survey.selects:
        for query, around in _computed(select, by_location, catalog):
            beside = around_of(query["fromClause"], by_location)
            for read in beside.tables if beside.whole else ():
                if read.use.location in candidates:
                    found[read.use.location] = tuple(_equalities(query["whereClause"], read, beside.tables, around))
    return found


def _computed(select: Node, by_location: Mapping[int, Read], catalog: Catalog) -> Iterator[tuple[Node, Around]]:
    """The queries with a WHERE clause that are computed for each row of this one, and what is around each."""
    clauses = clauses_of(select)
    around = around_of(select["fromClause"], by_location)
    if around.tables:
        joined = [] if catalog.server_version < _CORRELATED_JOINS else list(terms(select.get("whereClause", {})))
        for query in _values(clauses, [term["SubLink"] for term in joined if "SubLink" in term]):
            yield from ((one, around) for one in leaves(query))
    for query, left in _laterals(select["fromClause"]):
        around = around_of(left, by_location)
        if around.tables and _computes(query, catalog):
            yield from ((one, around) for one in leaves(query))


def clauses_of(select: Node) -> list[Any]:
    """All but FROM and WITH."""
    return [
        value
        for key, value in select.items()
        if key not in ("fromClause", "withClause") and (type(value) is dict or type(value) is list)
    ]


def leaves(query: Node) -> Iterator[Node]:
    """The query, or those that UNION and its like join."""
    if query.get("op", "SETOP_NONE") != "SETOP_NONE":
        yield from leaves(query["larg"])
        yield from leaves(query["rarg"])
    elif "whereClause" in query and "fromClause" in query:
        yield query


def around_of(items: Sequence[Node], by_location: Mapping[int, Read]) -> Around:
    """Without tables where a name may not be that of a table, or two have the same."""
    reads = [by_location.get(location) for location in tables_of(list(items))]
    known = [read for read in reads if read is not None and read.access is not None and not read.use.renames]
    clear = len({read.use.called for read in known}) == len(known) and not any(_aliased(item) for item in items)
    return Around(known if clear else (), clear and len(known) == len(reads))


def _laterals(items: Sequence[Node]) -> Iterator[tuple[Node, Sequence[Node]]]:
    """The LATERAL queries of a FROM clause, each with what stands to its left."""
    for number, item in enumerate(items):
        yield from _lateral(item, items[:number])


def _lateral(item: Node, left: Sequence[Node]) -> Iterator[tuple[Node, Sequence[Node]]]:
    if "JoinExpr" in item:
        join = item["JoinExpr"]
        yield from _lateral(join["larg"], left)
        yield from _lateral(join["rarg"], [*left, join["larg"]])
    elif item.get("RangeSubselect", {}).get("lateral"):
        yield item["RangeSubselect"]["subquery"]["SelectStmt"], left


def _computes(query: Node, catalog: Catalog) -> bool:
    """Whether a query in FROM is computed by itself; aggregates and window functions are looked for generously."""
    if not _COMPUTING.isdisjoint(query) or query.get("op", "SETOP_NONE") != "SETOP_NONE":
        return True
    stack: list[Any] = [query.get("targetList", [])]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            call = item.get("FuncCall", {})
            name = strings(call.get("funcname", []))[-1:]
            if "over" in call or any(
                one.kind == "aggregate" for each in name for one in catalog.functions.get(each, ())
            ):
                return True
            stack.extend(item.values())
    return False


def _aliased(item: Node) -> bool:
    join = item.get("JoinExpr")
    return join is not None and (
        "alias" in join or "join_using_alias" in join or _aliased(join["larg"]) or _aliased(join["rarg"])
    )


def _values(clauses: list[Any], joined: Sequence[Node]) -> Iterator[Node]:
    """The queries of ``_VALUES`` in these clauses, and those behind IN and ANY that are not among ``joined``."""
    for link in sublinks(clauses):
        kind = link.get("subLinkType")
        if kind in _VALUES or (kind == "ANY_SUBLINK" and not any(link is one for one in joined)):
            yield link["subselect"].get("SelectStmt", {})


def sublinks(clauses: list[Any]) -> Iterator[Node]:
    """What stands just in these clauses, not in a query of theirs."""
    stack = list(clauses)
    while stack:
        item = stack.pop()
        if type(item) is list:
            stack.extend([child for child in item if type(child) is dict])
            continue
        if "SubLink" in item:
            yield item["SubLink"]
        for key, value in item.items():
            if (type(value) is dict or type(value) is list) and key not in _LEAVES:
                stack.append(value)


_LEAVES: Final = frozenset({"SelectStmt", "subselect", "ColumnRef", "A_Const", "typeName", "funcname", "name"})
"""Not looked into: queries, and what has none."""


def _equalities(where: Node, read: Read, beside: Sequence[Read], around: Around) -> Iterator[str]:
    assert read.access is not None
    inner, own = {one.use.called for one in beside}, dict(read.access.types)

    def mine(fields: Sequence[str]) -> str:
        """The name of a readable column of this table; '' for anything else."""
        others = [one for one in beside if one is not read]
        if len(fields) == 2:
            return fields[1] if fields[0] == read.use.called else ""
        return fields[0] if len(fields) == 1 and all(lacks(one, fields[0]) for one in others) else ""

    def theirs(fields: Sequence[str]) -> tuple[str, str]:
        """A column of a table of the query around, as SQL, and its type."""
        if len(fields) == 2:
            owners = [one for one in around.tables if one.use.called == fields[0]]
        elif len(fields) == 1 and around.whole and all(lacks(one, fields[0]) for one in beside):
            owners = [one for one in around.tables if not lacks(one, fields[0])]
        else:
            return "", ""
        if len(owners) != 1 or owners[0].use.called in inner | {read.use.name} or owners[0].access is None:
            return "", ""
        kind = dict(owners[0].access.types).get(fields[-1], "")
        return f"{identifier(owners[0].use.called)}.{identifier(fields[-1])}", kind

    for term in terms(where):
        body = term.get("A_Expr", {})
        sides = [body.get(side, {}).get("ColumnRef", {}).get("fields") for side in ("lexpr", "rexpr")]
        if body.get("kind") != "AEXPR_OP" or strings(body.get("name", [])) != ("=",) or None in sides:
            continue
        for one, other in (sides, sides[::-1]):
            column, (text, kind) = mine(strings(one)), theirs(strings(other))
            if text and own.get(column) and kind and comparable(own[column], "=", kind):
                yield f"{identifier(read.use.name)}.{identifier(column)} OPERATOR(pg_catalog.=) {text}"
                break
