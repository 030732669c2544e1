"""What stands in FROM: tables, sub-queries, functions, VALUES, and joins of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlglot import exp

from tests.proof.trees.expressions import Expressions
from tests.proof.trees.making import (
    KINDS,
    Columns,
    Environment,
    Scope,
    call,
    cast,
    column,
    named,
    number,
    paren,
    subquery,
)

Tree = exp.Expression


@dataclass
class Sources:
    expressions: Expressions
    query: Callable[[Environment, Scope | None, int], tuple[exp.Query, Columns]]
    "A whole query: environment, scope of what it may refer to, depth."
    complete: frozenset[str] = frozenset()
    "Tables of which the person sees all columns."
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    pool: tuple[str, ...] = ()
    "Names of tables, as aliases of others."

    def alias(self, scope: Scope) -> str:
        free = [name for name in self.pool if all(name != other for other, _ in scope.own)]
        if free and self.expressions.chance.random() < 0.4:
            return self.expressions.chance.choice(free)
        return self.fresh()

    def fresh(self) -> str:
        return f"{self.expressions.chance.choice('abcdefg')}{next(self._numbers)}"

    def block(self, environment: Environment, outer: Scope | None, depth: int) -> tuple[exp.Select, Scope]:
        """``SELECT FROM … WHERE``, without items."""
        chance, of = self.expressions.chance, self.expressions
        scope = Scope(outer=outer)
        first, alias, columns = self._source(environment, scope, depth, lateral=False)
        scope.join(alias, columns)
        query = exp.Select().from_(first)
        for _ in range(chance.choice([0, 0, 0, 1, 1, 2])):
            query = query.join(self._join(environment, scope, depth))
        if chance.random() < 0.55:
            query.set("where", exp.Where(this=of.of("bool", scope, depth)))
        return query, scope

    def _source(self, environment: Environment, scope: Scope, depth: int, lateral: bool) -> tuple[Tree, str, Columns]:
        chance, of = self.expressions.chance, self.expressions
        alias, way = self.alias(scope), chance.random()
        if depth > 0 and way < 0.13:
            of.used.add("subquery in FROM")
            query, columns = self.query(environment, scope.outer, depth - 1)
            names: tuple[str, ...] = ()
            if chance.random() < 0.2:
                of.used.add("column aliases")
                names = tuple(f"{alias}_{place}" for place in range(len(columns)))
                columns = tuple((name, kind) for name, (_, kind) in zip(names, columns, strict=True))
            scope.whole.add(alias)
            return subquery(query, alias, names), alias, columns
        if depth > 0 and lateral and way < 0.23:
            of.used.add("LATERAL")
            query, columns = self.query(environment, scope, depth - 1)
            inner = exp.Lateral(this=exp.Subquery(this=query), alias=exp.TableAlias(this=named(alias)))
            return inner, alias, columns
        if way < 0.3:
            return self._function(alias, scope if lateral else Scope(outer=scope.outer))
        if way < 0.35:
            return self._values(alias)
        name = chance.choice(list(environment))
        columns = environment[name]
        if all(name != other for other, _ in scope.all()) and chance.random() < 0.2:
            alias = name
        tree = exp.Table(this=named(name))
        if alias != name:
            names = ()
            if name in self.complete and chance.random() < 0.08:
                of.used.add("column aliases")
                names = tuple(f"{alias}_{place}" for place in range(len(columns)))
                columns = tuple((new, kind) for new, (_, kind) in zip(names, columns, strict=True))
            tree.set("alias", exp.TableAlias(this=named(alias), columns=[named(one) for one in names]))
        if name in self.complete:
            scope.whole.add(alias)
        return tree, alias, columns

    def _function(self, alias: str, scope: Scope) -> tuple[Tree, str, Columns]:
        of, chance = self.expressions, self.expressions.chance
        if chance.random() < 0.5:
            of.used.add("generate_series")
            until = call("mod", call("abs", of.leaf("int", scope)), number(6))
            series = exp.Table(this=call("generate_series", number(1), until))
            series.set("alias", exp.TableAlias(this=named(alias), columns=[named("s")]))
            return series, alias, (("s", "int"),)
        of.used.add("unnest")
        tree = exp.Unnest(expressions=[of.leaf("ints", scope)])
        if chance.random() < 0.5:
            of.used.add("WITH ORDINALITY")
            tree.set("offset", named("o"))
            tree.set("alias", exp.TableAlias(this=named(alias), columns=[named("s")]))
            return tree, alias, (("s", "int"), ("o", "int"))
        tree.set("alias", exp.TableAlias(this=named(alias), columns=[named("s")]))
        return tree, alias, (("s", "int"),)

    def _values(self, alias: str) -> tuple[Tree, str, Columns]:
        of, chance = self.expressions, self.expressions.chance
        of.used.add("VALUES")
        kinds = [chance.choice(list(KINDS)) for _ in range(chance.randint(1, 3))]
        rows = [
            exp.Tuple(expressions=[cast(of.constant(kind), KINDS[kind]) for kind in kinds])
            for _ in range(chance.randint(1, 3))
        ]
        columns = tuple((f"v{place}", kind) for place, kind in enumerate(kinds))
        names = [named(name) for name, _ in columns]
        return exp.Values(expressions=rows, alias=exp.TableAlias(this=named(alias), columns=names)), alias, columns

    def _join(self, environment: Environment, scope: Scope, depth: int) -> exp.Join:
        of, chance = self.expressions, self.expressions.chance
        more, alias, columns = self._source(environment, scope, depth, lateral=True)
        own = {name for _, one in scope.own for name, _ in one}
        shared = [name for name, kind in columns if scope.bare.get(name) == kind]
        way = chance.choice(["inner", "left", "right", "full", "cross", "using", "natural"])
        inside = isinstance(more, exp.Lateral | exp.Unnest) or (
            isinstance(more, exp.Table) and isinstance(more.this, exp.Anonymous)
        )
        if inside and way in ("right", "full", "using", "natural"):
            way = "left"  # it may refer to what stands to its left
        side = chance.choice(["", "LEFT", "FULL"])
        if way == "using" and shared:
            of.used.add("USING")
            using = tuple(chance.sample(shared, min(len(shared), chance.randint(1, 2))))
            scope.join(alias, columns, using)
            return exp.Join(this=more, side=side or None, using=[named(name) for name in using])
        if way == "natural" and shared and {name for name, _ in columns if name in own} == set(shared):
            of.used.add("NATURAL")
            scope.join(alias, columns, tuple(shared))
            return exp.Join(this=more, method="NATURAL", side=side or None)
        if way == "cross":
            of.used.add("CROSS JOIN")
            scope.join(alias, columns)
            return exp.Join(this=more, kind="CROSS")
        both = Scope(own=[*scope.own, (alias, columns)], outer=scope.outer)
        on: Tree = exp.Boolean(this=True)
        left = [(a, name) for a, one in scope.own for name, kind in one if kind == "int"]
        right = [name for name, kind in columns if kind == "int"]
        if left and right:  # PostgreSQL has FULL JOIN only where an equality can merge or hash it
            a, name = chance.choice(left)
            on = exp.EQ(this=column(name, a), expression=column(chance.choice(right), alias))
        scope.join(alias, columns)
        if way not in ("inner", "left") and not (way in ("right", "full") and isinstance(on, exp.EQ)):
            way = "inner"
        if way in ("inner", "left") and chance.random() < 0.5:
            on = exp.And(this=paren(on), expression=paren(of.of("bool", both, 1)))
        of.used.add(f"{way.upper()} JOIN")
        return exp.Join(this=more, side=None if way == "inner" else way.upper(), on=on)
