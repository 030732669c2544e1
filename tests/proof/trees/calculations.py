"""Grouping with aggregates of every kind, and windows."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from tests.proof.trees.expressions import Expressions
from tests.proof.trees.making import Columns, Scope, aliased, call, column, number, order, paren

Tree = exp.Expression


def grouped(of: Expressions, query: exp.Select, scope: Scope, depth: int) -> tuple[exp.Select, Columns]:
    """Adds keys, aggregates, GROUP BY and HAVING to a block."""
    chance = of.chance
    found = [(alias, name, kind) for alias, columns in scope.own for name, kind in columns if kind != "shown"]
    keys = chance.sample(found, min(len(found), chance.randint(0, 3)))
    names = [column(name, alias) for alias, name, _ in keys]
    items: list[tuple[Tree, str]] = [(name.copy(), kind) for name, (_, _, kind) in zip(names, keys, strict=True)]
    items += [aggregate(of, scope) for _ in range(chance.randint(1, 3))]
    if keys:
        way = chance.choice(["GROUP BY", "GROUP BY", "GROUPING SETS", "ROLLUP", "CUBE"])
        of.used.add(way)
        query.set("group", _group(of, way, names))
        if way != "GROUP BY":
            items.append((exp.Grouping(expressions=[name.copy() for name in names]), "int"))
        inner = Scope(own=[(alias, ((name, kind),)) for alias, name, kind in keys], outer=scope.outer)
        kind = chance.choice(["int", "text"])
        items.append((of.of(kind, inner, min(depth, 1)), kind))
    if chance.random() < 0.3:
        of.used.add("HAVING")
        query = query.having(exp.GT(this=call("count", exp.Star()), expression=number(chance.randint(0, 3))))
    return _shown(of, query, items)


def _group(of: Expressions, way: str, names: list[exp.Column]) -> exp.Group:
    copies = [name.copy() for name in names]
    match way:
        case "GROUP BY":
            return exp.Group(expressions=copies)
        case "ROLLUP":
            return exp.Group(expressions=[exp.Rollup(expressions=copies)])
        case "CUBE":
            return exp.Group(expressions=[exp.Cube(expressions=copies)])
    sets = [exp.Tuple(expressions=of.chance.sample(copies, of.chance.randint(0, len(copies)))) for _ in range(2)]
    every: Tree = exp.Tuple(expressions=[name.copy() for name in names])
    return exp.Group(expressions=[exp.GroupingSets(expressions=[every, *(one.copy() for one in sets)])])


def aggregate(of: Expressions, scope: Scope) -> tuple[Tree, str]:
    """An aggregate whose value does not depend on the order of the rows, and its kind."""
    chance, scope = of.chance, scope.alone()
    n, t, b = of.of("int", scope, 1), of.of("text", scope, 1), of.of("bool", scope, 1)
    d, x = of.of("date", scope, 1), of.of("numeric", scope, 1)
    options: list[Callable[[], tuple[Tree, str]]] = [
        lambda: (call("count", exp.Star()), "int"),
        lambda: (call("count", n), "int"),
        lambda: (call("count", exp.Distinct(expressions=[t])), "int"),
        lambda: (call("sum", n), "shown"),
        lambda: (call("sum", exp.Distinct(expressions=[n])), "shown"),
        lambda: (call("round", call(chance.choice(["sum", "avg", "min", "max"]), x), number(2)), "numeric"),
        lambda: (call("round", call("stddev_pop", x), number(2)), "numeric"),
        lambda: (call(chance.choice(["min", "max"]), t), "text"),
        lambda: (call(chance.choice(["min", "max"]), d), "date"),
        lambda: (call(chance.choice(["bool_and", "bool_or", "every"]), b), "bool"),
        lambda: (call("string_agg", t, order(t.copy(), this=exp.Literal.string(","))), "text"),
        lambda: (call("array_agg", order(n.copy(), this=n, desc=chance.random() < 0.5)), "shown"),
        lambda: (call("jsonb_agg", order(t.copy(), this=t)), "jsonb"),
        lambda: (
            call("jsonb_object_agg", call("coalesce", t, exp.Literal.string("")), order(n.copy(), this=n)),
            "jsonb",
        ),
        lambda: (_within(of, "percentile_disc", exp.Literal.number("0.5"), n), "int"),
        lambda: (_within(of, "percentile_cont", exp.Literal.number("0.25"), n), "shown"),
        lambda: (_within(of, "mode", None, t), "text"),
        lambda: (_within(of, "rank", number(3), n), "int"),
        lambda: (call("bit_and", n), "int"),
    ]
    found, kind = chance.choice(options)()
    if chance.random() < 0.25 and isinstance(found, exp.Anonymous) and found.name != "round":
        of.used.add("FILTER")
        found = exp.Filter(this=found, expression=exp.Where(this=of.of("bool", scope, 1)))
    of.used.add("aggregate")
    return found, kind


def _within(of: Expressions, name: str, direct: Tree | None, by: Tree) -> Tree:
    of.used.add("ordered-set aggregate")
    this = call(name, *([direct] if direct is not None else []))
    return exp.WithinGroup(this=this, expression=order(by))


def windowed(of: Expressions, query: exp.Select, scope: Scope) -> tuple[exp.Select, Columns]:
    """Adds a value and window functions over it to a block: what they give does not depend on the order of peers."""
    chance = of.chance
    kind = chance.choice(["int", "text", "date"])
    of.used.add("window")
    value = of.of(kind, scope, 1)
    if isinstance(value, exp.Literal):
        value = paren(value)
    key = of.leaf(chance.choice(["text", "bool", "int"]), scope)
    parts = [key] if chance.random() < 0.6 else []
    options: list[tuple[Tree, str]] = [
        (call("rank"), "int"),
        (call("dense_rank"), "int"),
        (call("count", value.copy()), "int"),
        (call("max", value.copy()), kind),
        (call("lag", value.copy()), kind),
        (call("lead", value.copy(), number(2)), kind),
        (call("first_value", value.copy()), kind),
        (call("nth_value", value.copy(), number(2)), kind),
        (call("cume_dist"), "shown"),
        (call("count", exp.Star()), "int"),
    ]
    by = order(value.copy(), desc=chance.random() < 0.3)
    items = [(value, kind)]
    shared = chance.random() < 0.3
    if shared:
        of.used.add("WINDOW")
        query.set("windows", [exp.Window(this=exp.to_identifier("w"), partition_by=parts, order=by)])
    for function, result in chance.sample(options, chance.randint(1, 3)):
        if shared:
            items.append((exp.Window(this=function, alias=exp.to_identifier("w"), over="OVER"), result))
            continue
        spec = None
        if chance.random() < 0.3 and function.name not in ("rank", "dense_rank", "cume_dist", "lag", "lead"):
            of.used.add("frame")
            spec = exp.WindowSpec(
                kind=chance.choice(["ROWS", "RANGE", "GROUPS"]),
                start="UNBOUNDED", start_side="PRECEDING", end="UNBOUNDED", end_side="FOLLOWING",
            )  # fmt: skip
        over = exp.Window(
            this=function, partition_by=[one.copy() for one in parts], order=by.copy(), spec=spec, over="OVER"
        )
        items.append((over, result))
    return _shown(of, query, items)


def _shown(of: Expressions, query: exp.Select, items: list[tuple[Tree, str]]) -> tuple[exp.Select, Columns]:
    names = of.names("m", len(items))
    query = query.select(*(aliased(item, name) for (item, _), name in zip(items, names, strict=True)), append=False)
    return query, tuple((name, kind) for name, (_, kind) in zip(names, items, strict=True))
