"""The tables of a query called as the gateway's own questions call them.

One table: by no other name, and its columns by their own. Several: by their initials, ``order_items AS oi``, with each
column's owner said. T1 and T2 teach a model to guess which table a column is in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlglot import exp
from sqlglot.optimizer.scope import Scope as Tree

from nlsql_gateway.errors import StatementError
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.names import Outline, fold, fold_alias, identifier, mentions, outline_of, plain, selects

Home = tuple[int, str]
"(number of a SELECT, alias of a source in it)."


def with_initials(tree: exp.Query, catalog: Catalog) -> bool:
    """In place; whether anything changed. Raises StatementError: a column whose owner cannot be told."""
    before = tree.sql(dialect="postgres")
    outline, scopes, columns = outline_of(tree, catalog), selects(tree), mentions(tree)
    owners = _owners(outline, scopes)
    tables = {
        (number, fold_alias(item)): item
        for number, scope in enumerate(scopes)
        for item in _items(scope.expression)
        if isinstance(item, exp.Table)
    }
    named = {source.alias for scope in outline.scopes for source in scope.sources if source.relation is None}
    numbers = {id(scope): number for number, scope in enumerate(scopes)}
    around = [set(_outwards(number, scopes, numbers)) for number in range(len(scopes))]
    names: dict[Home, str] = {}
    for number, scope in enumerate(outline.scopes):
        for source in scope.sources:
            home = (number, source.alias)
            if source.relation is None or home not in tables:
                continue
            alone = len(scope.sources) == 1 and not any(
                home == owner and number != at for index, owner in owners.items() for at in [_number(outline, index)]
            )
            table = tables[home]
            if alone:
                table.set("alias", None)
                names[home] = ""
            else:
                nested = {one for (at, _), one in names.items() if at in around[number] or number in around[at]}
                names[home] = _initials(source.relation[1], named | nested)
                table.set("alias", exp.TableAlias(this=identifier(names[home])))
    for index, home in owners.items():
        if home in names:
            columns[index].set("table", identifier(names[home]) if names[home] else None)
            columns[index].set("db", None)
    for number, tree_of in enumerate(scopes):
        for star in _stars(tree_of.expression):
            home = (number, fold(star.args["table"]))
            if home in names:
                star.set("table", identifier(names[home]) if names[home] else None)
    return tree.sql(dialect="postgres") != before


def _stars(select: exp.Expr) -> Iterator[exp.Column]:
    """``t1.*`` in the select list; names.mentions leaves them out."""
    for item in select.expressions:
        if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
            yield item


def _owners(outline: Outline, scopes: list[Tree]) -> dict[int, Home]:
    """Which source each mention of a column belongs to; those of outputs and of merged columns are left out."""
    numbers = {id(scope): number for number, scope in enumerate(scopes)}
    found: dict[int, Home] = {}
    for number, scope in enumerate(outline.scopes):
        ways = list(_outwards(number, scopes, numbers))
        for use in scope.uses:
            if not use.table and (use.column in scope.merged or (use.column in scope.outputs and use.clause == "")):
                continue
            for at in ways:
                owning = [
                    source
                    for source in outline.scopes[at].sources
                    if use.table in ("", source.alias) and source.has(use.column)
                ]
                if len(owning) > 1:
                    raise StatementError(f'column "{use.column}" is ambiguous')
                if owning:
                    found[use.index] = (at, owning[0].alias)
                    break
    return found


def _outwards(number: int, scopes: list[Tree], numbers: dict[int, int]) -> Iterator[int]:
    scope: Tree | None = scopes[number]
    while scope is not None:
        if id(scope) in numbers:
            yield numbers[id(scope)]
        scope = scope.parent


def _number(outline: Outline, index: int) -> int:
    return next(number for number, scope in enumerate(outline.scopes) if any(use.index == index for use in scope.uses))


def _items(select: exp.Expr) -> Iterator[exp.Expr]:
    start = select.args.get("from_")
    if start is not None:
        yield start.this
    for join in select.args.get("joins") or []:
        yield join.this


def _initials(name: str, taken: set[str]) -> str:
    name = re.sub(r"^(?:t|tbl|dim|fact)_", "", name)
    parts = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()) or ["t"]
    short = "".join(part[0] for part in parts)[:4]
    candidates = [short, *(parts[0][:length] for length in (2, 3, 4)), *(f"{short}{n}" for n in range(2, 99))]
    fitting: Iterator[str] = (
        one for one in candidates if one not in taken and plain(one) and not _SPOKEN.fullmatch(one)
    )
    return next(fitting)


_SPOKEN = re.compile(r"as|at|by|do|go|if|in|is|no|of|on|or|to|set|end|all|any|add|key|asc|sql", re.IGNORECASE)
"""Words of SQL, reserved or not, that no one wants to read as a table."""
