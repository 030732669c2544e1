"""What of the semantics concerns one question, for one person (pure).

Only entries whose words occur in the question, and only those of which the person may see everything: a name that is
not in ``schema`` is told to nobody. A line each, and few of them: a small model answers worse the more it is told.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from nlsql_gateway.ask.linking import words
from nlsql_gateway.ask.semantics import Filter, Meanings, Metric, Name, Side, found, seen, table
from nlsql_gateway.sql.catalog import Catalog, ForeignKey, Relation
from nlsql_gateway.sql.names import quote

MAX_LINES = 6
"""Lines that a prompt gets."""
MAX_LINE = 200
"""Characters of one."""

Key = tuple[str, str]
"(schema, name) of a relation."

_STRING = re.compile(r"'((?:[^']|'')*)'")


@dataclass(frozen=True, slots=True)
class Hints:
    tables: tuple[Key, ...] = ()
    "That the question speaks of in other words, in canonical order."
    columns: tuple[tuple[Key, str], ...] = ()
    "The same."
    lines: tuple[str, ...] = ()
    "For the prompt."

    def spelt_out(self, question: str) -> str:
        """``question`` with the names behind it that its words stand for: for ranking tables, not for a model."""
        names = [*(name for _, name in self.tables), *(column for _, column in self.columns)]
        return " ".join((question, *dict.fromkeys(names)))


NO_HINTS = Hints()


def relevant(meanings: Meanings, question: str, schema: Catalog) -> Hints:
    """What of ``meanings`` helps with ``question`` for somebody who sees ``schema``."""
    asked = _Words(question)
    tables: dict[Key, None] = {}
    columns: dict[tuple[Key, str], None] = {}
    lines: list[str] = []

    def speaks_of(names: Iterable[Name]) -> None:
        for name in names:
            place = found(schema, name)
            if place is not None:
                tables[place[0].key] = None
                if place[1] is not None:
                    columns[place[0].key, place[1].name] = None

    for word, names in meanings.synonyms.items():
        visible = [name for name in names if found(schema, name) is not None]
        if visible and asked.have(word):
            speaks_of(visible)
            lines.append(f"{word}: {' or '.join(_written(name) for name in visible)}")
    for metric in meanings.metrics:
        if any(map(asked.have, (metric.name, *metric.also))) and seen(schema, metric.uses):
            speaks_of((*metric.uses.tables, *(name for name in metric.uses.columns if len(name) > 1)))
            lines.append(_as_column(metric))
    for term in meanings.glossary:
        if asked.have(term.name) and all(table(schema, name) is not None for name in term.tables):
            speaks_of(term.tables)
            lines.append(f"{term.name}: {term.meaning}")
    for one in meanings.filters:
        if seen(schema, one.uses) and not _says_otherwise(asked, one):
            of = [relation for name in one.uses.tables if (relation := table(schema, name)) is not None]
            if any(relation.key in tables or asked.have(relation.name) for relation in of):
                lines.append(f"Only {one.condition}, unless the question says otherwise")
    return Hints(tuple(sorted(tables)), tuple(sorted(columns)), tuple(map(_short, lines[:MAX_LINES])))


def with_joins(schema: Catalog, meanings: Meanings) -> Catalog:
    """``schema`` with a key for each join of ``meanings`` whose columns are all in it.

    What links tables, mends joins and describes tables to the model then knows the operator's joins like declared ones.
    """
    added: dict[Key, list[ForeignKey]] = {}
    for pairs in meanings.joins:
        for relation, key in _keys(schema, pairs):
            if key not in relation.foreign_keys:
                added.setdefault(relation.key, []).append(key)
    if not added:
        return schema
    relations = {
        key: replace(relation, foreign_keys=(*relation.foreign_keys, *added.get(key, ())))
        for key, relation in schema.relations.items()
    }
    version = hashlib.sha256(f"{schema.version}\0{sorted(added.items())!r}".encode()).hexdigest()
    return replace(schema, version=version, relations=relations)


def unmatched(meanings: Meanings, schema: Catalog) -> Iterator[str]:
    """What names something that is not in ``schema``: for who keeps the file."""
    for word, names in meanings.synonyms.items():
        yield from (f"synonym {word}: no {_written(name)}" for name in names if found(schema, name) is None)
    yield from (f"metric {one.name}: not all of it is there" for one in meanings.metrics if not seen(schema, one.uses))
    for one in meanings.filters:
        if not seen(schema, one.uses):
            yield f"default filter {one.condition}: not all of it is there"
    for term in meanings.glossary:
        yield from (f"term {term.name}: no {_written(name)}" for name in term.tables if table(schema, name) is None)
    for pairs in meanings.joins:
        if not list(_keys(schema, pairs)):
            yield "join " + " and ".join(f"{_written((*a[0], a[1]))} = {_written((*b[0], b[1]))}" for a, b in pairs)


class _Words:
    """The words of a question, to be looked for in their order."""

    def __init__(self, question: str) -> None:
        self._text = f" {' '.join(words(question))} "

    def have(self, phrase: str) -> bool:
        looked_for = " ".join(words(phrase))
        return bool(looked_for) and f" {looked_for} " in self._text


def _says_otherwise(asked: _Words, one: Filter) -> bool:
    values = (value.replace("''", "'") for value in _STRING.findall(one.condition))
    return any(map(asked.have, (*one.unless, *values)))


def _keys(schema: Catalog, pairs: tuple[tuple[Side, Side], ...]) -> Iterator[tuple[Relation, ForeignKey]]:
    """The key that a join is: it leads to the side whose columns are the primary key, else to the right."""
    left, right = table(schema, pairs[0][0][0]), table(schema, pairs[0][1][0])
    ours, theirs = tuple(one for (_, one), _ in pairs), tuple(two for _, (_, two) in pairs)
    if left is None or right is None or not all(map(left.column, ours)) or not all(map(right.column, theirs)):
        return
    if set(ours) == set(left.primary_key) and set(theirs) != set(right.primary_key):
        left, right, ours, theirs = right, left, theirs, ours
    yield left, ForeignKey(ours, right.key, theirs)


def _as_column(metric: Metric) -> str:
    """An item of a select list, which a small model copies; behind its name and a colon it put avg() for 'average'."""
    alias = "_".join(words(metric.name)) or "value"
    return f"{metric.sql} AS {alias}{f' ({metric.description})' if metric.description else ''}"


def _written(name: Name) -> str:
    return ".".join(map(quote, name))


def _short(line: str) -> str:
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…"
