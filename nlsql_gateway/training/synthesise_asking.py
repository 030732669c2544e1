"""What the templates of questions share: something of the schema to ask about, and several ways to say it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from nlsql_gateway.training.synthesise_domains import Trait
from nlsql_gateway.training.synthesise_schema import Schema, Table, text

_ACTIVE: Final = frozenset(
    "joined opened started arrived left began ended finished starts ends registered signed closed".split()  # noqa: SIM905
)
_OPENINGS: Final = (*[""] * 16, "Please: ", "For the report: ", "Quick question: ", "I need to know: ")


@dataclass(frozen=True, slots=True)
class Asked:
    category: str
    question: str
    sql: str | None


class NothingToAsk(Exception):
    """The schema has not what the template is about."""


@dataclass(slots=True)
class Maker:
    schema: Schema
    chance: random.Random
    today: date

    def say(self, *ways: str) -> str:
        """One of the ways, with or without an opening."""
        words = re.sub(r"\ba (?=[aeiou])", "an ", self.chance.choice(ways))
        opening = self.chance.choice(_OPENINGS)
        if self.chance.random() < 0.1:
            words = words.rstrip("?.")
        return (opening + words) if opening else words[0].upper() + words[1:]

    def pick(self, *fits: Callable[[Table], object]) -> Table:
        found = [table for table in self.schema.tables.values() if all(fit(table) for fit in fits)]
        if not found:
            raise NothingToAsk
        return self.chance.choice(found)

    def family(self, *fits: Callable[[Table], object]) -> tuple[Table, Table]:
        """(parent with a name, child that fits)."""
        found = [
            (self.schema.tables[parent], child)
            for child in self.schema.tables.values()
            for parent in child.parents
            if self.schema.tables[parent].label and all(fit(child) for fit in fits)
        ]
        if not found:
            raise NothingToAsk
        return self.chance.choice(found)

    def trait(self, table: Table, fits: Callable[[Trait], bool], but: Trait | None = None) -> Trait:
        found = [one for one in table.thing.traits if one.words in table.traits and fits(one) and one is not but]
        if not found:
            raise NothingToAsk
        return self.chance.choice(found)

    def stored(self, table: Table, column: str) -> object:
        """A value that the column has."""
        found = [row[column] for row in table.rows if row[column] is not None]
        if not found:
            raise NothingToAsk
        return self.chance.choice(found)

    def kind_value(self, table: Table) -> tuple[Trait, str]:
        trait = self.trait(table, is_kind)
        return trait, str(self.stored(table, table.traits[trait.words]))

    def limit(self, table: Table, trait: Trait) -> int | float:
        """A number within the values of a trait, rounded as people do."""
        value = self.stored(table, table.traits[trait.words])
        assert isinstance(value, int | float)
        if trait.is_year or abs(value) < 20:
            return int(value)
        step = 10 ** (len(str(int(abs(value)))) - 1)
        return int(value // step * step)

    def moment(self, table: Table, trait: Trait) -> date:
        value = self.stored(table, table.traits[trait.words])
        assert isinstance(value, date)
        return value.date() if isinstance(value, datetime) else value


def having(*kinds: str) -> Callable[[Table], object]:
    return lambda table: table.of(*kinds)


def is_kind(trait: Trait) -> bool:
    return trait.is_kind


def is_measure(trait: Trait) -> bool:
    """A number that can be added up and averaged."""
    return trait.is_number and not trait.is_year


def is_time(trait: Trait) -> bool:
    return trait.is_time


def is_flag(trait: Trait) -> bool:
    return trait.kind == "flag"


def measured(table: Table) -> object:
    return any(is_measure(one) for one in table.of("count", "amount"))


def labelled(table: Table) -> object:
    return table.label


def shown(table: Table) -> str:
    """What a row is called: its name, or its key where it has none."""
    return table.named if table.label else table.id


def with_value(trait: Trait, value: str, many: str) -> list[str]:
    """``members whose tier is family``, in several ways."""
    if trait.kind == "city" and trait.words == "city":
        return [f"{many} in {value}", f"{many} from {value}", f"{many} whose city is {value}"]
    return [f"{many} whose {trait.words} is {value}", f"{many} with {trait.words} {value}", f"{value} {many}"]


def happened(trait: Trait) -> str:
    """``were lent``, ``joined``: what happened to a thing on the day that the trait gives."""
    if trait.words == "birth date":
        return "were born"
    stem = trait.words.rsplit(" ", 1)[0]
    if stem == "due":
        return "are due"
    return stem if stem in _ACTIVE else f"were {stem}"


def called(trait: Trait) -> str:
    """The trait as a noun: ``lent date``."""
    if not trait.is_time or trait.words == "birth date":
        return trait.words
    return f"{trait.words.rsplit(' ', 1)[0]} date"


def between(table: Table, trait: Trait, first: date, end: date) -> str:
    """The condition that it was on ``first`` or later, and before ``end``."""
    column = table.column(trait)
    return f"{column} >= {text(first.isoformat())} AND {column} < {text(end.isoformat())}"


def month_after(day: date, months: int = 1) -> date:
    count = day.year * 12 + day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def ratio(above: str, below: str) -> str:
    return f"CAST({above} AS DECIMAL) / NULLIF({below}, 0)"
