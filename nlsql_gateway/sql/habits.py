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
- ``take_years``: the year of an integer is the integer.
- ``divide_sums``, ``count_weekdays``, ``measure_durations``: see ``measures.py``.

``listed_once`` and ``with_ratio`` are for the caller to ask for, who knows the question.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from nlsql_gateway.sql.catalog import Catalog, Relation
from nlsql_gateway.sql.kinds_of_values import KindOf, kinds_of
from nlsql_gateway.sql.measures import count_weekdays, divide_sums, measure_durations
from nlsql_gateway.sql.names import fold, identifier, mentions, outline_of, parse


def settle(sql: str, catalog: Catalog) -> str:
    """``sql``, one SELECT statement, with people's habits for Postgres's; the same text where none applies.

    Raises StatementError (not readable), LimitError.
    """
    tree = parse(sql)
    kind_of, changed = kinds_of(tree, catalog), False
    for one in PASSES:
        if one(tree, kind_of):
            kind_of, changed = kinds_of(tree, catalog), True  # what a pass has put in has a kind, too
    return tree.sql(dialect="postgres", normalize_functions=False) if changed else sql


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
        if group is None or not group.expressions or _is_manifold(group):
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
    if group is None or _is_manifold(group):
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


def take_years(tree: exp.Query, kind_of: KindOf) -> bool:
    """``extract(year FROM published)`` where ``published`` is an integer: an error in Postgres."""
    years = [
        part
        for part in tree.find_all(exp.Extract)
        if part.name.upper() == "YEAR" and kind_of(part.expression) == "integer"
    ]
    for part in years:
        part.replace(part.expression.copy())
    return bool(years)


def listed_once(sql: str, catalog: Catalog) -> str:
    """``sql`` with DISTINCT where the rows of one table are multiplied by what it is joined with, or where it lists
    another table's keys; the same text otherwise. Raises StatementError (not readable), LimitError.
    """
    tree = parse(sql)
    if not isinstance(tree, exp.Select) or any(tree.args.get(key) for key in ("distinct", "group", "having", "limit")):
        return sql
    outputs = [item.unalias() for item in tree.selects]
    if not outputs or not all(isinstance(item, exp.Column) and not item.is_star for item in outputs):
        return sql
    order = tree.args.get("order")
    shown = {_key(item) for item in outputs} | {item.alias_or_name.lower() for item in tree.selects}
    if order is not None and any(_key(item.this) not in shown for item in order.expressions):
        return sql  # SELECT DISTINCT sorts by what it shows (manual, SELECT)
    scope = outline_of(tree, catalog).scopes[-1]
    uses = {use.index: use for use in scope.uses}
    places = {id(column): index for index, column in enumerate(mentions(tree))}
    owners = set()
    for item in outputs:
        use = uses.get(places.get(id(item), -1))
        if use is None:
            return sql
        owners |= {
            source.alias for source in scope.sources if use.table in ("", source.alias) and source.has(use.column)
        }
    relations = [catalog.relations[source.relation] for source in scope.sources if source.relation is not None]
    if len(owners) != 1 or len(relations) != len(scope.sources):
        return sql
    if len(relations) == 1 and not _lists_keys(outputs, relations[0]):
        return sql
    tree.set("distinct", exp.Distinct())
    return tree.sql(dialect="postgres", normalize_functions=False)


def with_names(sql: str, catalog: Catalog) -> str:
    """``sql`` with the names of the things of which it shows only other columns, if all are columns of one table: rows
    of bare numbers cannot be told apart. Raises StatementError (not readable), LimitError.
    """
    tree = parse(sql)
    if not isinstance(tree, exp.Select) or any(tree.args.get(key) for key in ("distinct", "group", "having")):
        return sql
    outputs = [item.unalias() for item in tree.selects]
    if not outputs or not all(isinstance(item, exp.Column) and not item.is_star for item in outputs):
        return sql
    scope = outline_of(tree, catalog).scopes[-1]
    if len(scope.sources) != 1 or scope.sources[0].relation is None:
        return sql
    relation = catalog.relations[scope.sources[0].relation]
    name = _name_of(relation)
    if name is None or any(_is_name(fold(item.this)) for item in outputs):
        return sql
    shown = exp.Column(this=identifier(name), table=identifier(scope.sources[0].alias))
    tree.set("expressions", [shown, *tree.selects])
    return tree.sql(dialect="postgres", normalize_functions=False)


