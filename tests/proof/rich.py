"""More of the policy language in a world: denied tables and columns, typed attributes that some people lack, every mask
on every type that it fits, hours and networks, and several roles of each person."""

from __future__ import annotations

import random
from typing import Final

from tests.proof.world import KEY, PEOPLE, Relation, Rule, World

DECLARED: Final = {
    "joined": "date",
    "share": "numeric",
    "since": "timestamp",
    "moment": "timestamptz",
    "ok": "boolean",
    "level": "smallint",
    "most": "bigint",
    "days": "date[]",
    "words": "text[]",
    "uid": "uuid",
    "numbers": "integer[]",
}
"""Attributes and their types."""

GIVEN: Final[dict[str, dict[str, object]]] = {
    "ada": {
        "joined": "2021-05-11",
        "share": "400.5",
        "since": "2021-01-01 00:00:00",
        "moment": "2023-01-01 00:00:00+02",
        "ok": True,
        "level": 5,
        "most": 70,
        "days": ["2022-01-11", "2021-03-12", "2020-05-15"],
        "words": ["x", "O'Hara", "ab"],
        "uid": "80000000-0000-0000-0000-000000000000",
        "numbers": [0, 1, 2, 3],
    },
    "emil": {"share": 20, "ok": False, "level": -1, "words": ["", "{}"], "numbers": [4], "most": 10},
    "nora": {"joined": "2020-01-01", "share": 900, "moment": "2022-01-01 00:00:00+00", "level": 0, "ok": True},
}

FILTERS: Final[tuple[tuple[str, str], ...]] = (
    ("day", "day > person.joined"),
    ("amount", "amount <= person.share"),
    ("at", "at >= person.since"),
    ("at", "at AT TIME ZONE 'UTC' < person.moment"),
    ("flag", "flag = person.ok"),
    ("n", "n >= person.level"),
    ("Big", '"Big" < person.most'),
    ("day", "day = ANY(person.days) OR day IS NULL"),
    ("note", "note = ANY(person.words)"),
    ("note", "md5(note)::uuid < person.uid"),
    ("list", "list && person.numbers"),
    ("doc", "(doc ->> 'a')::integer > person.level"),
    ("Email", "length(\"Email\") > 1 AND region = ANY(ARRAY[person.region, 'AS'])"),
)
"""A column that the filter needs, and the filter."""

_PARTIAL: Final = "CASE WHEN length({c}) > 2 THEN left({c}, 2) || '..' WHEN {c} IS NOT NULL THEN '..' END"
_MOMENTS: Final = (
    "CASE WHEN {{c}} >= '2022-06-01' THEN {0} '2022-06-01' WHEN {{c}} >= '2021-01-01' THEN {0} '2021-01-01' END"
)
_BOUNDS: Final = {"bucket": {"bounds": ["2021-01-01", "2022-06-01"]}}


def _always(value: object, type_: str) -> tuple[object, str]:
    braces = str(value).replace("{", "{{").replace("}", "}}")  # it goes through format
    return {"constant": {"value": value}}, f"'{braces}'::{type_}"


def _rounded(to: int, type_: str) -> tuple[object, str]:
    return {"round": {"to": to}}, f"(trunc({{c}}::numeric / {to}) * {to})::{type_}"


MASKS: Final[dict[str, tuple[tuple[object, str], ...]]] = {
    "text": (
        ({"partial": {"first": 2, "last": 0, "fill": ".."}}, _PARTIAL),
        ("hash", f"encode(sha256(convert_to('{KEY}' || {{c}}, 'UTF8')), 'hex')"),
        _always("it", "text"),
    ),
    "character varying(40)": (
        ({"partial": {"first": 2, "last": 0, "fill": ".."}}, _PARTIAL),
        _always("it", "character varying(40)"),
    ),
    "date": (
        ("year", "date_trunc('year', {c})::date"),
        (_BOUNDS, _MOMENTS.format("date")),
        _always("2020-02-02", "date"),
    ),
    "timestamp without time zone": (
        ("year", "date_trunc('year', {c})"),
        (_BOUNDS, _MOMENTS.format("timestamp")),
        _always("2020-02-02 10:00:00", "timestamp"),
    ),
    "integer": (_rounded(20, "integer"), _always(7, "integer")),
    "bigint": (
        _rounded(10, "bigint"),
        ({"bucket": {"bounds": [-3, 50]}}, "CASE WHEN {c} >= 50 THEN 50 WHEN {c} >= -3 THEN -3 END"),
        _always(7, "bigint"),
    ),
    "numeric(10,2)": (
        _rounded(50, "numeric(10,2)"),
        ({"bucket": {"bounds": [0, 99.5]}}, "CASE WHEN {c} >= 99.5 THEN 99.5 WHEN {c} >= 0 THEN 0 END"),
        _always("1.25", "numeric(10,2)"),
    ),
    "boolean": (_always("true", "boolean"),),
    "integer[]": (_always("{1,2}", "integer[]"),),
    "jsonb": (_always('{"m": 1}', "jsonb"),),
}
"""Of each type: masks as the policy writes them, and as SQL; besides them NULL, which fits every type."""


def enrich(world: World) -> World:
    """The same tables and rows under a policy with more in it. Changes the world."""
    chance = random.Random(f"rich {world.seed}")
    world.attributes = DECLARED
    world.given = GIVEN
    for relation in world.relations.values():
        for column, type_ in relation.columns[3:]:
            if not relation.parent:
                world.masks[relation.name, column] = chance.choice([*MASKS[type_], ("null", f"NULL::{type_}")])
        if not relation.parent and chance.random() < 0.2:
            world.top[relation.name] = _filter(chance, relation)
    for role, rules in world.roles.items():
        world.roles[role] = {name: _richer(world, chance, world.relations[name], rule) for name, rule in rules.items()}
    for role, rules in world.roles.items():  # what holds for the parent holds for the child
        for name in rules:
            if (parent := world.relations[name].parent) in rules:
                world.roles[role][name] = rules[parent]
    roles = list(world.roles)
    world.absent = {chance.choice(roles)} if chance.random() < 0.5 else set()
    present = [role for role in roles if role not in world.absent]
    for person in PEOPLE:
        first = chance.choice(present)
        others = [role for role in roles if role != first and chance.random() < 0.5]
        world.people[person] = tuple(chance.sample([first, *others], len(others) + 1))
    for _ in range(chance.randint(0, 3)):
        _deny(world, chance)
    return world


def _filter(chance: random.Random, relation: Relation) -> str:
    names = {name for name, _ in relation.columns}
    fitting = [text for column, text in FILTERS if column in names]
    return chance.choice(fitting or ["region IS NOT NULL"])


def _richer(world: World, chance: random.Random, relation: Relation, rule: Rule) -> Rule:
    filters = dict(rule.filters)
    for _ in range(chance.choice([0, 1, 1, 2])):
        filters[_filter(chance, relation)] = chance.random() < 0.5
    if relation.parent:
        return rule
    maskable = [column for column in sorted(rule.columns) if (relation.name, column) in world.masks]
    masked = {column for column in maskable if chance.random() < 0.3}
    return Rule(rule.columns, frozenset(masked), tuple(filters.items()))


def _deny(world: World, chance: random.Random) -> None:
    relation = world.relations[chance.choice(list(world.relations))]
    names = [name for name, _ in relation.columns[3:]]
    columns = frozenset(chance.sample(names, min(len(names), chance.randint(1, 2))))
    if not columns or chance.random() < 0.15:
        columns = frozenset()
    world.denied.append((chance.choice(["", *world.roles]), relation.name, columns))
