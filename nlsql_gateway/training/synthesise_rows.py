"""Rows of a made-up schema: names that people have, keys that meet, dates of the last three years, some nulls."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final

from nlsql_gateway.sql.names import quote
from nlsql_gateway.training.synthesise_domains import Trait, listed
from nlsql_gateway.training.synthesise_schema import Schema, Table, text

FIRST: Final = listed("Ada Bo Carla Dan Edda Finn Greta Hugo Ines Jonas Kira Leo Mara Nils Olga Pia Ravi Sara Timo")
LAST: Final = listed("Abel Brandt Costa Duval Ek Frost Gallo Hahn Ito Jansen Kaya Lund Moreau Nowak Okafor Perez")
ADJECTIVES: Final = listed("Amber Bright Cold Distant Early Frozen Golden Hidden Iron Jolly Late Misty Old Quiet")
NOUNS: Final = listed("Anchor Bridge Canyon Dream Echo Forest Garden Harbour Island Journey Lantern Meadow")
NULLS: Final = 0.08
"""Share of dates that are not known: an end that has not come."""


def fill(schema: Schema, today: date, chance: random.Random) -> str:
    """Rows into the tables of ``schema``, and the script that inserts them."""
    for table in schema.tables.values():
        total = chance.randint(60, 160) if table.parents and table.thing.called == "none" else chance.randint(12, 40)
        names = _names(table.thing.called, total, chance)
        for number in range(1, total + 1):
            row: dict[str, object] = {table.key: number}
            if table.label:
                row[table.label] = names[number - 1]
            for parent, column in table.parents.items():
                others = len(schema.tables[parent].rows)
                row[column] = 1 + int(chance.random() ** 1.7 * others * 0.95)
            _traits(table, row, today, chance)
            table.rows.append(row)
    return "\n".join(_inserts(schema))


def _traits(table: Table, row: dict[str, object], today: date, chance: random.Random) -> None:
    begun: datetime | None = None
    for trait in table.of("of", "city", "count", "amount", "day", "moment", "flag"):
        column = table.traits[trait.words]
        if trait.is_time:
            # The second date of a thing is its end.
            if begun is None:
                begun = _moment(trait, today, chance)
                when = begun
            else:
                when = begun + timedelta(hours=chance.randint(2, 900))
            row[column] = None if when is not begun and chance.random() < NULLS else _as(trait, when)
        else:
            row[column] = _value(trait, chance)


def _moment(trait: Trait, today: date, chance: random.Random) -> datetime:
    end = datetime(today.year, today.month, today.day, 12)  # noqa: DTZ001 - as the columns: without time zone
    years = 60 if trait.words == "birth date" else 3
    back = timedelta(minutes=chance.randrange(years * 365 * 24 * 60))
    return end - back - (timedelta(days=18 * 365) if years == 60 else timedelta())


def _as(trait: Trait, when: datetime) -> object:
    return when.date() if trait.kind == "day" else when.replace(second=0, microsecond=0)


def _value(trait: Trait, chance: random.Random) -> object:
    match trait.kind:
        case "of" | "city":
            return trait.values[int(chance.random() ** 1.5 * len(trait.values))]
        case "flag":
            return chance.random() < 0.35
        case "count":
            if trait.is_year or trait.high - trait.low < 20:
                return chance.randint(int(trait.low), int(trait.high))
            return int(trait.low + chance.random() ** 2 * (trait.high - trait.low))
    return round(trait.low + chance.random() ** 2 * (trait.high - trait.low), 2)


def _names(called: str, total: int, chance: random.Random) -> list[str]:
    one, other = (FIRST, LAST) if called == "person" else (ADJECTIVES, NOUNS)
    pairs = [f"{first} {last}" for first in one for last in other]
    return chance.sample(pairs, total)[:total] if called != "none" else [""] * total


def _inserts(schema: Schema) -> Iterator[str]:
    for table in _parents_first(schema):
        columns = list(table.rows[0])
        rows = ",\n".join(f"({', '.join(_literal(row[column]) for column in columns)})" for row in table.rows)
        yield f"INSERT INTO {table.sql} ({', '.join(map(quote, columns))}) VALUES\n{rows};"


def _parents_first(schema: Schema) -> list[Table]:
    made: list[Table] = []
    while len(made) < len(schema.tables):
        known = {table.thing.one for table in made}
        made += [one for one in schema.tables.values() if one not in made and set(one.parents) <= known]
    return made


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return text(str(value))
