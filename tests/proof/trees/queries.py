"""Queries in the manner of SQLsmith, built as sqlglot trees with types known, so that nearly all of them run.

*Kind*: what an expression is of, one of ``KINDS``; *scope*: the columns that an expression may name; *environment*: the
tables and CTEs that a FROM may name. Two runs on the same rows give the same answer: aggregates do not depend on the
order of their rows, what is limited is ordered by all its columns, and a ``numeric`` has two digits, so that equal
values look alike.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from tests.proof.trees import calculations
from tests.proof.trees.expressions import Expressions
from tests.proof.trees.making import (
    KINDS,
    Columns,
    Environment,
    Scope,
    aliased,
    call,
    cast,
    column,
    named,
    number,
    order,
    paren,
    subquery,
)
from tests.proof.trees.making import kind_of as kind
from tests.proof.trees.sources import Sources
from tests.proof.ways import Query

Tree = exp.Expression
SHOWN: Final = ("int", "text", "int", "text", "numeric", "bool", "date", "timestamp", "ints", "jsonb")


class TreeWriter:
    """Writes one query. ``tables``: name and columns, with their types, of what it may read; ``complete``: those of
    which these are all columns; ``every``: the names of all columns."""

    def __init__(
        self,
        chance: random.Random,
        tables: Sequence[tuple[str, tuple[tuple[str, str], ...]]],
        complete: frozenset[str],
        every: tuple[str, ...] = (),
    ) -> None:
        self.chance = chance
        self.base: Environment = {name: tuple((c, kind(type_)) for c, type_ in of) for name, of in tables}
        self.environment: Environment = self.base
        self.of = Expressions(chance, self._block)
        self.sources = Sources(self.of, self._query, complete)
        if every and chance.random() < 0.25:
            self.of.used.add("misleading names")
            self.of.pool, self.sources.pool = every, tuple(self.base)

    def query(self) -> Query:
        environment, expressions = self._with(self.base) if self.chance.random() < 0.3 else (self.base, [])
        tree, columns = self._query(environment, None, self.chance.choice([1, 2, 2, 3]))
        ordered = self.chance.random() < 0.3
        if ordered:
            tree = self._ordered(exp.Select().select(exp.Star()).from_(subquery(tree, "o")), columns)
        if expressions:
            tree.set("with_", exp.With(expressions=expressions, recursive="WITH RECURSIVE" in self.of.used or None))
        values = self._parameters(tree) if self.chance.random() < 0.25 else ()
        return Query(tree.sql(dialect="postgres"), self.of.used, values, ordered=ordered)

    def _parameters(self, tree: exp.Query) -> tuple[object, ...]:
        """Puts parameters in the places of some of the literals that have a type: the same for the same literal."""
        found: dict[tuple[str, str], int] = {}
        for node in list(tree.find_all(exp.Cast)):
            if isinstance(node.this, exp.Literal) and node.this.is_string and node.this.name:
                key = (node.this.name, node.to.sql(dialect="postgres"))
                if random.Random(f"{key}{len(self.of.used)}").random() < 0.5:
                    place = found.setdefault(key, len(found) + 1)
                    node.set("this", exp.Parameter(this=number(place)))
        if found:
            self.of.used.add("parameters")
        return tuple(value for value, _ in found)

    def _block(self, outer: Scope, depth: int) -> tuple[exp.Select, Scope]:
        return self.sources.block(self.environment, outer, depth)

    def _ordered(self, query: exp.Select, columns: Columns) -> exp.Select:
        """By every column, and often only some of the rows."""
        self.of.used.add("ORDER BY")
        query.set(
            "order", order(*(number(place) for place in range(1, len(columns) + 1)), desc=self.chance.random() < 0.3)
        )
        match self.chance.randrange(4):
            case 0:
                return query.limit(self.chance.randint(0, 12))
            case 1:
                return query.limit(4).offset(1)
            case 2:
                query.set("limit", exp.Fetch(direction="FIRST", count=number(3)))
        return query

    # WITH

    def _with(self, environment: Environment) -> tuple[Environment, list[Tree]]:
        found: list[Tree] = []
        for _ in range(self.chance.randint(1, 2)):
            shadowed = self.chance.random() < 0.2
            name = self.chance.choice(list(self.base)) if shadowed else self.sources.fresh()
            if any(one.alias == name for one in found):
                continue
            if self.chance.random() < 0.25 and not shadowed:
                query, columns = self._recursive(environment, name)
            else:
                query, columns = self._query(environment, None, 1)
            self.of.used.add("CTE of a table's name" if shadowed else "CTE")
            kept = self.chance.choice([None, None, True, False])
            renamed = self.chance.random() < 0.3 and query.find(exp.Union) is None
            names = tuple(f"{column}_" for column, _ in columns) if renamed else ()
            if names or isinstance(query, exp.SetOperation):
                names = names or tuple(column for column, _ in columns)
                columns = tuple((new, one) for new, (_, one) in zip(names, columns, strict=True))
            alias = exp.TableAlias(this=named(name), columns=[named(one) for one in names])
            found.append(exp.CTE(this=query, alias=alias, materialized=kept))
            environment = dict(environment) | {name: columns}
        if "WITH RECURSIVE" in self.of.used and "CTE of a table's name" in self.of.used:
            return self.base, []  # there such a name is that of the CTE in its own query too
        self.environment = environment
        return environment, found

    def _recursive(self, environment: Environment, name: str) -> tuple[exp.Query, Columns]:
        self.of.used.add("WITH RECURSIVE")
        first, scope = self.sources.block(environment, None, 1)
        start = first.select(cast(self.of.of("int", scope, 1), "INTEGER"), number(0), append=False)
        n, d = column(f"{name}_0", name), column(f"{name}_1", name)
        items = [aliased(item, f"{name}_{place}") for place, item in enumerate(start.expressions)]
        start = start.select(*items, append=False)
        step = exp.Select().from_(exp.Table(this=named(name)))
        value: Tree = exp.Add(this=n, expression=number(1))
        table = self.chance.choice(list(environment))
        if self.chance.random() < 0.6 and any(one == "int" for _, one in environment[table]):
            joined = [one for one, is_kind in environment[table] if is_kind == "int"]
            alias = self.sources.fresh()
            other = column(self.chance.choice(joined), alias)
            tree = exp.Table(this=named(table), alias=exp.TableAlias(this=named(alias)))
            step = step.join(tree, on=exp.EQ(this=column(self.chance.choice(joined), alias), expression=n))
            value = other
        step = step.select(cast(value, "INTEGER"), exp.Add(this=d, expression=number(1))).where(
            exp.LT(this=d, expression=number(3))
        )
        columns = ((f"{name}_0", "int"), (f"{name}_1", "int"))
        return exp.Union(this=start, expression=step, distinct=True), columns

    # SELECT

    def _query(self, environment: Environment, outer: Scope | None, depth: int) -> tuple[exp.Query, Columns]:
        self_environment, self.environment = self.environment, environment
        try:
            if depth > 0 and self.chance.random() < 0.15:
                return self._set_operation(environment, outer, depth)
            return self._select(environment, outer, depth)
        finally:
            self.environment = self_environment

    def _select(self, environment: Environment, outer: Scope | None, depth: int) -> tuple[exp.Query, Columns]:
        query, scope = self.sources.block(environment, outer, depth)
        way = self.chance.random()
        if way < 0.25:
            return calculations.grouped(self.of, query, scope, depth)
        if way < 0.35:
            return calculations.windowed(self.of, query, scope)
        if way < 0.45 and len(scope.own) == 1:
            self.of.used.add("star")
            alias, columns = scope.own[0]
            star: Tree = exp.Star()
            if self.chance.random() < 0.5:
                star = exp.Column(this=exp.Star(), table=named(alias))
            return query.select(star), columns
        chosen = [self.chance.choice(SHOWN) for _ in range(self.chance.randint(1, 5))]
        query, columns = self._items(query, scope, chosen, depth)
        if self.chance.random() < 0.1:
            self.of.used.add("DISTINCT")
            query.set("distinct", exp.Distinct())
        elif self.chance.random() < 0.1:
            self.of.used.add("DISTINCT ON")
            on = [item.this.copy() for item in query.expressions[:1]]
            if not isinstance(on[0], exp.Literal):
                query.set("distinct", exp.Distinct(on=exp.Tuple(expressions=on)))
                query.set("order", order(*(number(place) for place in range(1, len(columns) + 1))))
        elif self.chance.random() < 0.08:
            query = self._ordered(query, columns)
        return query, columns

    def _items(self, query: exp.Select, scope: Scope, chosen: Sequence[str], depth: int) -> tuple[exp.Select, Columns]:
        names = self.of.names("k", len(chosen))
        items = [self._item(scope, one, depth) for one in chosen]
        query = query.select(*(aliased(item, name) for item, name in zip(items, names, strict=True)), append=False)
        return query, tuple(zip(names, chosen, strict=True))

    def _item(self, scope: Scope, one: str, depth: int) -> Tree:
        whole = [alias for alias, _ in scope.all() if alias in scope.whole]
        if one in ("text", "jsonb") and whole and self.chance.random() < 0.08:
            self.of.used.add("whole row")
            alias = self.chance.choice(whole)
            return cast(column(alias), "TEXT") if one == "text" else call("to_jsonb", column(alias))
        found = [(alias, name) for alias, of in scope.own for name, is_kind in of if is_kind == one and alias in whole]
        if found and self.chance.random() < 0.05:
            self.of.used.add("(t).c")
            alias, name = self.chance.choice(found)
            return exp.Dot(this=paren(column(alias)), expression=named(name))
        return self.of.of(one, scope, depth)

    def _set_operation(self, environment: Environment, outer: Scope | None, depth: int) -> tuple[exp.Query, Columns]:
        chosen = [self.chance.choice(SHOWN) for _ in range(self.chance.randint(1, 3))]
        sides: list[exp.Query] = []
        for _ in range(2):
            query, scope = self.sources.block(environment, outer, depth - 1)
            side, columns = self._items(query, scope, chosen, depth - 1)
            side.set(
                "expressions",
                [
                    aliased(cast(paren(item.this), KINDS[one]), item.alias)
                    for item, one in zip(side.expressions, chosen, strict=True)
                ],
            )
            sides.append(side)
        way = self.chance.choice([exp.Union, exp.Union, exp.Intersect, exp.Except])
        distinct = self.chance.random() < 0.5
        self.of.used.add(f"{way.__name__.upper()}{'' if distinct else ' ALL'}")
        return way(this=sides[0], expression=sides[1], distinct=distinct), columns
