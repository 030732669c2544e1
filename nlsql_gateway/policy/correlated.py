"""Helps ``rewrite``: what ties a scalar sub-query to the row around it may go inside the fence, so that indexes work.

``(SELECT avg(l.price) FROM lineitem l WHERE l.part = p.part AND 1 / l.discount > 2)``: the second condition keeps the
fence, and without the first one inside, all rows that the filter leaves would be read for each row of p. Beside what
``pushdown`` asks of a condition (leakproof, a term of the WHERE clause, so it leaves out only what is left out anyway):

- Only sub-queries in the place of a value or of ARRAY(…). EXISTS and IN may become joins, which a reference out of the
  fence would prevent.
- Inside the fence's parentheses the tables beside it are not seen (manual, 7.2.1.5 "LATERAL Subqueries"), those of the
  queries around it are. So a name must mean a table of the query just around, there and here: no table beside the
  fence has it, nor the fenced table itself, by its own name, which is what it is called inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nlsql_gateway.policy.case import Read
from nlsql_gateway.policy.grouping import tables_of
from nlsql_gateway.policy.leakproof import comparable
from nlsql_gateway.policy.pushdown import filtered, lacks, terms
from nlsql_gateway.sql.grammar import Node
from nlsql_gateway.sql.quoting import identifier
from nlsql_gateway.sql.survey import Survey, strings

_VALUES = ("EXPR_SUBLINK", "ARRAY_SUBLINK")


def correlations(
    survey: Survey, reads: Sequence[Read], fenced: Sequence[Read], own_operators: frozenset[str] | None
) -> Mapping[int, tuple[str, ...]]:
    """For each of the ``fenced`` tables with a row filter, by its location: what to add to that filter."""
    candidates = filtered(fenced)
    found: dict[int, tuple[str, ...]] = {}
    if not candidates or len(survey.selects) < 2 or own_operators is None or "=" in own_operators:
        return found
    by_location = {read.use.location: read for read in reads}
    for select in survey.selects:
        around = _tables(select, by_location)
        if not around:
            continue
        clauses = [value for key, value in select.items() if key not in ("fromClause", "withClause")]
        for query in _values(clauses):
            beside = _tables(query, by_location) if "whereClause" in query else []
            for read in beside:
                if read.use.location in candidates:
                    found[read.use.location] = tuple(_equalities(query["whereClause"], read, beside, around))
    return found


def _tables(select: Node, by_location: Mapping[int, Read]) -> list[Read]:
    """The tables of a FROM clause; none when there is anything else in it, or names are not those of the tables, or
    two have the same."""
    items = select.get("fromClause", [])
    reads = [by_location.get(location) for location in tables_of(items)]
    known = [read for read in reads if read is not None and read.access is not None and not read.use.renames]
    different = len({read.use.called for read in known}) == len(reads)
    return known if different and not any(_aliased(item) for item in items) else []


def _aliased(item: Node) -> bool:
    join = item.get("JoinExpr")
    return join is not None and (
        "alias" in join or "join_using_alias" in join or _aliased(join["larg"]) or _aliased(join["rarg"])
    )


def _values(clauses: list[Any]) -> Iterator[Node]:
    """The queries in the place of a value that stand just in these clauses, not in a query of theirs."""
    stack = clauses
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            link = item.get("SubLink", {})
            if link.get("subLinkType") in _VALUES:
                yield link["subselect"].get("SelectStmt", {})
            stack.extend(value for key, value in item.items() if key not in ("SelectStmt", "subselect"))


def _equalities(where: Node, read: Read, beside: Sequence[Read], around: Sequence[Read]) -> Iterator[str]:
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
            owners = [one for one in around if one.use.called == fields[0]]
        elif len(fields) == 1 and all(lacks(one, fields[0]) for one in beside):
            owners = [one for one in around if not lacks(one, fields[0])]
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
