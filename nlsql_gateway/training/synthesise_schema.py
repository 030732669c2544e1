"""A made-up schema: some things of a domain, named in one style, with keys declared or not, among tables of others."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import Final, Literal

from nlsql_gateway.sql.names import quote
from nlsql_gateway.training.synthesise_domains import Thing, Trait, domains, listed

Style = Literal["snake", "camel", "abbreviated"]
NAMED: Final = {
    "person": ("name", "full name"),
    "place": ("name",),
    "title": ("title", "name"),
    "product": ("name", "label"),
}
OTHERS: Final = {
    "audit log": ("id bigint", "logged at timestamp", "actor text", "message text"),
    "app setting": ("key text", "value text"),
    "import run": ("id integer", "file name text", "loaded at timestamp", "row count integer"),
    "exchange rate": ("currency text", "valid on date", "rate numeric"),
    "holiday": ("day date", "label text"),
    "user session": ("session id text", "login text", "started at timestamp"),
    "attachment": ("id integer", "file path text", "bytes bigint"),
}
"""Tables that every system has, and no question is about."""
SHORT: Final = {
    long: short
    for pair in listed(
        "number=no quantity=qty amount=amt department=dept customer=cust date=dt category=cat address=addr status=stat "
        "name=nm year=yr minutes=mins temperature=temp capacity=cap building=bldg language=lang"
    )
    for long, _, short in [pair.partition("=")]
}
FALSE_FRIENDS: Final = frozenset({"is", "has", "on", "at", "of", "id", "to", "by", "for"})


@dataclass(slots=True)
class Table:
    thing: Thing
    name: str
    key: str
    label: str
    "The column with its name; empty: it has none."
    traits: dict[str, str]
    "Words of a trait -> its column."
    parents: dict[str, str]
    "A thing that it belongs to -> the column that says to which."
    missing: tuple[Trait, ...]
    "Traits that it might have, and has not."
    rows: list[dict[str, object]] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Trait]:
        """Its traits of these kinds."""
        return [one for one in self.thing.traits if one.words in self.traits and one.kind in kinds]

    def column(self, trait: Trait) -> str:
        return f"{quote(self.name)}.{quote(self.traits[trait.words])}"

    @property
    def sql(self) -> str:
        return quote(self.name)

    @property
    def id(self) -> str:
        return f"{quote(self.name)}.{quote(self.key)}"

    @property
    def named(self) -> str:
        return f"{quote(self.name)}.{quote(self.label)}"

    def link(self, parent: Table) -> str:
        """The condition that joins it to ``parent``."""
        return f"{quote(self.name)}.{quote(self.parents[parent.thing.one])} = {parent.id}"


@dataclass(slots=True)
class Schema:
    id: str
    domain: str
    style: Style
    declared: bool
    tables: dict[str, Table]
    "By thing."
    absent: tuple[Thing, ...]
    "Things of the domain that it has no table for."
    ddl: str

    def children(self, parent: Table) -> list[Table]:
        return [table for table in self.tables.values() if parent.thing.one in table.parents]


def schema(number: int, chance: random.Random) -> Schema:
    """The ``number``-th; the same for the same state of ``chance``."""
    domain = chance.choice(sorted(domains()))
    things = domains()[domain]
    style: Style = chance.choice(("snake", "snake", "camel", "abbreviated"))
    declared = number % 2 == 0
    chosen = _chosen(things, chance)
    prefix = chance.choice(("t_", "tbl_", "")) if style == "abbreviated" else ""
    plural, bare_key = chance.random() < 0.6, chance.random() < 0.4
    tables: dict[str, Table] = {}
    for thing in chosen:
        traits = [one for one in thing.traits if chance.random() < 0.8] or list(thing.traits)
        label = "" if thing.called == "none" else _name(chance.choice(NAMED[thing.called]), style)
        tables[thing.one] = Table(
            thing,
            prefix + _name(thing.many if plural else thing.one, style, table=True),
            _name("id" if bare_key else f"{thing.one} id", style),
            label,
            {one.words: _name(one.words, style) for one in traits},
            {one: _name(f"{one} id", style) for one in thing.of},
            tuple(one for one in thing.traits if one not in traits),
        )
    comments = chance.random() < (0.6 if style == "abbreviated" else 0.15)
    checks = chance.random() < 0.3
    parts = [_create(table, tables, declared, checks, comments) for table in tables.values()]
    taken = {table.name for table in tables.values()}
    parts += _distractors(domain, style, prefix, plural, taken, chance)
    chance.shuffle(parts)
    ddl = "\n".join(_ordered(parts))
    absent = tuple(thing for thing in things.values() if thing.one not in tables)
    return Schema(f"made.{domain}_{number}", domain, style, declared, tables, absent, ddl)


def _chosen(things: dict[str, Thing], chance: random.Random) -> list[Thing]:
    """At least two that belong together, with all that they belong to."""
    wanted = {one for one in things if chance.random() < 0.7}
    children = [one for one, thing in things.items() if thing.of]
    wanted.add(chance.choice(children))
    while more := {parent for one in wanted for parent in things[one].of} - wanted:
        wanted |= more
    return [thing for one, thing in things.items() if one in wanted]


def _name(words: str, style: Style, *, table: bool = False) -> str:
    parts: list[str] = re.findall(r"[a-z0-9]+", words.lower())
    if style == "snake":
        return "_".join(parts)
    if style == "camel":
        joined = parts[0] + "".join(part.capitalize() for part in parts[1:])
        return joined[0].upper() + joined[1:] if table else joined
    return "_".join(_short(part) for part in parts)


def _short(word: str) -> str:
    if word in SHORT:
        return SHORT[word]
    if len(word) <= 4 or word in FALSE_FRIENDS:
        return word
    consonants = [word[0], *(letter for letter in word[1:] if letter not in "aeiou")]
    return "".join(consonants[:5])


def _type(trait: Trait) -> str:
    match trait.kind:
        case "of" | "city":
            return "text"
        case "count":
            return "integer"
        case "amount":
            return "numeric(12,2)"
        case "day":
            return "date"
        case "moment":
            return "timestamp"
    return "boolean"


def _create(table: Table, tables: dict[str, Table], declared: bool, checks: bool, comments: bool) -> str:
    columns = [f"{quote(table.key)} integer" + (" PRIMARY KEY" if declared else " NOT NULL")]
    if table.label:
        columns.append(f"{quote(table.label)} text")
    for parent, column in table.parents.items():
        other = tables[parent]
        columns.append(
            f"{quote(column)} integer" + (f" REFERENCES {other.sql} ({quote(other.key)})" if declared else "")
        )
    for trait in table.of("of", "city", "count", "amount", "day", "moment", "flag"):
        column = quote(table.traits[trait.words])
        check = f" CHECK ({column} IN ({', '.join(map(text, trait.values))}))" if checks and trait.kind == "of" else ""
        columns.append(f"{column} {_type(trait)}{check}")
    inside = ",\n  ".join(columns)
    parts = [f"CREATE TABLE {table.sql} (\n  {inside}\n);"]
    if comments:
        parts.append(f"COMMENT ON TABLE {table.sql} IS {text(table.thing.many)};")
        said = [(words, column) for words, column in table.traits.items() if words.replace(" ", "_") != column]
        parts += [f"COMMENT ON COLUMN {table.sql}.{quote(column)} IS {text(words)};" for words, column in said]
    return "\n".join(parts)


def _distractors(
    domain: str, style: Style, prefix: str, plural: bool, taken: set[str], chance: random.Random
) -> list[str]:
    parts = []
    for words in chance.sample(sorted(OTHERS), chance.randint(0, 3)):
        name = prefix + _name(words + ("s" if plural else ""), style, table=True)
        columns = []
        for said in OTHERS[words]:
            column, _, kind = said.rpartition(" ")
            columns.append(f"{quote(_name(column, style))} {kind}")
        if name not in taken:
            taken.add(name)
            parts.append(f"CREATE TABLE {quote(name)} ({', '.join(columns)});")
    for _ in range(chance.randint(0, 2)):
        other = chance.choice([one for one in sorted(domains()) if one != domain])
        thing = chance.choice(list(domains()[other].values()))
        name = prefix + _name(thing.many if plural else thing.one, style, table=True)
        if name not in taken and not thing.of:
            taken.add(name)
            columns = [f"{quote(_name(one.words, style))} {_type(one)}" for one in thing.traits]
            parts.append(f"CREATE TABLE {quote(name)} ({quote(_name('id', style))} integer, {', '.join(columns)});")
    return parts


def _ordered(parts: list[str]) -> list[str]:
    """So that what is referred to is there."""
    names = {part: re.match(r'CREATE TABLE ("[^"]+"|\w+)', part) for part in parts}
    made: list[str] = []
    left = list(parts)
    while left:
        missing = {found[1] for part in left if (found := names[part]) is not None}
        ready = [part for part in left if not (set(re.findall(r'REFERENCES ("[^"]+"|\w+)', part)) & missing)]
        made += ready
        left = [part for part in left if part not in ready]
        if not ready:
            raise ValueError("things of a domain belong to each other in a circle")
    return made


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
