"""Columns for aggregates only: random blocks over a world's tables, against the filtered copies with the small groups
left out by a condition of the oracle's own. What PostgreSQL has no words for is compared two ways only."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg
import yaml

from tests.proof import rich, world
from tests.proof.comparing import Ground, same
from tests.proof.queries import Columns, Writer
from tests.proof.ways import Answer, Query, run
from tests.proof.world import World, quoted

NUMBERS = ("integer", "bigint", "numeric(10,2)")
FUNCTIONS = ("count", "sum", "avg", "stddev", "var_pop")
MORE = ("min", "max")
"""Allowed only where the rule names them."""

FORBIDDEN = (
    "SELECT t.{c} FROM {t} AS t",
    "SELECT count(*) FROM {t} AS t WHERE t.{c} > 3",
    'SELECT t."Id" FROM {t} AS t ORDER BY t.{c}',
    "SELECT sum(t.{c} + 1) FROM {t} AS t",
    "SELECT sum(DISTINCT t.{c}) FROM {t} AS t",
    "SELECT sum(t.{c}) FILTER (WHERE t.tenant = 1) FROM {t} AS t",
    'SELECT sum(t.{c}) OVER (ORDER BY t."Id") FROM {t} AS t',
    "SELECT array_agg(t.{c}) FROM {t} AS t",
    "SELECT avg(t.{c}), t::text FROM {t} AS t GROUP BY t.*",
    "SELECT count(*) FROM {t} AS t GROUP BY t.{c}",
    "SELECT sum((SELECT t.{c})) FROM {t} AS t",
    "SELECT x.{c} FROM (SELECT * FROM {t}) AS x",
    'SELECT count(*) FROM {t} AS t JOIN {t} AS u ON t.{c} = u."Id"',
    "SELECT max(to_jsonb(t)::text) FROM (SELECT {c} FROM {t}) AS t",
    "EXPLAIN SELECT sum(t.{c}) FROM {t} AS t",
)


@dataclass(frozen=True)
class Rule:
    """What one role says of a column for aggregates only."""

    groups_of: int
    more: bool
    "MORE is allowed too."


@dataclass(frozen=True)
class Only:
    """A column for aggregates only, by the rules of roles; a role without one gives it as it gives others."""

    table: str
    column: str
    rules: Mapping[str, Rule]

    def of(self, world: World, person: str) -> Rule | None:
        """What holds for the person; None: the column is an ordinary one, or is not given."""
        given = {
            role: rule
            for role in world.people[person]
            if role not in world.absent
            and self.table in world.roles[role]
            and (rule := world.given_by(person, role, self.table)) is not None
            and self.column in rule.columns
        }
        clear = [rule for role, rule in given.items() if role not in self.rules]
        rules = [self.rules[role] for role in given if role in self.rules]
        open_to_all = self.table not in world.top
        if not rules or any(
            open_to_all and rule.condition() == "true" and self.column not in rule.masked for rule in clear
        ):
            return None
        return Rule(max(rule.groups_of for rule in rules), all(rule.more for rule in rules))


@dataclass
class Outcome:
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def chosen(of: World, chance: random.Random) -> dict[str, Only]:
    """Of each table, views and children aside, at most one column; in most of the roles."""
    found: dict[str, Only] = {}
    for relation in of.relations.values():
        columns = [c for c, type_ in relation.columns[3:] if type_ in NUMBERS and c != relation.generated]
        if columns and not relation.view and not relation.parent:
            roles = [role for role in of.roles if chance.random() < 0.8]
            rules = {role: Rule(chance.randint(3, 5), chance.random() < 0.4) for role in roles}
            found[relation.name] = Only(relation.name, chance.choice(columns), rules)
    return found


def policy(of: World, only: dict[str, Only], *, loosened: bool) -> str:
    """``loosened``: smaller groups than there should be."""
    document = yaml.safe_load(of.policy())
    for role, given in of.roles.items():
        entries = [
            {
                "columns": f"app.{one.table}.{one.column}",
                "groups_of": 2 if loosened else one.rules[role].groups_of,
                **({"functions": [*FUNCTIONS, *MORE]} if one.rules[role].more else {}),
            }
            for one in only.values()
            if one.table in given and role in one.rules
        ]
        if entries:
            document["roles"][role]["aggregate_only"] = entries
    return yaml.safe_dump(document, sort_keys=False)


def block(chance: random.Random, one: Only, rule: Rule, tables: list[tuple[str, Columns]]) -> tuple[str, str]:
    """The block as a person writes it, and as the oracle does."""
    visible = [(name, columns) for name, columns in tables if name == one.table]
    columns = tuple(pair for pair in visible[0][1] if pair[0] != one.column)
    scope = [("t", columns)]
    source = f"{quoted(one.table)} AS t"
    match chance.randrange(6):
        case 0:
            source += " CROSS JOIN generate_series(1, 2) AS g(s)"
            scope.append(("g", (("s", "integer"),)))
        case 1:
            source += ' LEFT JOIN generate_series(1, 9) AS g(s) ON g.s = t."Id"'
            scope.append(("g", (("s", "integer"),)))
        case 2:
            name, others = chance.choice([pair for pair in tables if pair[0] != one.table] or [("", ())])
            if name:
                kind = chance.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
                source += f' {kind} {quoted(name)} AS u ON t."Id" = u."Id"'
                scope.append(("u", tuple(pair for pair in others if pair[0] in ("Id", "region", "tenant"))))
    writer = Writer(chance, [pair for pair in tables if pair[0] != one.table] or [("acl.members", (("who", "text"),))])
    where = f" WHERE {writer._bool(scope, 0)}" if chance.random() < 0.5 else ""  # its own kind of text
    keys = chance.sample(["t.region", "t.tenant", 't."Id" % 3'], chance.randint(0, 2))
    functions = chance.sample([*FUNCTIONS, *(MORE if rule.more else ())], chance.randint(1, 3))
    argument = f"t.{quoted(one.column)}{chance.choice(['', '', '::numeric'])}"
    items = [*keys, *(f"{name}({argument})" for name in functions), "count(*)"]
    named = ", ".join(f"{item} AS m{place}" for place, item in enumerate(items))
    way = chance.choice(["{0}", "{0}", "ROLLUP ({0})", "CUBE ({0})", "GROUPING SETS (({0}), ())"])
    group = f" GROUP BY {way.format(', '.join(keys))}" if keys else ""
    having = chance.choice(["", "", f"{functions[0]}({argument}) > 3", "count(*) < 9"])
    enough = (
        f'count(t."Id") = count(DISTINCT t."Id") AND'
        f' count(t."Id") FILTER (WHERE t.{quoted(one.column)} IS NOT NULL) >= {rule.groups_of}'
    )
    text = f"SELECT {named} FROM {source}{where}{group}"
    ours = f"{text} HAVING {having}" if having else text
    oracle = f"{text} HAVING {enough} AND ({having})" if having else f"{text} HAVING {enough}"
    around = chance.choice(["{0}", "{0}", "SELECT q.* FROM ({0}) AS q", "WITH q AS ({0}) SELECT count(*) FROM q"])
    return around.format(ours), around.format(oracle)


def compare(ground: Ground, seed: int, count: int, outcome: Outcome, *, loosened: bool = False) -> None:
    """``count`` blocks for each table and person, and all that is forbidden. ``loosened``: the gateway shows smaller
    groups than it should."""
    of = rich.enrich(world.build(seed))
    of.denied.clear()
    chance = random.Random(f"grouped {seed}")
    only = chosen(of, chance)
    document = policy(of, only, loosened=loosened)
    with ground.gateway(of, policy=document) as running:
        for person in of.people:
            tables = [
                (name, tuple(pair for pair in relation.columns if any(pair[0] in rule.columns for rule in rules)))
                for name, relation in of.relations.items()
                if (rules := of.rules(person, name)) and not relation.view and not relation.parent
            ]
            with contextlib.ExitStack() as stack:
                gateway = stack.enter_context(psycopg.connect(running.conninfo(person), autocommit=True))
                plain = stack.enter_context(
                    psycopg.connect(ground.postgres.conninfo(running.database), autocommit=True)
                )
                plain.execute(f"SET search_path = plain_{person}".encode())
                for name, columns in tables:
                    if name not in only or only[name].column not in dict(columns):
                        continue
                    one = only[name]
                    rule = one.of(of, person)
                    if rule is None:
                        outcome.counts["ordinary"] += 1
                    plainly = f"SELECT t.{quoted(one.column)} FROM {quoted(name)} AS t"
                    for _ in range(count if rule is not None else 1):
                        texts = block(chance, one, rule, tables) if rule is not None else (plainly, plainly)
                        answers = (run(gateway, Query(texts[0], set())), run(plain, Query(texts[1], set())))
                        _judge(outcome, of, person, texts, answers)
                    for text in FORBIDDEN if rule is not None else ():
                        answer = run(gateway, Query(text.format(t=quoted(name), c=quoted(one.column)), set()))
                        outcome.counts["forbidden"] += 1
                        if not answer.refused:
                            outcome.faults.append(f"world {seed}, {person}: {text} {one}: {answer}")


def _judge(outcome: Outcome, of: World, person: str, texts: tuple[str, str], answers: tuple[Answer, Answer]) -> None:
    ours, oracle = answers
    if ours.ran and oracle.ran and same(ours, oracle, ordered=False):
        outcome.counts["same" if ours.rows else "same, no rows"] += 1
    elif not ours.ran and not oracle.ran:
        outcome.counts["both fail"] += 1
    elif ours.refused:
        outcome.counts[f"blocked: {ours.message[:60]}"] += 1
    else:
        outcome.faults.append(
            f"-- world {of.seed}, {person}\n{texts[0]}\n-- {ours}\n{texts[1]}\n-- {oracle}\n{of.policy()}"
        )
