"""Two copies of a database that differ only in what a person may not see: the gateway's answers are the same bytes."""

from __future__ import annotations

import random
import re
from collections import Counter

from tests.e2e.harness import PASSWORDS
from tests.proof.comparing import Ground, query_for
from tests.proof.native import bound, row_condition
from tests.proof.rich import enrich
from tests.proof.world import Relation, World, quoted, value
from tests.proof.world import build as build_world
from tests.server.raw import SYNC, Raw, Reply, bind, execute, parse, query

PROVOKED = (
    "SELECT count(*) FROM {t} WHERE 1 / (tenant - 2) > 0",
    "SELECT count(*) FROM {t} WHERE (region || 'x')::integer > 0",
    "SELECT \"Id\" FROM {t} WHERE ('[' || region)::jsonb IS NOT NULL",
    'SELECT "Id" FROM {t} WHERE tenant * 1000000000 > 0',
    "SELECT count(*) FROM {t} WHERE 'x' ~ CASE WHEN tenant = 4 THEN '(' ELSE 'x' END",
    'SELECT sqrt("Id" - 5) FROM {t}',
    "SELECT {t}::text FROM {t} ORDER BY 1",
    "SELECT count(*) FROM {t} WHERE region < $1::text AND 1 / (tenant - 2) > 0",
    "SELECT sum({c}::text::numeric) FROM {t}",
    "SELECT {c}::text::integer FROM {t}",
    "SELECT count(*) FROM {t} WHERE {c}::text::jsonb IS NOT NULL",
    "SELECT count(*) FROM {t} WHERE 'x' ~ {c}::text",
    "SELECT count(*) FROM {t} WHERE 1 / (length({c}::text) - 2) > 5",
    "EXPLAIN SELECT * FROM {t} WHERE {c} IS NOT NULL",
    "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT count(*) FROM {t} WHERE {c} IS NULL",
)
"""Statements that fail on some values, if they come to see them."""


def _over(of: World, table: str) -> list[Relation]:
    """The table and all through which its rows are read."""
    parent = of.relations[table].parent
    names = {table, parent} | {
        name for name, one in of.relations.items() if table in (one.parent, parent) and one.parent
    }
    found = [one for name, one in of.relations.items() if name in names]
    for view in of.relations.values():  # a view of a view comes after that one
        if view.view and view.create.endswith(tuple(f"FROM app.{quoted(one.name)};" for one in found)):
            found.append(view)
    return found


def changed(ground: Ground, of: World, person: str, database: str) -> dict[str, list[tuple[object, ...]]]:
    """The world's rows, with others in the place of what the person may not see."""
    chance = random.Random(f"{of.seed}/{person}")
    result: dict[str, list[tuple[object, ...]]] = {}
    for table, rows in of.rows.items():
        over = _over(of, table)
        conditions = [row_condition(of, one, rules) for one in over if (rules := of.rules(person, one.name))]
        unseen = " AND ".join(["true", *(f"({bound(of, text, person)}) IS NOT TRUE" for text in conditions)])
        found = ground.postgres.execute(f'SELECT "Id" FROM app.{quoted(table)} WHERE {unseen}', database)
        hidden = {int(line) for line in found.split()}
        asked = _filtering(of, person, over)
        names = [name for name, _ in of.relations[table].columns if name != of.relations[table].generated]
        free = {name for name in names[3:] if all(_covered(of, person, one, name) for one in over)} - asked
        result[table] = []
        for row in rows:
            gone = row[0] in hidden
            if gone and chance.random() < 0.2:
                continue
            other = tuple(
                value(chance, name) if name in free or (gone and place > 2 and name not in asked) else cell
                for place, (name, cell) in enumerate(zip(names, row, strict=True))
            )
            result[table].append(other)
            if gone and chance.random() < 0.2:
                result[table].append((int(str(row[0])) + 3000, *other[1:]))  # the same to a filter on "Id" % 3
    return result


def _filtering(of: World, person: str, over: list[Relation]) -> set[str]:
    """The columns that the filters ask: other values there could show a row."""
    texts = [row_condition(of, one, of.rules(person, one.name)) for one in over if of.rules(person, one.name)]
    return set(re.findall(r"\w+", " ".join(texts)))


