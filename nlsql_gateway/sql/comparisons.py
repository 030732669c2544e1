"""Texts that a SELECT compares with columns, and their correction: what ``ask/grounding.py`` must know of a tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.kinds_of_values import kind_of_type
from nlsql_gateway.sql.names import identifier, mentions, outline_of, parse

Operator = Literal["equal", "in", "like", "folded"]
"""``folded``: ``lower(column)`` or ``upper(column)`` equals the text."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A column of text compared with one text."""

    index: int
    "Of the literal among all literals of the tree."
    relation: tuple[str, str]
    column: str
    text: str
    operator: Operator


@dataclass(frozen=True, slots=True)
class Restate:
    """Compare with ``text`` in the place of the literal."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class Contain:
    """Let the column contain the literal, in any case, where it was to equal it."""

    index: int


@dataclass(frozen=True, slots=True)
class Move:
    """Compare another ``column`` of the same source with ``text``."""

    index: int
    column: str
    text: str


@dataclass(frozen=True, slots=True)
class Rehome:
    """Compare the ``column`` of a ``relation``, named bare, with ``text``; whether it is in FROM is the caller's."""

    index: int
    relation: str
    column: str
    text: str


Correction = Restate | Contain | Move | Rehome


def comparisons(sql: str, catalog: Catalog) -> list[Comparison]:
    """Those with a column of ``catalog`` whose type is a text. Raises StatementError (not readable), LimitError."""
    tree = parse(sql)
    names = outline_of(tree, catalog)
    owners: dict[int, tuple[str, str]] = {}
    for scope in names.scopes:
        for use in scope.uses:
            for source in (*scope.sources, *scope.outer):
                if use.table in ("", source.alias) and source.relation is not None and source.has(use.column):
                    owners.setdefault(use.index, source.relation)
    places = {id(column): index for index, column in enumerate(mentions(tree))}
    uses = {use.index: use.column for scope in names.scopes for use in scope.uses}
    found = []
    for index, literal in enumerate(tree.find_all(exp.Literal)):
        for column, operator in _against(literal):
            place = places.get(id(column), -1)
            relation = catalog.relations.get(owners[place]) if place in owners else None
            meant = relation.column(uses[place]) if relation is not None else None
            if relation is not None and meant is not None and kind_of_type(meant.type) == "text":
                found.append(Comparison(index, relation.key, meant.name, literal.name, operator))
    return found


def correct(sql: str, corrections: Sequence[Correction]) -> str:
    """``sql`` with all ``corrections``, whose indices are those of ``comparisons(sql, …)``."""
    tree = parse(sql)
    literals = list(tree.find_all(exp.Literal))
    for one in corrections:
        literal = literals[one.index]
        match one:
            case Restate(_, text):
                literal.set("this", text)
            case Contain():
                comparison = literal.parent
                assert isinstance(comparison, exp.EQ | exp.NEQ)
                column = comparison.this if comparison.expression is literal else comparison.expression
                like = exp.ILike(this=column.copy(), expression=exp.Literal.string(f"%{escaped(literal.name)}%"))
                comparison.replace(exp.Not(this=like) if isinstance(comparison, exp.NEQ) else like)
            case Move(_, name, text):
                for column, _ in _against(literal):
                    column.set("this", identifier(name))
                literal.set("this", text)
            case Rehome(_, relation, name, text):
                for column, _ in _against(literal):
                    column.replace(exp.Column(this=identifier(name), table=identifier(relation)))
                literal.set("this", text)
    return tree.sql(dialect="postgres", normalize_functions=False)


def escaped(text: str) -> str:
    """``text`` as a LIKE pattern that means itself (manual, 9.7.1)."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _against(literal: exp.Literal) -> Iterator[tuple[exp.Column, Operator]]:
    """The column that the literal is compared with, ``lower(column)`` included."""
    parent = literal.parent
    if not literal.is_string or parent is None:
        return
    if isinstance(parent, exp.EQ | exp.NEQ):
        other = parent.this if parent.expression is literal else parent.expression
        operator: Operator = "equal"
    elif isinstance(parent, exp.In) and literal.arg_key == "expressions":
        other, operator = parent.this, "in"
    elif isinstance(parent, exp.Like | exp.ILike) and parent.expression is literal:
        other, operator = parent.this, "like"
    else:
        return
    if isinstance(other, exp.Lower | exp.Upper):
        other, operator = other.this, "folded" if operator == "equal" else "like"
    if isinstance(other, exp.Column):
        yield other, operator
