"""Rows for a schema that comes without: made so that the golds find some (pure).

A gold's constants become a *witness*: row i of each table that it names holds them, and all keys of row i are i, so
that joins meet there. Behind the witnesses come rows with few different values, so that groups have several rows.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from sqlglot import exp

from nlsql_gateway.errors import LimitError, StatementError
from nlsql_gateway.sql.catalog import Catalog, Column, Relation
from nlsql_gateway.sql.names import mentions, outline_of, parse, quote

BACKGROUND: Final = 60
"""Rows of each table that are no witness."""
WITNESSES: Final = 1500
WORDS: Final = ("amber", "birch", "cobalt", "dune", "ember", "fjord", "grove")

Place = tuple[str, str]
"(table, column)."


@dataclass(slots=True)
class Witness:
    """What one gold compares its columns with."""

    values: dict[Place, list[str]] = field(default_factory=lambda: defaultdict(list))
    equated: list[tuple[Place, Place]] = field(default_factory=list)

    def rows(self) -> Iterator[dict[Place, str]]:
        """One for each constant that a column has been compared with: the first of each, then the second, ..."""
        for at in range(max(map(len, self.values.values()), default=0)):
            row = {place: values[min(at, len(values) - 1)] for place, values in self.values.items()}
            for _ in range(2):
                for one, other in self.equated:
                    if one in row or other in row:
                        row.setdefault(one, row.get(other, ""))
                        row.setdefault(other, row[one])
            yield row


def contents(catalog: Catalog, golds: Iterable[str], seed: int) -> Iterator[tuple[str, str]]:
    """(table, INSERT of one row) with values as texts, which PostgreSQL reads as the column's type."""
    chance = random.Random(seed)  # noqa: S311 - contents that are the same each time
    found = [witness for witness in (_witness(sql, catalog) for sql in golds) if witness is not None]
    keys = {place for witness in found for pair in witness.equated for place in pair} | set(_declared(catalog))
    rows = {tuple(sorted(row.items())): row for witness in found for row in witness.rows()}
    witnesses = list(rows.values())[:WITNESSES]
    total = len(witnesses) + BACKGROUND
    for relation in catalog.relations.values():
        names = ", ".join(quote(column.name) for column in relation.columns if not column.generated)
        for number in range(1, total + 1):
            witness = witnesses[number - 1] if number <= len(witnesses) else {}
            values = [
                _value(relation, column, number, witness, keys, total, chance)
                for column in relation.columns
                if not column.generated
            ]
            yield relation.name, f"INSERT INTO {quote(relation.name)} ({names}) VALUES ({', '.join(values)})"


def _value(
    relation: Relation,
    column: Column,
    number: int,
    witness: dict[Place, str],
    keys: set[Place],
    total: int,
    chance: random.Random,
) -> str:
    place = (relation.name, column.name)
    if place in witness:
        return _text(witness[place])
    if column.values:
        return _text(chance.choice(column.values))
    own = relation.primary_key == (column.name,) or (place not in keys and column is relation.columns[0])
    if place in keys or own or column.name.lower().endswith("id"):
        key = number if own or witness else 1 + int(chance.random() ** 2 * total)
        return _text(_as_key(column, key))
    return _text(_anything(column, chance))


def _as_key(column: Column, key: int) -> str:
    kind = column.type.partition("(")[0]
    if kind in ("date", "timestamp without time zone", "timestamp with time zone"):
        return (date(2000, 1, 1) + timedelta(days=key)).isoformat()
    return f"k{key}" if kind in ("text", "character varying", "character") else _fitting(kind, str(key))


