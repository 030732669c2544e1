"""What people mean by a SELECT where Postgres's SQL says something else, for answers of a model only.

``settle(sql, catalog, ...)`` goes through ``PASSES``; each changes the tree in place and says whether it did. None of
them changes which rows are read, but for ``DISTINCT``; they change how numbers divide, where nulls sort, and which
columns are shown beside those asked for. Text that a person typed never goes this way.

- ``divide``: two integers divide to an integer in Postgres (manual, 9.3), and a divisor of zero ends the statement.
  A share of people is asked for as a fraction, and a group without a divisor has no share: NULL.
- ``sort_nulls_last``: Postgres sorts nulls as larger than all values (manual, 7.5), so the "top five" begin with them.
- ``fold_case``: LIKE of a word from a question: people do not know how it was stored.
- ``complete_groups``: a column beside an aggregate must be in GROUP BY (manual, 7.2.3).
- ``show_keys``: what was grouped and sorted by is shown, since rows of bare numbers cannot be told apart.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.kinds_of_values import KindOf, kinds_of
from nlsql_gateway.sql.names import fold, parse


def settle(sql: str, catalog: Catalog) -> str:
    """``sql``, one SELECT statement, with people's habits for Postgres's; the same text where none applies.

    Raises StatementError (not readable), LimitError.
    """
    tree = parse(sql)
    kind_of = kinds_of(tree, catalog)
    changed = [one(tree, kind_of) for one in PASSES]
    return tree.sql(dialect="postgres", normalize_functions=False) if any(changed) else sql


def divide(tree: exp.Query, kind_of: KindOf) -> bool:
    changed = False
    for division in list(tree.find_all(exp.Div)):
        above, below = division.this, division.expression
        bare = _without_parentheses(below)
        if kind_of(above) == kind_of(below) == "integer" and not _truncates(division):
            division.set("this", exp.Cast(this=_operand(above), to=exp.DataType.build("numeric")))
            changed = True
        if not isinstance(bare, exp.Literal | exp.Nullif) and not _is_number(bare):
            division.set("expression", exp.Nullif(this=bare.copy(), expression=exp.Literal.number(0)))
            changed = True
    return changed


def sort_nulls_last(tree: exp.Query, _: KindOf) -> bool:
    changed = False
    for item in tree.find_all(exp.Ordered):
        if item.args.get("desc") and item.args.get("nulls_first"):
            item.set("nulls_first", False)
            changed = True
    return changed


def fold_case(tree: exp.Query, _: KindOf) -> bool:
    likes = [like for like in tree.find_all(exp.Like) if isinstance(like.expression, exp.Literal)]
    for like in likes:
        like.replace(exp.ILike(this=like.this, expression=like.expression))
    return bool(likes)


def complete_groups(tree: exp.Query, _: KindOf) -> bool:
    changed = False
    for select in tree.find_all(exp.Select):
        group = select.args.get("group")
        if group is None or not group.expressions or any(group.args.get(key) for key in _GROUPINGS):
            continue
        grouped = _grouped(select)
        order = select.args.get("order")
        loose = [*select.selects, *(item.this for item in (order.expressions if order is not None else ()))]
        outputs = {fold(item.args["alias"]) for item in select.selects if isinstance(item, exp.Alias)}
        for item in loose:
            expression = item.this if isinstance(item, exp.Alias) else item
            for column in _bare_columns(expression, grouped):
                if not column.table and fold(column.this) in outputs and item not in select.selects:
                    continue
                if _key(column) not in grouped:
                    group.append("expressions", column.copy())
                    grouped.add(_key(column))
                    changed = True
    return changed


def show_keys(tree: exp.Query, _: KindOf) -> bool:
    """Of the outermost SELECT only: what is inside is for the query itself, and its columns may be counted."""
    if not isinstance(tree, exp.Select) or tree.args.get("distinct") or any(item.is_star for item in tree.selects):
        return False
    group, order = tree.args.get("group"), tree.args.get("order")
    if group is None:
        return False
    shown = {_key(item.this if isinstance(item, exp.Alias) else item) for item in tree.selects}
    names = {item.alias_or_name.lower() for item in tree.selects}
    keys = [
        one.copy()
        for one in group.expressions
        if not isinstance(one, exp.Literal) and _key(one) not in shown and not _names_output(one, names)
    ]
    measures = [
        item.this.copy()
        for item in (order.expressions if order is not None else ())
        if item.this.find(exp.AggFunc) is not None and _key(item.this) not in shown
    ]
    if not keys and not measures:
        return False
    sorted_by = [item.this for item in order.expressions] if order is not None else []
    if any(isinstance(one, exp.Literal) for one in (*group.expressions, *sorted_by)):
        return False  # positions: a column more would move them
    tree.set("expressions", [*keys, *tree.selects, *measures])
    return True


_GROUPINGS = ("grouping_sets", "cube", "rollup", "all")

Pass = Callable[[exp.Query, KindOf], bool]
PASSES: tuple[Pass, ...] = (complete_groups, show_keys, divide, sort_nulls_last, fold_case)


def _operand(value: exp.Expr) -> exp.Expr:
    atom = isinstance(value, exp.Column | exp.Func | exp.Paren | exp.Literal | exp.Subquery | exp.Case)
    return value.copy() if atom else exp.Paren(this=value.copy())


def _without_parentheses(value: exp.Expr) -> exp.Expr:
    while isinstance(value, exp.Paren):
        value = value.this
    return value


def _truncates(division: exp.Div) -> bool:
    """``year / 10 * 10``: the decade is meant."""
    above = division.parent
    while isinstance(above, exp.Paren):
        above = above.parent
    return isinstance(above, exp.Mul) and division.expression in (above.this, above.expression)


def _is_number(value: exp.Expr) -> bool:
    return isinstance(value, exp.Cast) and isinstance(_without_parentheses(value.this), exp.Literal)


def _grouped(select: exp.Select) -> set[str]:
    """What the GROUP BY names, positions and output names followed."""
    keys: set[str] = set()
    items = select.selects
    aliases = {fold(item.args["alias"]): item.this for item in items if isinstance(item, exp.Alias)}
    for one in select.args["group"].expressions:
        keys.add(_key(one))
        if isinstance(one, exp.Literal) and one.is_int and 0 < int(one.this) <= len(items):
            item = items[int(one.this) - 1]
            keys.add(_key(item.this if isinstance(item, exp.Alias) else item))
        elif isinstance(one, exp.Column) and not one.table and fold(one.this) in aliases:
            keys.add(_key(aliases[fold(one.this)]))
    return keys


def _bare_columns(expression: exp.Expr, grouped: set[str]) -> list[exp.Column]:
    """The columns of ``expression`` outside of aggregates and of what is grouped by."""
    if _key(expression) in grouped or isinstance(expression, exp.AggFunc | exp.Subquery | exp.Window | exp.Star):
        return []
    if isinstance(expression, exp.Column):
        return [] if isinstance(expression.this, exp.Star) else [expression]
    found: list[exp.Column] = []
    for child in expression.iter_expressions():
        found.extend(_bare_columns(child, grouped))
    return found


def _names_output(one: exp.Expr, names: set[str]) -> bool:
    return isinstance(one, exp.Column) and one.name.lower() in names


def _key(expression: exp.Expr) -> str:
    """Equal for the same expression; a column with and without its table is one."""
    bare = expression.copy()
    for column in [bare] if isinstance(bare, exp.Column) else list(bare.find_all(exp.Column)):
        column.set("table", None)
        column.set("db", None)
    return bare.sql(dialect="postgres").lower()
