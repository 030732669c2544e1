"""Reading a Vocabulary: the values of columns of text that have few, and the joins that they tell of.

1. PostgreSQL's own statistics, in one query, for columns that this person sees of all rows as they are: PostgreSQL
   shows pg_stats to whoever may read the column (manual, 52.28). They say which columns have few values, and often all
   of these.
2. A sample, by one statement of a table, for the rest: with a row filter, never analysed, or more values than
   statistics hold. ``look`` runs it as this person, who could send the same: what a filter hides is not in it.

Columns that are masked, or for aggregates only, are not among ``shown`` and are not read at all. What an enumeration or
a CHECK lists is taken from the schema, which has it only of columns that this person sees as they are.

The budget is in statements and in seconds, whatever the schema's size. Tables of few rows come first: they are the
ones that name things, and are read in a millisecond. MAX_STATEMENTS such take a tenth of a second on a server nearby;
MAX_SECONDS is what a person may well take for the next question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

from nlsql_gateway.ask.grounding import Look
from nlsql_gateway.ask.overlaps import containment, overlaps, to_test
from nlsql_gateway.ask.vocabulary import Held, Key, Place, Vocabulary
from nlsql_gateway.sql.catalog import Catalog, Relation
from nlsql_gateway.sql.kinds_of_values import kind_of_type
from nlsql_gateway.sql.names import quote

MAX_STATEMENTS: Final = 100
"""Of one reading."""
MAX_TESTS: Final = 8
"""Statements beside these: whether a key of many values holds those of another column."""
MAX_SECONDS: Final = 3.0
"""Of one reading; what is not read by then is left out."""
MAX_DISTINCT: Final = 500
"""A column with more values has too many to be worth keeping: what of them an answer says is looked up then."""
MAX_LENGTH: Final = 80
"""Characters of a value; longer ones are prose."""
MAX_COLUMNS: Final = 12
"""Of one table; the first ones."""
MAX_ASKED: Final = 20_000
"""Columns whose statistics are asked for."""
SAMPLE: Final = 5000
"""Rows of a table that a statement reads: so it does not read a table of millions."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """Of one column, from pg_stats."""

    place: Place
    distinct: float
    "As n_distinct: negative is a share of the rows; -1: each row has its own."
    common: tuple[str, ...]


Statistics = Callable[[Sequence[Place]], Awaitable[Sequence[Statistic]]]
"""What the server's statistics have of the places. Raises UpstreamError."""


@dataclass(frozen=True, slots=True)
class Source:
    """How to read as one person; handed in by admission."""

    look: Look
    "Gives up to MAX_ROWS rows."
    statistics: Statistics
    shown: Mapping[Key, Collection[str]]
    "The columns whose values this person sees as they are, in the rows that he sees."
    whole: Collection[Key]
    "The relations of which he sees all rows."


MAX_ROWS: Final = (MAX_DISTINCT + 1) * MAX_COLUMNS + 1
"""Of one statement."""