def with_ratio(sql: str) -> str:
    """``sql`` with the ratio of its two aggregates shown behind them, if it shows two and divides nothing."""
    tree = parse(sql)
    if not isinstance(tree, exp.Select) or tree.find(exp.Div) is not None or tree.args.get("distinct"):
        return sql
    measures = [item.unalias() for item in tree.selects if item.find(exp.AggFunc) is not None]
    if len(measures) != 2:
        return sql
    above = exp.Cast(this=measures[0].copy(), to=exp.DataType.build("numeric"))
    below = exp.Nullif(this=measures[1].copy(), expression=exp.Literal.number(0))
    tree.append("expressions", exp.alias_(exp.Div(this=above, expression=below), "ratio"))
    return tree.sql(dialect="postgres", normalize_functions=False)


def shows_words_only(sql: str) -> bool:
    """Whether all that the SELECT shows are texts that it brings itself: then it does not answer from the tables."""
    tree = parse(sql)
    first = next(iter(tree.find_all(exp.Select)), None)
    if first is None:
        return False
    outputs = [item.unalias() for item in first.selects]
    texts = [item for item in outputs if isinstance(item, exp.Literal) and item.is_string]
    return bool(texts) and len(texts) == len(outputs)


def _is_name(column: str) -> bool:
    """Whether a column of this name says what its row is called."""
    return column.lower() in ("label", "caption") or column.lower().endswith(("name", "title"))


def _name_of(relation: Relation) -> str | None:
    """The one column that names a row of ``relation``; None where there is none, or several."""
    named = [column.name for column in relation.columns if _is_name(column.name)]
    own = [name for name in named if name.lower() in ("name", "title", "label")]
    own = own or [name for name in named if name.lower().rstrip("s").startswith(relation.name.lower().rstrip("s"))]
    return own[0] if len(own) == 1 else named[0] if len(named) == 1 else None


def _lists_keys(outputs: list[exp.Expr], relation: Relation) -> bool:
    own = {relation.columns[0].name, *relation.primary_key}
    return all(fold(item.this).endswith("id") and fold(item.this) not in own for item in outputs)


def _is_manifold(group: exp.Group) -> bool:
    """ROLLUP, CUBE, GROUPING SETS (manual, 7.2.4)."""
    return group.find(exp.Rollup, exp.Cube, exp.GroupingSets) is not None or bool(group.args.get("all"))


Pass = Callable[[exp.Query, KindOf], bool]
PASSES: tuple[Pass, ...] = (
    take_years,
    measure_durations,
    count_weekdays,
    complete_groups,
    show_keys,
    divide_sums,
    divide,
    sort_nulls_last,
    fold_case,
)


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
    if _key(expression) in grouped or isinstance(expression, exp.Subquery | exp.Window | exp.Star):
        return []
    if isinstance(expression, exp.AggFunc | exp.Filter | exp.WithinGroup) or _is_named_aggregate(expression):
        return []
    if isinstance(expression, exp.Column):
        return [] if isinstance(expression.this, exp.Star) else [expression]
    found: list[exp.Column] = []
    for child in expression.iter_expressions():
        found.extend(_bare_columns(child, grouped))
    return found


def _is_named_aggregate(expression: exp.Expr) -> bool:
    return isinstance(expression, exp.Anonymous) and expression.name.lower() in _AGGREGATES


_AGGREGATES = frozenset(
    """every bit_and bit_or bit_xor jsonb_agg jsonb_object_agg json_object_agg range_agg range_intersect_agg regr_avgx
    regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy xmlagg mode""".split()  # noqa: SIM905
)
"""PostgreSQL's aggregates (manual, 9.21) that sqlglot may read as some function."""


def _names_output(one: exp.Expr, names: set[str]) -> bool:
    return isinstance(one, exp.Column) and one.name.lower() in names


def _key(expression: exp.Expr) -> str:
    """Equal for the same expression; a column with and without its table is one."""
    bare = expression.copy()
    for column in [bare] if isinstance(bare, exp.Column) else list(bare.find_all(exp.Column)):
        column.set("table", None)
        column.set("db", None)
    return bare.sql(dialect="postgres").lower()