def _covered(of: World, person: str, relation: Relation, column: str) -> bool:
    """Whether nothing of the column can be seen: hidden, or masked by NULL or a constant."""
    for rule in of.rules(person, relation.name):
        mask = of.masks.get((relation.parent or relation.name, column))
        blind = mask is not None and (mask[0] == "null" or "constant" in str(mask[0]))
        if column in rule.columns and not (column in rule.masked and blind):
            return False
    return True


def interfere(
    ground: Ground,
    seed: int,
    count: int,
    *,
    enriched: bool = False,
    trees: bool = False,
    older: bool = False,
    people: tuple[str, ...] = (),
) -> tuple[Counter[str], list[str]]:
    """How the queries ended, and what differed. ``older``: the server is of a version before 18; ``people``: only
    these."""
    of = enrich(build_world(seed)) if enriched else build_world(seed)
    if older:
        of.stored()
    counts: Counter[str] = Counter()
    faults: list[str] = []
    for person in people or of.people:
        with ground.database(of) as first:
            others = changed(ground, of, person, first)
        with ground.gateway(of, others) as running:
            second = f"{running.database}_0"
            for relation in of.relations.values():
                if of.rules(person, relation.name):
                    text = f"SELECT x::text FROM plain_{person}.{quoted(relation.name)} x ORDER BY 1"
                    seen = [ground.postgres.execute(text, name) for name in (running.database, second)]
                    assert seen[0] == seen[1], f"world {seed}, {person}: the copies must look the same"
            texts = [query_for(of, person, number, trees=trees).literal() for number in range(count)]
            texts += [text for name in list(of.relations)[:1] for text in large(quoted(name))]
            for relation in of.relations.values():
                columns = [quoted(name) for name, _ in relation.columns]
                chosen = random.Random(seed).choice(columns)
                texts += [text.format(t=quoted(relation.name), c=chosen) for text in PROVOKED]
            with Raw("127.0.0.1", running.port) as one, Raw("127.0.0.1", running.port) as two:
                one.login(person, PASSWORDS[person], running.database)
                two.login(person, PASSWORDS[person], second)
                for text in texts:
                    answers = [_answer(wire, text) for wire in (one, two)]
                    kinds = {kind for kind, _ in answers[0]}
                    counts["rows" if "D" in kinds else "error" if "E" in kinds else "no rows"] += 1
                    if answers[0] != answers[1]:
                        faults.append(
                            f"-- differs; world {seed}, {person}\n{text[:9000]}\n-- {answers[0]}\n-- {answers[1]}\n"
                            f"-- policy:\n{of.policy()}\n{of.schema()}\n{of.insert(of.rows)}\n"
                            f"-- the other rows:\n{of.insert(others)}"
                        )
    return counts, faults


def large(table: str) -> list[str]:
    """Texts of just under a megabyte, which run, and of more than two, which are refused."""
    fits, beyond = (", ".join(str(number) for number in range(3, most)) for most in (130_000, 320_000))
    return [
        f'SELECT "Id", region FROM {table} WHERE "Id" IN ({fits}) ORDER BY 1',
        f"SELECT count(*) FROM {table} WHERE tenant IN ({fits}) AND 1 / (tenant - 2) > 0",
        f"SELECT count(*) FROM {table} WHERE region < '{'x' * 900_000}' AND 1 / (tenant - 2) > 0",
        f'SELECT "Id", region FROM {table} WHERE "Id" IN ({beyond}) ORDER BY 1',
        f"SELECT count(*) FROM {table} /* {'x' * 2_100_000} */",
        f"SELECT count(*) FROM {table} WHERE region = '{'x' * 2_100_000}'",
    ]


def _answer(wire: Raw, text: str) -> list[Reply]:
    """``$1`` in the text is a value of more than two megabytes."""
    if "$1" in text:
        wire.send(parse("", text), bind("", "", "x" * 2_100_000), execute(""), SYNC)
    else:
        wire.send(query(text))
    return wire.until("Z")
