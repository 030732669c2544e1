"""A random world: tables with data, and a policy over them. The same seed makes the same world.

A column's name says its type, so that NATURAL and USING always fit. The tables stand in the schema
``app``; ``acl`` holds what row filters look up.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import yaml

PEOPLE: Final[dict[str, tuple[str, tuple[int, ...]]]] = {
    "ada": ("EU", (1, 2)),
    "emil": ("US", (2,)),
    "nora": ("EU", (1, 3)),
}
"""Of each person the region and the tenants."""

TYPES: Final = {
    "region": "text",
    "tenant": "integer",
    "n": "integer",
    "Big": "bigint",
    "amount": "numeric(10,2)",
    "note": "text",
    "Email": "character varying(40)",
    "day": "date",
    "at": "timestamp without time zone",
    "flag": "boolean",
    "list": "integer[]",
    "doc": "jsonb",
}
NAMES: Final = ("orders", "Items", "staff", "two words", "log")
KEY: Final = "sixteen characters"
MASKS: Final[dict[str, tuple[tuple[object, str], ...]]] = {
    "text": (
        (
            {"partial": {"first": 1, "last": 1, "fill": "*"}},
            "CASE WHEN length({c}) > 2 THEN left({c}, 1) || '*' || right({c}, 1) WHEN {c} IS NOT NULL THEN '*' END",
        ),
        ({"constant": {"value": "it's"}}, "'it''s'::text"),
        ("hash", f"encode(sha256(convert_to('{KEY}' || {{c}}, 'UTF8')), 'hex')"),
        ("null", "NULL::text"),
    ),
    "date": (("year", "date_trunc('year', {c})::date"), ("null", "NULL::date")),
    "timestamp without time zone": (("year", "date_trunc('year', {c})"),),
    "integer": (
        ({"round": {"to": 10}}, "(trunc({c}::numeric / 10) * 10)::integer"),
        (
            {"bucket": {"bounds": [0, 20, 50]}},
            "CASE WHEN {c} >= 50 THEN 50 WHEN {c} >= 20 THEN 20 WHEN {c} >= 0 THEN 0 END",
        ),
        ("null", "NULL::integer"),
    ),
    "numeric(10,2)": (({"round": {"to": 100}}, "(trunc({c} / 100) * 100)::numeric(10,2)"),),
}
"""Of each type: masks as the policy writes them, and as SQL."""

FILTERS: Final = (
    "region = person.region",
    "tenant = ANY(person.tenants)",
    "region IS NULL OR region <> 'US'",
    '"Id" % 3 <> 0',
    "tenant IN (SELECT m.tenant FROM acl.members AS m WHERE m.who = person.name)",
    "EXISTS (SELECT 1 FROM acl.members AS m WHERE m.who = person.name AND m.tenant > 1)",
)


def quoted(name: str) -> str:
    return name if name.islower() and name.isidentifier() else f'"{name}"'


def literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


@dataclass(frozen=True)
class Relation:
    name: str
    columns: tuple[tuple[str, str], ...]
    "Names and types."
    create: str
    generated: str = ""
    "Its name: nothing is inserted into it."
    parent: str = ""
    view: bool = False
    part: bool = False
    "A partition: its rows are inserted into its parent."


@dataclass(frozen=True)
class Rule:
    """What one role gives of one relation."""

    columns: frozenset[str]
    masked: frozenset[str]
    filters: tuple[tuple[str, bool], ...]
    "Conditions, and whether each is permissive."

    def condition(self) -> str:
        parts = [f"({text})" for text, permissive in self.filters if not permissive]
        either = [f"({text})" for text, permissive in self.filters if permissive]
        return " AND ".join(parts + ([f"({' OR '.join(either)})"] if either else [])) or "true"


@dataclass
class World:
    seed: int
    relations: dict[str, Relation] = field(default_factory=dict)
    rows: dict[str, list[tuple[object, ...]]] = field(default_factory=dict)
    roles: dict[str, dict[str, Rule]] = field(default_factory=dict)
    people: dict[str, tuple[str, ...]] = field(default_factory=dict)
    "Of each person the roles."
    masks: dict[tuple[str, str], tuple[object, str]] = field(default_factory=dict)
    top: dict[str, str] = field(default_factory=dict)
    "Of a relation the filter for everybody."
    attributes: Mapping[str, str] = field(default_factory=dict)
    "Declared ones, and their types."
    given: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    "Of each person those that they have, besides region and tenants."
    keyed: bool = True
    "The policy has a key for hash masks."
    absent: set[str] = field(default_factory=set)
    "Roles that count in other networks only: they give nothing here, but deny."
    denied: list[tuple[str, str, frozenset[str]]] = field(default_factory=list)
    "A role ('': everybody), a relation, and columns; none: all of it."

    def insert(self, rows: dict[str, list[tuple[object, ...]]]) -> str:
        """SQL that fills the tables."""
        texts = []
        for name, values in rows.items():
            of = self.relations[name]
            names = ", ".join(quoted(column) for column, _ in of.columns if column != of.generated)
            tuples = ", ".join(f"({', '.join(map(literal, row))})" for row in values)
            if tuples:
                texts.append(f"INSERT INTO app.{quoted(name)} ({names}) VALUES {tuples};")
        return "\n".join(texts)

    def schema(self) -> str:
        creates = "\n".join(relation.create for relation in self.relations.values())
        return (
            "CREATE SCHEMA app; CREATE SCHEMA acl; CREATE TABLE acl.members (who text, tenant integer);"
            "INSERT INTO acl.members VALUES ('ada', 1), ('ada', 3), ('emil', 2), ('nora', 1);\n" + creates
        )

    def unkeyed(self) -> World:
        """Without a key, which a policy behind a pooler cannot have: no masks that need one. Changes the world."""
        self.keyed = False
        for (name, column), mask in self.masks.items():
            if mask[0] == "hash":
                type_ = dict(self.relations[name].columns)[column]
                self.masks[name, column] = ("null", f"NULL::{type_}")
        return self

    def stored(self) -> World:
        """For servers before 18, which have no virtual columns. Changes the world."""
        for name, of in self.relations.items():
            self.relations[name] = replace(of, create=of.create.replace(") VIRTUAL", ") STORED"))
        return self

    def policy(self) -> str:
        users = {
            name: {
                "roles": list(roles),
                "attributes": {
                    "region": PEOPLE[name][0],
                    "tenants": list(PEOPLE[name][1]),
                    **self.given.get(name, {}),
                },
            }
            for name, roles in self.people.items()
        }
        document = {
            "version": 1,
            "name": f"proof-{self.seed}",
            "hash_key": KEY if self.keyed else "",
            "search_path": ["app"],
            "attributes": dict(self.attributes),
            "users": users,
            "deny": self._denied(""),
            "rows": [{"tables": f"app.{name}", "using": text} for name, text in self.top.items()],
            "roles": {role: self._role(role, rules) for role, rules in self.roles.items()},
        }
        kept = {key: value for key, value in document.items() if value}
        return yaml.safe_dump(kept, sort_keys=False)

    def _denied(self, role: str) -> list[object]:
        return [
            {"tables": f"app.{name}", "columns": sorted(columns)} if columns else f"app.{name}"
            for one, name, columns in self.denied
            if one == role
        ]

    def _role(self, role: str, rules: dict[str, Rule]) -> dict[str, object]:
        read: list[object] = []
        rows: list[object] = []
        masks: list[object] = []
        for name, rule in rules.items():
            every = {column for column, _ in self.relations[name].columns}
            hidden = sorted(every - rule.columns)
            if not hidden:
                read.append(f"app.{name}")
            elif len(hidden) % 2:
                read.append({"tables": f"app.{name}", "hide": hidden})
            else:
                read.append({"tables": f"app.{name}", "columns": sorted(rule.columns)})
            if self.relations[name].parent:
                continue  # what holds for the parent holds for it
            for text, permissive in rule.filters:
                rows.append(
                    {"tables": f"app.{name}", "using": text, "as": "permissive" if permissive else "restrictive"}
                )
            masks += [
                {"columns": f"app.{name}.{column}", "with": self.masks[name, column][0]}
                for column in sorted(rule.masked)
            ]
        found: dict[str, object] = {"read": read, "rows": rows, "masks": masks, "deny": self._denied(role)}
        if self.attributes:
            found["from"] = "10.9.0.0/16" if role in self.absent else ["127.0.0.0/8", "::1/128"]
            found["when"] = {"hours": "00:00-24:00", "days": "mon-sun"}
        return {key: value for key, value in found.items() if value}

    def rules(self, person: str, name: str) -> list[Rule]:
        """What each of the person's roles that count gives of it; empty: nothing."""
        top = self.top.get(self.relations[name].parent or name, "")
        roles = [role for role in self.people[person] if role not in self.absent and name in self.roles[role]]
        rules = [rule for role in roles if (rule := self.given_by(person, role, name)) is not None]
        return rules if self._has(person, top) else []

    def given_by(self, person: str, role: str, name: str) -> Rule | None:
        """What the role, which has a rule for it, gives the person of it."""
        closed: set[str] = set()
        for one, denied, columns in self.denied:
            if one in ("", *self.people[person]) and self._related(denied, name):
                closed |= columns or {column for column, _ in self.relations[name].columns}
        return self._for(person, self.roles[role][name], closed)

    def _related(self, denied: str, name: str) -> bool:
        """What is denied of a table is denied of its children and its parent."""
        one, other = self.relations[denied], self.relations[name]
        return denied == name or one.parent == name or other.parent == denied

    def _has(self, person: str, text: str) -> bool:
        """Whether the person has all attributes in the text."""
        given = {"region", "tenants", "name", *self.given.get(person, {})}
        return set(re.findall(r"person\.(\w+)", text)) <= given

    def _for(self, person: str, rule: Rule, closed: set[str]) -> Rule | None:
        """None: a restrictive filter, or all permissive ones, need what the person lacks; or nothing is left."""
        filters = tuple((text, permissive) for text, permissive in rule.filters if self._has(person, text))
        lost = set(rule.filters) - set(filters)
        if any(not permissive or all(not one for _, one in filters) for _, permissive in lost):
            return None
        if not rule.columns - closed:
            return None
        return Rule(rule.columns - closed, rule.masked - closed, filters)