async def read(schema: Catalog, source: Source, most: int) -> Vocabulary:
    """The Vocabulary of ``schema``, of at most ``most`` bytes. Raises as ``source`` does; TimeoutError."""
    end = monotonic() + MAX_SECONDS
    held: dict[Place, Held] = {}
    left: dict[Key, list[str]] = {}
    keys: list[Place] = []
    listed = [
        Held((key, column.name), column.values, listed=True)
        for key, relation in schema.relations.items()
        for column in relation.columns
        if column.values
    ]
    for key in sorted(schema.relations, key=lambda key: _order(schema.relations[key])):
        shown = set(source.shown.get(key, ())) - _inherited(schema.relations[key], schema, source)
        if columns := _columns(schema.relations[key], shown):
            left[key] = columns
    asked = [(key, column) for key in sorted(left) if key in source.whole for column in left[key]][:MAX_ASKED]
    async with asyncio.timeout(MAX_SECONDS):
        told = await source.statistics(asked) if asked else ()
    for one in told:
        key, column = one.place
        relation = schema.relations[key]
        distinct = round(one.distinct if one.distinct >= 0 else -one.distinct * max(relation.estimated_rows, 0))
        if one.distinct == -1 and distinct > MAX_DISTINCT and relation.primary_key == (column,):
            keys.append(one.place)
        if 0 < distinct <= len(one.common):
            values = tuple(value for value in _unpadded(relation, column, one.common) if len(value) <= MAX_LENGTH)
            held[one.place] = Held(one.place, values, complete=True)
        if one.place in held or distinct > MAX_DISTINCT:
            left[key].remove(column)
    statements = 0
    for key, columns in left.items():
        if statements >= MAX_STATEMENTS or monotonic() >= end:
            break
        if columns:
            statements += 1
            sample = await source.look(_sample(key, columns))
            held.update((one.place, one) for one in _read(key, columns, sample or ()))
    found = sorted((one for one in held.values() if one.values), key=lambda one: (len(one.values), one.place))
    # In a thread: a schema of thousands of tables has a large join graph.
    vocabulary = await asyncio.to_thread(Vocabulary, [*listed, *found], schema, most)
    known = await asyncio.to_thread(overlaps, found, schema)
    for overlap in (await asyncio.to_thread(to_test, found, keys, schema))[:MAX_TESTS]:
        if monotonic() >= end:
            break
        if any({overlap[0], overlap[2]} == {one[0], one[2]} for one in known):
            continue
        rows = await source.look(containment(overlap))
        if rows and rows[0][0] == rows[0][1] and rows[0][0] != 0:
            known.append(overlap)
    vocabulary.overlaps = tuple(known)
    return vocabulary


def _unpadded(relation: Relation, column: str, values: Sequence[str]) -> Sequence[str]:
    """``values`` without the blanks that character(n) adds and comparisons pass over (manual, 8.3)."""
    found = relation.column(column)
    if found is None or not found.type.startswith("character("):
        return values
    return [value.rstrip(" ") for value in values]


def _order(relation: Relation) -> tuple[bool, bool, int, Key]:
    """Views may be slow, and hold what tables do."""
    rows = relation.estimated_rows
    return ("view" in relation.kind, rows < 0, rows, relation.key)


def _inherited(relation: Relation, schema: Catalog, source: Source) -> set[str]:
    """Columns of a partition, or a child, whose values its parent's reading has too."""
    parents = [key for key in relation.parents if key in schema.relations]
    return {column for key in parents for column in source.shown.get(key, ())}


def _columns(relation: Relation, shown: Collection[str]) -> list[str]:
    """What an enumeration or a CHECK lists needs no reading; a foreign table may be at the other end of the world."""
    if relation.kind in ("sequence", "foreign table"):
        return []
    return [
        column.name
        for column in relation.columns
        if column.name in shown and not column.values and kind_of_type(column.type) == "text"
    ][:MAX_COLUMNS]


def _sample(key: Key, columns: Sequence[str]) -> str:
    """Rows (number of the column from 1, value, how often); (0, null, rows of the sample) first."""
    items = ", ".join(map(quote, columns))
    parts = ["SELECT 0 AS number, CAST(NULL AS text) AS value, count(*) AS times FROM sample"]
    for number, name in enumerate(map(quote, columns), 1):
        parts.append(
            f"(SELECT {number}, CAST({name} AS text), count(*) FROM sample WHERE length({name}) <= {MAX_LENGTH} "
            f"GROUP BY {name} LIMIT {MAX_DISTINCT + 1})"
        )
    table = f"{quote(key[0])}.{quote(key[1])}"
    return f"WITH sample AS (SELECT {items} FROM {table} LIMIT {SAMPLE}) " + " UNION ALL ".join(parts)


def _read(key: Key, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[Held]:
    total, found = 0, dict[int, list[tuple[str, int]]]()
    for number, value, times in rows:
        assert isinstance(number, int)
        assert isinstance(times, int)
        if number == 0:
            total = times
        else:
            found.setdefault(number, []).append((str(value), times))
    held = []
    for number, column in enumerate(columns, 1):
        values = found.get(number, [])
        if len(values) <= MAX_DISTINCT:
            unique = all(times == 1 for _, times in values)
            texts = tuple(sorted(value for value, _ in values if value))
            held.append(Held((key, column), texts, unique, complete=total < SAMPLE))
    return held