def _anything(column: Column, chance: random.Random) -> str:
    kind, name = column.type.partition("(")[0], column.name.lower()
    if kind in ("text", "character varying", "character"):
        if "year" in name:
            return str(chance.randint(1995, 2024))
        if "date" in name:
            return (date(2010, 1, 1) + timedelta(days=chance.randrange(5000))).isoformat()
        return chance.choice(WORDS)
    if kind in ("integer", "bigint", "smallint"):
        low, high = (1995, 2024) if "year" in name else (18, 80) if "age" in name else (0, 100)
        return str(chance.randint(low, high))
    if kind in ("date", "timestamp without time zone", "timestamp with time zone"):
        return (datetime(2010, 1, 1) + timedelta(hours=chance.randrange(120000))).isoformat()  # noqa: DTZ001
    return _fitting(kind, f"{chance.randint(1, 9999) / 10:.1f}", chance.random() < 0.5)


def _fitting(kind: str, number: str, chosen: bool = True) -> str:
    match kind:
        case "boolean":
            return str(chosen).lower()
        case "time without time zone" | "time with time zone":
            return f"{int(float(number)) % 24:02}:30"
        case "interval":
            return f"{number} minutes"
        case "uuid":
            return f"00000000-0000-0000-0000-{int(float(number)):012}"
    return number


def _declared(catalog: Catalog) -> Iterator[Place]:
    for relation in catalog.relations.values():
        for key in relation.foreign_keys:
            for column, target in zip(key.columns, key.target_columns, strict=True):
                yield (relation.name, column)
                yield (key.target[1], target)


def _witness(sql: str, catalog: Catalog) -> Witness | None:
    try:
        tree = parse(sql)
        outline = outline_of(tree, catalog)
    except (StatementError, LimitError):
        return None
    columns, witness = mentions(tree), Witness()
    places: dict[int, Place] = {}
    for scope in outline.scopes:
        for use in scope.uses:
            for source in (*scope.sources, *scope.outer):
                if source.relation is not None and use.table in ("", source.alias) and source.has(use.column):
                    places[id(columns[use.index])] = (source.relation[1], use.column)
                    break
    for equal in tree.find_all(exp.EQ):
        left, right = places.get(id(equal.this)), places.get(id(equal.expression))
        if left is not None and right is not None:
            witness.equated.append((left, right))
    for one in tree.find_all(
        exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NEQ, exp.Like, exp.ILike, exp.In, exp.Between
    ):
        column = next((part for part in one.this.find_all(exp.Column)), None)
        place = places.get(id(column)) if column is not None else None
        values = [*one.expressions] if isinstance(one, exp.In) else [one.args.get("expression") or one.args.get("low")]
        for value in values:
            bare = value.this if isinstance(value, exp.Cast) else value
            if place is not None and isinstance(bare, exp.Literal):
                witness.values[place].append(_meeting(one, bare.name))
    if not witness.values:
        for source in (source for scope in outline.scopes for source in scope.sources if source.relation is not None):
            assert source.relation is not None
            first = catalog.relations[source.relation].columns[0].name
            witness.values[source.relation[1], f"{first} "] = [""]  # no column: a row whose keys meet
    return witness


def _meeting(comparison: exp.Expr, text: str) -> str:
    """A value for which the comparison holds."""
    if isinstance(comparison, exp.Like | exp.ILike):
        return text.replace("%", "").replace("_", "a")
    step = 1 if isinstance(comparison, exp.GT) else -1 if isinstance(comparison, exp.LT) else 0
    if isinstance(comparison, exp.NEQ):
        return text if not _is_number(text) else f"{float(text) + 1:g}"
    if step and _is_number(text):
        return f"{float(text) + step:.10g}"
    if step and re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        try:
            return (date.fromisoformat(text) + timedelta(days=step)).isoformat()
        except ValueError:
            return text
    return text


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(?:\.\d+)?", text) is not None


def _text(value: str) -> str:
    escaped = value.replace("'", "''")
    return f"'{escaped}'" if "\\" not in value else "E'" + escaped.replace("\\", "\\\\") + "'"


def batches(rows: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """INSERTs by table."""
    found: dict[str, list[str]] = defaultdict(list)
    for table, insert in rows:
        found[table].append(insert)
    return found