def build(seed: int) -> World:
    chance = random.Random(seed)
    world = World(seed)
    for name in chance.sample(NAMES, chance.randint(2, 5)):
        _relation(world, chance, name)
    for number in range(chance.randint(1, 2)):
        of = world.relations[chance.choice([name for name, one in world.relations.items() if not one.part])]
        kept = ("Id", "region", "tenant", *(c for c, _ in of.columns[3:] if chance.random() < 0.7))
        columns = tuple((column, type_) for column, type_ in of.columns if column in kept)
        listed = ", ".join(quoted(column) for column in kept)
        create = f"CREATE VIEW app.view{number} AS SELECT {listed} FROM app.{quoted(of.name)};"
        world.relations[f"view{number}"] = Relation(f"view{number}", columns, create, view=True)
    for relation in world.relations.values():
        for column, type_ in relation.columns:
            kind = "text" if column in ("note", "Email") and type_ == "text" else type_
            if column not in ("Id", "region", "tenant") and kind in MASKS and not relation.parent:
                world.masks[relation.name, column] = chance.choice(MASKS[kind])
        if chance.random() < 0.15 and not relation.parent:
            world.top[relation.name] = chance.choice(FILTERS)
    world.roles = {role: _rules(world, chance) for role in ("reader", "clerk", "auditor")}
    world.people = {"ada": ("reader",), "emil": ("clerk",), "nora": tuple(chance.sample(list(world.roles), 2))}
    return world


