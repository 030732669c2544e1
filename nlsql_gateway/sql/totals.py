"""A SELECT that is nothing but aggregates of its tables' rows: grouped by a column of them, for answers of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlglot import exp

from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.names import identifier, outline_of, parse

Place = tuple[str, str]
"(alias of a source, name of a column)."


def group_total(sql: str, catalog: Catalog, choose: Callable[[Sequence[Place]], Place | None]) -> str:
    """``sql``, one SELECT statement, grouped by the column that ``choose`` takes, which is shown first.

    The same text where it takes none, where something else than aggregates is shown, or a quotient: the average per
    customer may be one number. Raises StatementError (not readable), LimitError.
    """
    tree = parse(sql)
    if not isinstance(tree, exp.Select) or any(
        tree.args.get(key) for key in ("distinct", "group", "having", "limit", "order", "with_")
    ):
        return sql
    if not tree.selects or not all(_is_total(item) for item in tree.selects):
        return sql
    sources = outline_of(tree, catalog).scopes[-1].sources
    found = choose([(one.alias, name) for one in sources if one.relation is not None for name in one.columns or ()])
    if found is None:
        return sql
    key = exp.Column(this=identifier(found[1]), table=identifier(found[0]))
    tree.set("expressions", [key, *tree.selects])
    return tree.group_by(key.copy()).sql(dialect="postgres", normalize_functions=False)


def _is_total(item: exp.Expr) -> bool:
    """An aggregate, and nothing that is not within one."""
    value = item.unalias()
    if value.find(exp.Div, exp.Window, exp.Subquery) is not None or value.find(exp.AggFunc) is None:
        return False
    return all(
        column.find_ancestor(exp.AggFunc, exp.Filter, exp.WithinGroup) is not None
        for column in value.find_all(exp.Column)
    )
