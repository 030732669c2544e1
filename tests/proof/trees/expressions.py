"""Typed expressions over a scope."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlglot import exp

from tests.proof.trees import conditions
from tests.proof.trees.making import (
    KINDS,
    Scope,
    array,
    arrow,
    call,
    cast,
    column,
    divided,
    number,
    order,
    paren,
    string,
    typed,
)

Tree = exp.Expression


@dataclass
class Expressions:
    chance: random.Random
    block: Callable[[Scope, int], tuple[exp.Select, Scope]]
    "Makes FROM and WHERE of a sub-query, of an outer scope and a depth, and the scope for its items."
    used: set[str] = field(default_factory=set)
    pool: tuple[str, ...] = ()
    "Names of the tables' columns, hidden ones too, for output columns of another meaning; empty: names of their own."

    def names(self, letter: str, count: int) -> list[str]:
        """Different names for the items of a query."""
        if count <= len(self.pool) and self.chance.random() < 0.5:
            return self.chance.sample(self.pool, count)
        return [f"{letter}{place}" for place in range(count)]

    def of(self, kind: str, scope: Scope, depth: int) -> Tree:
        """An expression of this kind."""
        if depth <= 0 or self.chance.random() < 0.35:
            return self.leaf(kind, scope)
        if self.chance.random() < 0.06:
            return self._scalar(kind, scope, depth - 1)
        if self.chance.random() < 0.1:
            return self._case(kind, scope, depth - 1)
        if self.chance.random() < 0.08:
            return call("coalesce", self.of(kind, scope, depth - 1), self.leaf(kind, scope))
        if kind == "bool":
            return conditions.condition(self, scope, depth)
        found: Tree = getattr(self, f"_{kind}")(scope, depth - 1)
        return found

    def leaf(self, kind: str, scope: Scope) -> Tree:
        found: list[Tree] = [column(name, alias) for alias, of in scope.all() for name, one in of if one == kind]
        if found and self.chance.random() < 0.85:
            bare = [name for name, one in scope.bare.items() if one == kind]
            if bare and self.chance.random() < 0.2:
                return column(self.chance.choice(bare))
            return self.chance.choice(found)
        return self.constant(kind)

    def pick(self, *ways: Callable[[], Tree]) -> Tree:
        return self.chance.choice(ways)()

    def constant(self, kind: str) -> Tree:
        if self.chance.random() < 0.05:
            return cast(exp.Null(), KINDS[kind])
        match kind:
            case "int":
                return number(self.chance.randint(-3, 50))
            case "numeric":
                return typed(f"{self.chance.randint(-999, 9999) / 100:.2f}", KINDS["numeric"])
            case "bool":
                return exp.Boolean(this=self.chance.random() < 0.6)
            case "date":
                return typed(f"202{self.chance.randint(0, 4)}-05-15", "DATE")
            case "timestamp":
                return typed(f"202{self.chance.randint(0, 4)}-05-11 04:30:00", "TIMESTAMP")
            case "ints":
                return array(*(number(self.chance.randint(0, 5)) for _ in range(self.chance.randint(1, 3))))
            case "jsonb":
                return typed(self.chance.choice(['{"a": 1}', "[1, 2]", '{"b": null}', '"x"']), "JSONB")
        return string(self.chance.choice(["EU", "US", "x", "O'Hara", "", "%a%"]))

    def _scalar(self, kind: str, scope: Scope, depth: int) -> Tree:
        """A sub-query of one value: an aggregate, or the first row in order."""
        self.used.add("scalar subquery")
        query, inner = self.block(scope, depth)
        if kind in ("int", "text", "date", "timestamp", "numeric") and self.chance.random() < 0.6:
            value = call(self.chance.choice(["max", "min"]), self.of(kind, inner.alone(), 0))
            return exp.Subquery(this=query.select(value, append=False))
        value = self.of(kind, inner, 1)
        return exp.Subquery(this=query.select(value, append=False).order_by(number(1)).limit(1))

    def _case(self, kind: str, scope: Scope, depth: int) -> Tree:
        self.used.add("CASE")
        if self.chance.random() < 0.3:
            ifs = [
                exp.If(this=number(n), true=self.of(kind, scope, depth))
                for n in self.chance.sample(range(9), self.chance.randint(1, 2))
            ]
            return exp.Case(this=self.leaf("int", scope), ifs=ifs, default=self.leaf(kind, scope))
        ifs = [
            exp.If(this=self.of("bool", scope, depth), true=self.of(kind, scope, depth))
            for _ in range(self.chance.randint(1, 2))
        ]
        return exp.Case(ifs=ifs, default=self.leaf(kind, scope) if self.chance.random() < 0.7 else None)

    def _int(self, scope: Scope, depth: int) -> Tree:
        one, two = self.of("int", scope, depth), self.leaf("int", scope)
        return self.pick(
            lambda: paren(exp.Add(this=one, expression=two)),
            lambda: paren(exp.Sub(this=one, expression=two)),
            lambda: paren(exp.Mul(this=self.leaf("int", scope), expression=two)),
            lambda: divided(one, two),
            lambda: call("mod", two, number(7)),
            lambda: call("abs", one),
            lambda: call("nullif", one, two),
            lambda: call(self.chance.choice(["greatest", "least"]), one, two, number(3)),
            lambda: call(self.chance.choice(["length", "octet_length", "ascii"]), self.of("text", scope, depth)),
            lambda: cast(paren(self.of("bool", scope, depth)), "INTEGER"),
            lambda: cast(call("date_part", exp.Literal.string("month"), self.of("date", scope, depth)), "INTEGER"),
            lambda: call("cardinality", self.of("ints", scope, depth)),
            lambda: call("array_position", self.of("ints", scope, depth), two),
            lambda: exp.Bracket(this=paren(self.of("ints", scope, depth)), expressions=[number(0)]),
            lambda: call("strpos", self.of("text", scope, depth), string("a")),
            lambda: call("jsonb_array_length", call("jsonb_build_array", one, self.leaf("text", scope))),
            lambda: call("num_nulls", one, self.leaf("text", scope), self.leaf("date", scope)),
            lambda: call("width_bucket", self.of("numeric", scope, depth), number(0), number(1000), number(5)),
            lambda: paren(exp.Sub(this=self.leaf("date", scope), expression=typed("2022-01-01", "DATE"))),
        )  # fmt: skip

    def _numeric(self, scope: Scope, depth: int) -> Tree:
        one, two = self.of("numeric", scope, depth), self.leaf("int", scope)
        found = self.pick(
            lambda: exp.Mul(this=one, expression=two),
            lambda: exp.Add(this=one, expression=self.leaf("numeric", scope)),
            lambda: cast(self.of("int", scope, depth), "NUMERIC"),
            lambda: divided(one, two),
            lambda: call("abs", one),
            lambda: call("trunc", one, number(1)),
        )  # fmt: skip
        return call("round", found, number(2))

    def _text(self, scope: Scope, depth: int) -> Tree:
        one, two = self.of("text", scope, depth), self.leaf("text", scope)
        n = self.of("int", scope, depth)
        other = self.chance.choice(["int", "numeric", "bool", "date", "timestamp", "ints", "jsonb"])
        return self.pick(
            lambda: call(self.chance.choice(["upper", "lower", "initcap", "reverse", "md5", "btrim"]), one),
            lambda: paren(exp.DPipe(this=one, expression=two)),
            lambda: call("concat", one, n, two),
            lambda: call("concat_ws", string("-"), one, n, self.leaf("date", scope)),
            lambda: call(self.chance.choice(["left", "right"]), one, number(2)),
            lambda: call("substr", one, number(2), number(3)),
            lambda: call("replace", one, string("x"), two),
            lambda: call("translate", one, string("abc"), string("xyz")),
            lambda: call("split_part", one, string(" "), number(1)),
            lambda: call("lpad", one, number(6), string(".")),
            lambda: call("regexp_replace", one, string("[a-m]+"), string("_")),
            lambda: call("format", string("%s|%s"), one, n),
            lambda: call("nullif", one, two),
            lambda: call("to_char", self.leaf("date", scope), string("YYYY-MM")),
            lambda: call("array_to_string", self.of("ints", scope, depth), string(",")),
            lambda: call("jsonb_typeof", self.of("jsonb", scope, depth)),
            lambda: arrow(exp.JSONExtractScalar, self.of("jsonb", scope, depth), "a"),
            lambda: call(self.chance.choice(["greatest", "least"]), one, two),
            lambda: cast(paren(self.of(other, scope, depth)), "TEXT"),
        )  # fmt: skip

    def _date(self, scope: Scope, depth: int) -> Tree:
        one = self.of("date", scope, depth)
        return self.pick(
            lambda: paren(exp.Add(this=one, expression=number(self.chance.randint(1, 40)))),
            lambda: cast(call("date_trunc", string("month"), self.of("timestamp", scope, depth)), "DATE"),
            lambda: call(self.chance.choice(["greatest", "least"]), one, self.leaf("date", scope)),
            lambda: cast(paren(self.of("timestamp", scope, depth)), "DATE"),
            lambda: call("make_date", number(2022), number(self.chance.randint(1, 12)), number(3)),
        )  # fmt: skip

    def _timestamp(self, scope: Scope, depth: int) -> Tree:
        one = self.of("timestamp", scope, depth)
        hours = typed(f"{self.chance.randint(1, 50)} hours", "INTERVAL")
        return self.pick(
            lambda: paren(exp.Add(this=one, expression=hours)),
            lambda: cast(paren(self.of("date", scope, depth)), "TIMESTAMP"),
            lambda: call("date_trunc", string("year"), one),
            lambda: call("date_bin", typed("1 day", "INTERVAL"), one, typed("2020-01-01", "TIMESTAMP")),
        )  # fmt: skip

    def _ints(self, scope: Scope, depth: int) -> Tree:
        one, n = self.of("ints", scope, depth), cast(self.of("int", scope, 0), "INTEGER")
        return self.pick(
            lambda: array(n, number(1)),
            lambda: call("array_append", one, n),
            lambda: call("array_remove", one, n),
            lambda: call("array_cat", one, self.leaf("ints", scope)),
            lambda: self._collected(scope, depth),
        )  # fmt: skip

    def _collected(self, scope: Scope, depth: int) -> Tree:
        self.used.add("ARRAY subquery")
        query, inner = self.block(scope, depth)
        value = cast(self.of("int", inner, 0), "INTEGER")
        return exp.Array(expressions=[query.select(value, append=False).order_by(number(1))])

    def _jsonb(self, scope: Scope, depth: int) -> Tree:
        one = self.of("jsonb", scope, depth)
        other = self.of(self.chance.choice(["int", "text", "date", "bool", "ints"]), scope, depth)
        return self.pick(
            lambda: call("jsonb_build_object", string("k"), other, string("a"), self.leaf("int", scope)),
            lambda: call("jsonb_build_array", other, one),
            lambda: call("to_jsonb", other),
            lambda: call("jsonb_strip_nulls", one),
            lambda: call("jsonb_set", typed('{"a": 0}', "JSONB"), typed("{a}", "TEXT[]"), one),
            lambda: call("jsonb_path_query_first", one, exp.Literal.string("$.*")),
            lambda: arrow(exp.JSONExtract, one, "a"),
            lambda: self._gathered(scope, depth),
        )  # fmt: skip

    def _gathered(self, scope: Scope, depth: int) -> Tree:
        self.used.add("jsonb_agg subquery")
        query, inner = self.block(scope, depth)
        value = self.of(self.chance.choice(["int", "text"]), inner.alone(), 1)
        return exp.Subquery(this=query.select(call("jsonb_agg", order(value, this=value)), append=False))