def _relation(world: World, chance: random.Random, name: str) -> None:
    others = [column for column in TYPES if column not in ("region", "tenant")]
    chosen = ["region", "tenant", *chance.sample(others, chance.randint(3, 7))]
    columns: tuple[tuple[str, str], ...] = (("Id", "integer"), *((column, TYPES[column]) for column in chosen))
    kind = chance.choice(["plain", "plain", "generated", "parts", "parent"])
    defined = [f"{quoted(column)} {type_}" for column, type_ in columns]
    defined[0] += " NOT NULL" if kind == "parts" else " PRIMARY KEY"
    generated = ""
    if kind == "generated":
        generated = "twice"
        columns = (*columns, ("twice", "integer"))
        defined.append(f"twice integer GENERATED ALWAYS AS (tenant * 2) {chance.choice(['STORED', 'VIRTUAL'])}")
    shown = f"app.{quoted(name)}"
    create = f"CREATE TABLE {shown} ({', '.join(defined)})"
    base = Relation(name, columns, f"{create}{' PARTITION BY LIST (region)' if kind == 'parts' else ''};", generated)
    world.relations[name] = base
    world.rows[name] = [_row(chance, number, base) for number in range(chance.randint(8, 24))]
    child = replace(base, name=f"{name}_sub", parent=name)
    if kind == "parts":
        own = f"app.{quoted(child.name)}"
        rest = f"app.{quoted(name + '_rest')}"
        text = f"CREATE TABLE {own} PARTITION OF {shown} FOR VALUES IN ('EU');"
        text += f"CREATE TABLE {rest} PARTITION OF {shown} DEFAULT;"
        world.relations[child.name] = replace(child, create=text, part=True)
    elif kind == "parent":
        world.relations[child.name] = replace(
            child, create=f"CREATE TABLE app.{quoted(child.name)} () INHERITS ({shown});"
        )
        world.rows[child.name] = [_row(chance, 100 + number, base) for number in range(chance.randint(2, 8))]


