"""What is put right in a gold beyond what the gateway does to every answer: each pass changes the tree in place.

- ``show_measures``: what rows are sorted by, or are the largest of, stands beside them: the oldest singer with the age.
- ``fold_names``: a name, and a text that the question spells otherwise, is compared by ILIKE with the question's words.
- ``count_plainly``: what is counted by a CASE stands in WHERE.
- ``cast_to_numeric``: ratios in numeric, as the gateway divides; ``round(x, 2)`` takes no other type (manual, 9.3).
- ``join_plainly``: JOIN for INNER JOIN.
- ``small_units``: ``'month'``, which sqlglot writes large.
- ``keys_first``: the select list begins with what is grouped by.
- ``leave_nulls``: without NULLS LAST, which the gateway adds to every answer, and without ASC: tokens that are saved.
"""

from __future__ import annotations

import re

from sqlglot import exp

from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.kinds_of_values import kinds_of

_NAMES = ("name", "title", "label", "caption")
_REAL = frozenset({exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT})
MOST_COLUMNS = 4
"""A gold that shows more needs no measure besides."""


def show_measures(tree: exp.Query) -> bool:
    if not isinstance(tree, exp.Select) or any(tree.args.get(key) for key in ("distinct", "group", "having")):
        return False
    outputs = [item.unalias() for item in tree.selects]
    if not all(isinstance(item, exp.Column) and not item.is_star for item in outputs) or len(outputs) > MOST_COLUMNS:
        return False
    order = tree.args.get("order")
    wanted = [item.this for item in order.expressions] if order is not None else []
    where = tree.args.get("where")
    equals = where.find_all(exp.EQ) if where is not None else ()
    wanted += [equal.this for equal in equals if _is_extreme(equal.expression) and equal.parent_select is tree]
    shown = {_bare(item) for item in outputs} | {item.alias_or_name.lower() for item in tree.selects}
    more = []
    for one in wanted:
        if isinstance(one, exp.Literal | exp.Subquery) or one.find(exp.AggFunc) is not None or _bare(one) in shown:
            continue
        shown.add(_bare(one))
        more.append(one.copy())
    if not more or any(isinstance(one, exp.Literal) for one in wanted):
        return False
    tree.set("expressions", [*tree.selects, *more])
    return True


def fold_names(tree: exp.Query, asked: str, catalog: Catalog) -> bool:
    kind_of = kinds_of(tree, catalog)
    texts = [
        (one, column, text)
        for one in tree.find_all(exp.EQ)
        if one.find_ancestor(exp.Join) is None
        for column, text in [(one.this, one.expression)]
        if isinstance(column, exp.Column) and isinstance(text, exp.Literal) and text.is_string
        if kind_of(column) == "text" and not re.search(r"[%_\\]", text.name)
    ]
    changed = False
    for one, column, text in texts:
        spelt = spelling(text.name, asked)
        if not (column.name.lower().endswith(_NAMES) or (spelt is not None and spelt != text.name)):
            continue
        like = exp.ILike(this=column.copy(), expression=exp.Literal.string(spelt or text.name))
        one.replace(like)
        changed = True
    return changed


def spelling(text: str, asked: str) -> str | None:
    """``text`` as the question writes it; None where it does not."""
    found = re.search(rf"(?<!\w){re.escape(text)}(?!\w)", asked) or re.search(
        rf"(?<!\w){re.escape(text)}(?!\w)", asked, re.IGNORECASE
    )
    return found[0] if found is not None else None


def count_plainly(tree: exp.Query) -> bool:
    """``SELECT sum(CASE WHEN a THEN 1 ELSE 0 END) FROM t`` -> ``SELECT count(*) FROM t WHERE a``"""
    if not isinstance(tree, exp.Select) or len(tree.selects) != 1 or tree.args.get("group") or tree.args.get("having"):
        return False
    total = tree.selects[0].unalias()
    case = total.this if isinstance(total, exp.Sum | exp.Count) else None
    if not isinstance(case, exp.Case) or case.this is not None or len(case.args["ifs"]) != 1:
        return False
    branch, default = case.args["ifs"][0], case.args.get("default")
    nothing = default is None or isinstance(default, exp.Null) or (isinstance(total, exp.Sum) and default.name == "0")
    if branch.args["true"].name != "1" or not nothing:
        return False
    tree.set("expressions", [exp.Count(this=exp.Star())])
    tree.where(branch.this.copy(), copy=False)
    return True


def cast_to_numeric(tree: exp.Query) -> bool:
    casts = [
        cast
        for cast in tree.find_all(exp.Cast)
        if cast.to.this in _REAL and (cast.find_ancestor(exp.Div) is not None or isinstance(cast.parent, exp.Round))
    ]
    for cast in casts:
        cast.set("to", exp.DataType.build("numeric"))
    return bool(casts)


def join_plainly(tree: exp.Query) -> bool:
    joins = [join for join in tree.find_all(exp.Join) if join.kind == "INNER" and not join.side]
    for join in joins:
        join.set("kind", None)
    return bool(joins)


def leave_nulls(tree: exp.Query) -> bool:
    changed = False
    for one in tree.find_all(exp.Ordered):
        if one.args.get("desc") and one.args.get("nulls_first") is False:
            one.set("nulls_first", True)
            changed = True
        elif one.args.get("desc") is False:
            one.set("desc", None)
            changed = True
    return changed


def keys_first(tree: exp.Query) -> bool:
    """What is grouped by in front of what is told of each group."""
    if not isinstance(tree, exp.Select) or tree.args.get("group") is None:
        return False
    order = tree.args.get("order")
    sorted_by = [item.this for item in order.expressions] if order is not None else []
    if any(isinstance(one, exp.Literal) for one in (*tree.args["group"].expressions, *sorted_by)):
        return False  # positions
    items = sorted(tree.selects, key=lambda item: item.find(exp.AggFunc) is not None)
    changed = [id(item) for item in items] != [id(item) for item in tree.selects]
    tree.set("expressions", items)
    return changed


def small_units(sql: str) -> str:
    """Units of time in small letters, as people write them, and a space in front of a FILTER's parenthesis."""
    small = re.sub(r"(?<=DATE_TRUNC\()'[A-Z]+'|(?<=INTERVAL )'\d+ [A-Z]+'", lambda unit: unit[0].lower(), sql)
    return small.replace(" FILTER(WHERE", " FILTER (WHERE")


def _is_extreme(value: exp.Expr) -> bool:
    """(SELECT max(x) FROM t)"""
    inner = value.this if isinstance(value, exp.Subquery) else None
    return isinstance(inner, exp.Select) and len(inner.selects) == 1 and isinstance(inner.selects[0], exp.Max | exp.Min)


def _bare(value: exp.Expr) -> str:
    copy = value.copy()
    for column in [copy] if isinstance(copy, exp.Column) else list(copy.find_all(exp.Column)):
        column.set("table", None)
    return copy.sql(dialect="postgres").lower()
