"""Averages, weekdays and durations in a model's answer, put right where no reading of it is sensible.

As in ``habits.py``: each pass changes the tree in place and says whether it did.

- ``divide_sums``: an average over a sum or a count is no measure of anything; the sum is meant.
- ``count_weekdays``: DOW is 0 to 6 from Sunday, so whoever looks for 7 counts as ISODOW does (manual, 9.9.1).
- ``measure_durations``: the hours of an interval are a field of it, 0 to 23; how many hours it is is meant.

``in_units`` is for the caller to ask for, who knows the question.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from sqlglot import exp

from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.kinds_of_values import KindOf, kinds_of
from nlsql_gateway.sql.names import parse

Unit = Literal["second", "minute", "hour", "day"]
_SECONDS: Final[dict[str, int]] = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_UNIT = re.compile(r"\b(?:in|how many|number of) (second|minute|hour|day)s\b", re.IGNORECASE)


def unit_of(question: str) -> Unit | None:
    """The unit of time that a duration is asked for in."""
    found = {unit.lower() for unit in _UNIT.findall(question)}
    return found.pop() if len(found) == 1 else None


def in_units(sql: str, unit: Unit, catalog: Catalog) -> str:
    """``sql``, one SELECT statement, with the intervals that it shows as numbers of ``unit``.

    What it multiplies them by goes, for an interval times 60 is an interval. Raises StatementError (not readable),
    LimitError.
    """
    tree = parse(sql)
    if not isinstance(tree, exp.Select):
        return sql
    kind_of = kinds_of(tree, catalog)
    shown = [item.this if isinstance(item, exp.Alias) else item for item in tree.selects]
    durations = [(one, bare) for one in shown if kind_of(bare := _without_factors(one)) == "interval"]
    for one, bare in durations:
        one.replace(_epochs(bare, unit))
    return tree.sql(dialect="postgres", normalize_functions=False) if durations else sql


def divide_sums(tree: exp.Query, _: KindOf) -> bool:
    changed = False
    for division in list(tree.find_all(exp.Div)):
        above, below = _without_factors(division.this), _bare(division.expression)
        if isinstance(above, exp.Avg) and isinstance(below, exp.Sum | exp.Count):
            above.replace(exp.Sum(this=above.this))
            changed = True
    return changed


def count_weekdays(tree: exp.Query, _: KindOf) -> bool:
    days = [part for part in tree.find_all(exp.Extract) if part.name.upper() == "DOW"]
    looked_for = {number for part in days for number in _compared_with(part)}
    if "7" not in looked_for or "0" in looked_for:
        return False
    for part in days:
        part.set("this", exp.Var(this="ISODOW"))
    return True


def measure_durations(tree: exp.Query, kind_of: KindOf) -> bool:
    fields = [
        part
        for part in tree.find_all(exp.Extract)
        if part.name.lower() in ("second", "minute", "hour") and kind_of(part.expression) == "interval"
    ]
    for part in fields:
        part.replace(_epochs(part.expression, part.name.lower()))
    return bool(fields)


def _epochs(duration: exp.Expr, unit: str) -> exp.Expr:
    seconds = exp.Extract(this=exp.Var(this="EPOCH"), expression=duration.copy())
    if unit == "second":
        return seconds
    return exp.Div(this=seconds, expression=exp.Literal.number(_SECONDS[unit]), typed=True)  # as Postgres divides


def _without_factors(value: exp.Expr) -> exp.Expr:
    """What is multiplied with, or divided by, numbers."""
    value = _bare(value)
    while isinstance(value, exp.Mul | exp.Div):
        if isinstance(_bare(value.expression), exp.Literal):
            value = _bare(value.this)
        elif isinstance(value, exp.Mul) and isinstance(_bare(value.this), exp.Literal):
            value = _bare(value.expression)
        else:
            break
    return value


def _bare(value: exp.Expr) -> exp.Expr:
    """Without parentheses, casts and NULLIF."""
    while isinstance(value, exp.Paren | exp.Cast | exp.Nullif):
        value = value.this
    return value


def _compared_with(part: exp.Extract) -> list[str]:
    """The numbers that it is compared with."""
    above = part.parent
    while isinstance(above, exp.Paren | exp.Cast):
        above = above.parent
    if isinstance(above, exp.EQ | exp.NEQ):
        others = [above.this, above.expression]
    elif isinstance(above, exp.In):
        others = above.expressions
    else:
        return []
    return [one.name for one in map(_bare, others) if isinstance(one, exp.Literal)]