def _row(chance: random.Random, number: int, of: Relation) -> tuple[object, ...]:
    return (number, *(value(chance, column) for column, _ in of.columns[1:] if column != of.generated))


def value(chance: random.Random, column: str) -> object:
    """Any value of the column, often NULL."""
    if chance.random() < 0.15:
        return None
    match column:
        case "region":
            return chance.choice(["EU", "US", "AS"])
        case "tenant":
            return chance.randint(1, 4)
        case "n" | "Big":
            return chance.choice([0, chance.randint(-5, 99)])
        case "amount":
            return f"{chance.randint(-999, 99999) / 100:.2f}"
        case "day":
            return f"202{chance.randint(0, 4)}-0{chance.randint(1, 9)}-1{chance.randint(0, 9)}"
        case "at":
            return f"202{chance.randint(0, 4)}-0{chance.randint(1, 9)}-11 0{chance.randint(0, 9)}:30:00"
        case "flag":
            return chance.random() < 0.5
        case "list":
            return "{" + ",".join(str(chance.randint(0, 9)) for _ in range(chance.randint(0, 3))) + "}"
        case "doc":
            return f'{{"a": {chance.randint(0, 9)}}}'
        case _:
            return chance.choice(["", "x", "ab", "O'Hara", "12", "(", "Anna Maria", "{}", "7.5"])


def _rules(world: World, chance: random.Random) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for name, relation in world.relations.items():
        if relation.parent:
            if relation.parent in rules and chance.random() < 0.6:
                rules[name] = rules[relation.parent]
            continue
        if chance.random() < 0.12:
            continue
        names = [column for column, _ in relation.columns]
        hidden = set(chance.sample(names[3:], min(len(names) - 3, chance.choice([0, 0, 0, 1, 2]))))
        masked = {column for column in names if (name, column) in world.masks and chance.random() < 0.25} - hidden
        filters = tuple((chance.choice(FILTERS), chance.random() < 0.4) for _ in range(chance.choice([0, 1, 1, 2])))
        rules[name] = Rule(frozenset(names) - hidden, frozenset(masked), tuple(dict(filters).items()))
    return rules
