"""Helps ``leaks``: what a column name means, inner FROM clauses before outer ones, and which tables it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Output:
    """One column of something in FROM."""

    type: str
    "Of a column as the table has it, through whatever sub-queries; '' for what is computed."
    reads: frozenset[int]
    "The locations of the filtered tables that it comes from."

    def merged(self, other: Output) -> Output:
        return Output(self.type if self.type == other.type else "", self.reads | other.reads)


NOTHING = Output("", frozenset())

Outputs: TypeAlias = list[tuple[str | None, Output]]
"""In order; a name is None where PostgreSQL makes one up."""


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a FROM clause."""

    called: str
    columns: dict[str, Output]
    rest: frozenset[int]
    "What a column that is not in ``columns`` may come from."
    anything: bool = True
    "There may be such a column."
    order: tuple[tuple[str | None, Output], ...] | None = None

    @classmethod
    def of(cls, called: str, outputs: Outputs | None, everything: frozenset[int]) -> Item:
        """``outputs`` None: it may be anything from ``everything``."""
        if outputs is None:
            return cls(called, {}, everything)
        columns: dict[str, Output] = {}
        rest: frozenset[int] = frozenset()
        for name, output in outputs:
            if name is None:
                rest |= output.reads
            else:
                columns[name] = columns[name].merged(output) if name in columns else output
        return cls(called, columns, rest, any(name is None for name, _ in outputs), tuple(outputs))

    def possible(self, name: str) -> Iterator[Output]:
        if name in self.columns:
            yield self.columns[name]
        elif self.anything:
            yield Output("", self.rest)

    @property
    def whole(self) -> Output:
        return Output("", self.rest.union(*(output.reads for output in self.columns.values())))


Scope: TypeAlias = list[Item]


def named(outputs: Outputs | None, names: Sequence[str]) -> Outputs | None:
    """With the names of an alias's column list: ``AS t (a, b)``."""
    if outputs is None or len(names) > len(outputs):
        return None if names or outputs is None else outputs
    return [(names[at] if at < len(names) else name, output) for at, (name, output) in enumerate(outputs)]


def expanded(fields: Sequence[str], scope: Scope) -> Outputs | None:
    """What ``*`` or ``t.*`` stands for."""
    items = scope if len(fields) == 1 else [item for item in scope if item.called == fields[-2]]
    found: Outputs = []
    for item in items:
        if item.order is None:
            return None
        found += item.order
    return found if items else None


def find(fields: tuple[str, ...], scopes: Sequence[Scope], everything: frozenset[int]) -> tuple[int, Output]:
    """The column and the number of the scope that has it; -1 and ``everything`` when no scope does."""
    for level in range(len(scopes) - 1, -1, -1):
        found = _in_scope(fields, scopes[level])
        if found:
            output = found[0]
            for other in found[1:]:
                output = output.merged(other)
            if len(fields) == 1 and not output.type and any(item.anything for item in scopes[level]):
                # It may be an outer one as well.
                return -1, output.merged(find(fields, scopes[:level], everything)[1])
            return level, output
    return -1, Output("", everything)


def _in_scope(fields: tuple[str, ...], scope: Scope) -> list[Output]:
    name = fields[-1]
    found: list[Output] = []
    if len(fields) > 1:
        for item in scope:
            if item.called != fields[-2]:
                continue
            if name == "*" or not (name in item.columns or item.anything):
                found.append(item.whole)
            else:
                found += item.possible(name)
        return found
    if name == "*":
        return [item.whole for item in scope]
    certain = [item.columns[name] for item in scope if name in item.columns]
    if certain:
        return certain
    for item in scope:
        if item.anything:
            found.append(Output("", item.rest))
        if item.called == name:
            found.append(item.whole)
    return found
