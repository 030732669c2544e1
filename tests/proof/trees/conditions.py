"""Conditions: comparisons of every kind, of rows and arrays, and with sub-queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from tests.proof.trees.making import Scope, array, call, cast, number, paren, string, tuple_of, typed

if TYPE_CHECKING:
    from tests.proof.trees.expressions import Expressions

COMPARED: Final = ("int", "text", "date", "timestamp", "numeric", "int", "text")
COMPARISONS: Final = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ)


def condition(of: Expressions, scope: Scope, depth: int) -> exp.Expression:
    """A condition with parts of less than ``depth``."""
    chance = of.chance
    way = chance.choice([_compared, _compared, _plain, _plain, _row, _joined, _subquery, _subquery, _patterned, _json])
    return paren(way(of, scope, depth - 1))


def _compared(of: Expressions, scope: Scope, depth: int) -> exp.Expression:
    kind = of.chance.choice(COMPARED)
    comparison = of.chance.choice(COMPARISONS)
    return comparison(this=of.of(kind, scope, depth), expression=of.of(kind, scope, depth))


def _plain(of: Expressions, scope: Scope, depth: int) -> exp.Expression:
    chance = of.chance
    kind = chance.choice(COMPARED)
    one = of.of(kind, scope, depth)
    some = [of.leaf(kind, scope) for _ in range(chance.randint(1, 3))]
    any_kind = chance.choice([*COMPARED, "ints", "jsonb", "bool"])
    return of.pick(
        lambda: exp.Is(this=of.of(any_kind, scope, depth), expression=exp.Null()),
        lambda: exp.Not(this=exp.Is(this=of.of(any_kind, scope, depth), expression=exp.Null())),
        lambda: exp.Is(this=of.of("bool", scope, depth), expression=exp.Boolean(this=chance.random() < 0.5)),
        lambda: exp.Between(this=one, low=some[0], high=some[-1]),
        lambda: exp.In(this=one, expressions=some),
        lambda: exp.Not(this=exp.In(this=one, expressions=some)),
        lambda: exp.EQ(this=one, expression=exp.Any(this=exp.Paren(this=array(*some)))),
        lambda: exp.GT(this=one, expression=exp.All(this=exp.Paren(this=array(*some)))),
        lambda: exp.EQ(this=of.of("int", scope, 0), expression=exp.Any(this=exp.Paren(this=of.leaf("ints", scope)))),
        lambda: exp.ArrayContainsAll(this=of.of("ints", scope, depth), expression=of.leaf("ints", scope)),
        lambda: exp.ArrayOverlaps(this=of.of("ints", scope, depth), expression=of.leaf("ints", scope)),
        lambda: exp.LT(this=of.leaf("text", scope), expression=exp.Collate(
            this=exp.Literal.string("b"), expression=exp.to_identifier("C", quoted=True))),
    )  # fmt: skip


def _row(of: Expressions, scope: Scope, depth: int) -> exp.Expression:
    """Rows against rows, and against a list of them."""
    of.used.add("row comparison")
    kinds = [of.chance.choice(COMPARED) for _ in range(of.chance.randint(2, 3))]
    left, right = ([of.of(kind, scope, depth - 1) for kind in kinds] for _ in range(2))
    if of.chance.random() < 0.3:
        return exp.In(this=tuple_of(*left), expressions=[tuple_of(*right)])
    comparison = of.chance.choice(COMPARISONS)
    return comparison(this=call("ROW", *left), expression=call("ROW", *right))


def _joined(of: Expressions, scope: Scope, depth: int) -> exp.Expression:
    one, two = of.of("bool", scope, depth), of.of("bool", scope, depth)
    match of.chance.randrange(3):
        case 0:
            return exp.And(this=paren(one), expression=paren(two))
        case 1:
            return exp.Or(this=paren(one), expression=paren(two))
    return exp.Not(this=paren(one))


def _patterned(of: Expressions, scope: Scope, depth: int) -> exp.Expression:
    one = of.of("text", scope, depth)
    pattern = of.chance.choice(["%a%", "E_", "x%", "%", "A%"])
    return of.pick(
        lambda: exp.Like(this=one, expression=exp.Literal.string(pattern)),
        lambda: exp.ILike(this=one, expression=exp.Literal.string(pattern)),
        lambda: exp.Not(this=exp.Like(this=one, expression=exp.Literal.string(pattern))),
        lambda: exp.RegexpLike(this=one, expression=exp.Literal.string("^[A-F]")),
        lambda: exp.SimilarTo(this=one, expression=exp.Literal.string("(x|A)%")),
        lambda: call("starts_with", one, string("A")),
    )  # fmt: skip


def _json(of: Expressions, scope: Scope, depth: int) -> exp.Expression:
    one = of.of("jsonb", scope, depth)
    return of.pick(
        lambda: exp.ArrayContainsAll(this=one, expression=typed('{"a": 1}', "JSONB")),
        lambda: exp.JSONBContainsTopKey(this=one, expression=exp.Literal.string("a")),
        lambda: call("jsonb_path_exists", one, exp.Literal.string("$.a ? (@ > 3)")),
        lambda: exp.GT(this=cast(paren(one), "TEXT"), expression=string("[")),
    )  # fmt: skip


def _subquery(of: Expressions, scope: Scope, depth: int) -> exp.Expression:
    chance = of.chance
    query, inner = of.block(scope, depth)
    way = chance.choice(["EXISTS", "IN subquery", "ANY subquery", "ALL subquery", "row IN subquery"])
    of.used.add(way)
    if way == "EXISTS":
        found: exp.Expression = exp.Exists(this=query.select(number(1), append=False))
        return exp.Not(this=found) if chance.random() < 0.4 else found
    kinds = [chance.choice(COMPARED) for _ in range(2 if way == "row IN subquery" else 1)]
    left = [of.of(kind, scope, depth) for kind in kinds]
    inside = exp.Subquery(this=query.select(*(of.of(kind, inner, depth - 1) for kind in kinds), append=False))
    if way == "row IN subquery":
        return exp.In(this=tuple_of(*left), query=inside)
    if way == "IN subquery":
        found = exp.In(this=left[0], query=inside)
        return exp.Not(this=found) if chance.random() < 0.4 else found
    comparison = chance.choice(COMPARISONS[:6])
    return comparison(this=left[0], expression=(exp.Any if way == "ANY subquery" else exp.All)(this=inside))
