"""Short names for the nodes of a tree, and scopes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

KINDS: Final = {
    "int": "INTEGER",
    "numeric": "NUMERIC(14, 2)",
    "text": "TEXT",
    "bool": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "ints": "INTEGER[]",
    "jsonb": "JSONB",
}
"""Of each kind its type as casts write it."""

Columns = tuple[tuple[str, str], ...]
"""Names and kinds; a kind that is not in ``KINDS`` can only be shown."""

Environment = Mapping[str, Columns]


def kind_of(type_: str) -> str:
    """The kind of a column of this type."""
    plain = type_.split("(")[0]
    return {
        "integer": "int",
        "bigint": "int",
        "boolean": "bool",
        "character varying": "text",
        "timestamp without time zone": "timestamp",
        "integer[]": "ints",
    }.get(plain, plain)


@dataclass
class Scope:
    own: list[tuple[str, Columns]] = field(default_factory=list)
    "Aliases of this FROM."
    outer: Scope | None = None
    bare: dict[str, str] = field(default_factory=dict)
    "Of this FROM the names that need no alias, and their kinds."
    whole: set[str] = field(default_factory=set)
    "Aliases of which the whole row may be named."

    def all(self) -> list[tuple[str, Columns]]:
        return self.own + (self.outer.all() if self.outer else [])

    def alone(self) -> Scope:
        """Without the outer ones: an aggregate of outer columns only would belong to the outer query."""
        return Scope(own=self.own, bare=self.bare, whole=self.whole)

    def join(self, alias: str, columns: Columns, merged: tuple[str, ...] = ()) -> None:
        """``merged``: names of USING, each bare before."""
        had = {name for _, of in self.own for name, _ in of}
        for name, kind in columns:
            if name not in merged:
                if name in had:
                    self.bare.pop(name, None)
                else:
                    self.bare[name] = kind
        self.own.append((alias, columns))


def named(text: str) -> exp.Identifier:
    return exp.to_identifier(text, quoted=not (text.islower() and text.isidentifier()))


def column(name: str, alias: str = "") -> exp.Column:
    return exp.Column(this=named(name), **({"table": named(alias)} if alias else {}))


def number(value: int) -> exp.Expression:
    return exp.Literal.number(value) if value >= 0 else exp.Paren(this=exp.Neg(this=exp.Literal.number(-value)))


def string(value: str) -> exp.Expression:
    return cast(exp.Literal.string(value), "TEXT")


def typed(value: str, type_: str) -> exp.Expression:
    """A literal of a type."""
    return cast(exp.Literal.string(value), type_)


def cast(this: exp.Expression, type_: str) -> exp.Expression:
    return exp.Cast(this=this, to=exp.DataType.build(type_, dialect="postgres"))


def call(name: str, *arguments: exp.Expression) -> exp.Expression:
    return exp.Anonymous(this=name, expressions=list(arguments))


def paren(this: exp.Expression) -> exp.Expression:
    return exp.Paren(this=this)


def tuple_of(*items: exp.Expression) -> exp.Expression:
    return exp.Tuple(expressions=list(items))


def array(*items: exp.Expression) -> exp.Expression:
    return exp.Array(expressions=list(items))


def order(*items: exp.Expression, this: exp.Expression | None = None, desc: bool = False) -> exp.Order:
    return exp.Order(this=this, expressions=[exp.Ordered(this=item, desc=desc, nulls_first=desc) for item in items])


def subquery(this: exp.Query, alias: str = "", columns: tuple[str, ...] = ()) -> exp.Subquery:
    found = exp.Subquery(this=this)
    if alias:
        found.set("alias", exp.TableAlias(this=named(alias), columns=[named(name) for name in columns]))
    return found


def aliased(this: exp.Expression, alias: str) -> exp.Expression:
    return exp.Alias(this=this, alias=named(alias))


def divided(this: exp.Expression, by: exp.Expression) -> exp.Expression:
    """PostgreSQL's own division, without casts."""
    return paren(exp.Div(this=this, expression=call("nullif", by, number(0)), typed=True, safe=False))


def arrow(way: type[exp.JSONExtract] | type[exp.JSONExtractScalar], this: exp.Expression, key: str) -> exp.Expression:
    """``this -> 'key'`` or, as text, ``this ->> 'key'``."""
    path = exp.JSONPath(expressions=[exp.JSONPathRoot(), exp.JSONPathKey(this=key)])
    return paren(way(this=paren(this), expression=path, only_json_types=True))
