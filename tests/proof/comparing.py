"""One world on a real server, a real gateway before it, and each query run three ways."""

from __future__ import annotations

import contextlib
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e import harness
from tests.proof import native, rich, world
from tests.proof.debian import Debian
from tests.proof.queries import Writer
from tests.proof.trees.queries import TreeWriter
from tests.proof.ways import Answer, Query, chosen, run
from tests.proof.world import World
from tests.server.bouncer import pgbouncer

SERVICE: Final = "proof_gateway"

BLOCKED: Final = 0.05
"""The largest share of queries that the gateway may refuse though PostgreSQL, by the same policy, does not."""
SAME: Final = 0.85
"""The smallest share of queries of trees that run and are the same three ways."""


@dataclass
class Report:
    verdicts: Counter[str] = field(default_factory=Counter)
    constructs: Counter[str] = field(default_factory=Counter)
    "Of the queries that ran and were the same three ways."
    blocked: Counter[str] = field(default_factory=Counter)
    "What the gateway alone refuses, by its words."
    faults: list[str] = field(default_factory=list)
    ran: int = 0
    "On the server, without the gateway."

    @property
    def queries(self) -> int:
        return self.verdicts.total()

    @property
    def same(self) -> float:
        """The share that ran and gave the same three ways."""
        answered = self.queries - self.verdicts["EXPLAIN ran"] - self.verdicts["EXPLAIN refused"]
        return (self.verdicts["same"] + self.verdicts["same, no rows"]) / max(answered, 1)

    @property
    def overblocked(self) -> bool:
        return self.blocked.total() > BLOCKED * self.queries

    def lines(self) -> str:
        if not self.queries:
            return "no queries"
        shares = ", ".join(
            f"{name} {count} ({count / self.queries:.1%})" for name, count in self.verdicts.most_common()
        )
        constructs = ", ".join(f"{name} {count}" for name, count in self.constructs.most_common())
        alone = self.blocked.total() / self.queries
        shares += f"\n{self.ran / self.queries:.1%} ran on the server, {alone:.1%} refused by the gateway alone"
        return f"{self.queries} queries: {shares}\nran the same: {constructs}\nblocked: {self.blocked.most_common(8)}"


class Arena:
    """One person's three connections."""

    def __init__(self, of: World, person: str, gateway: str, server: str) -> None:
        self.world, self.person = of, person
        self.gateway = psycopg.connect(gateway, autocommit=True)
        self.native = psycopg.connect(server, autocommit=True)
        self.plain = psycopg.connect(server, autocommit=True)
        for connection, role in ((self.native, f"native_{person}"), (self.plain, "plain")):
            path = f"{'native' if role != 'plain' else 'plain'}_{person}"
            connection.execute(f"SET search_path = {path}; SET ROLE {role}; SET statement_timeout = '5s'".encode())

    def close(self) -> None:
        for connection in (self.gateway, self.native, self.plain):
            connection.close()

    def ask(self, query: Query) -> tuple[Answer, Answer, Answer]:
        return tuple(run(one, query) for one in (self.gateway, self.native, self.plain))  # type: ignore[return-value]


def same(left: Answer, right: Answer, ordered: bool) -> bool:
    if left.columns != right.columns:
        return False
    return left.rows == right.rows if ordered else Counter(left.rows) == Counter(right.rows)


def verdict(answers: tuple[Answer, Answer, Answer], query: Query) -> str:
    """What came of a query; FAULT: the gateway gave what it must not, or something else.

    Which of the rows that are seen meet an expression that fails depends on the plan (manual, 4.2.14 "Expression
    Evaluation Rules"), so one way may fail alone where the query has such. That no hidden row makes it fail is for
    interference.py.
    """
    ordered = query.ordered
    ours, natively, plainly = answers
    if "57014" in (ours.state, natively.state, plainly.state):
        return "too slow"
    if ours.ran:
        if not plainly.ran:
            return "FAULT: ran, though it must not on what is seen" if plainly.refused else "failed elsewhere only"
        if not same(ours, plainly, ordered):
            return "FAULT: not what is seen"
        if natively.refused:
            return "narrowed"
        if not natively.ran:
            return "failed elsewhere only"
        return ("same" if ours.rows else "same, no rows") if same(ours, natively, ordered) else "FAULT: not as natively"
    if ours.refused:
        return "blocked by the gateway alone" if natively.ran else "both refuse"
    if natively.ran and plainly.ran:
        return "failed here only" if "may fail" in query.constructs else "FAULT: failed here only"
    return "both fail"


def explained(arena: Arena, query: Query, answers: tuple[Answer, Answer, Answer]) -> str:
    """What came of EXPLAIN: of tables of which rows or values are hidden it must not run."""
    ours, _, plainly = answers
    if not ours.ran:
        return "EXPLAIN refused" if ours.refused else "both fail"
    if plainly.refused:
        return "FAULT: EXPLAIN ran, though the query must not on what is seen"
    plan = "\n".join((row[0] or b"").decode() for row in ours.rows)
    scanned = {name.strip('"') for name in re.findall(r' (?:Seq|Heap|Index|Index Only) Scan .*?on ("[^"]*"|\w+)', plan)}
    for name in scanned & arena.world.relations.keys():
        plain = not query.constructs & {"CTE of a table's name", "misleading names"}
        if plain and re.search(rf'(?:FROM|JOIN|,) "?{name}\b', query.text):
            rules = arena.world.rules(arena.person, name)
            of = arena.world.relations[name]
            open_rows = any(rule.condition() == "true" for rule in rules) and (of.parent or name) not in arena.world.top
            open_columns = {c for rule in rules if rule.condition() == "true" for c in rule.columns - rule.masked}
            if not open_rows or any(rule.masked - open_columns for rule in rules):
                return "FAULT: EXPLAIN ran where something is hidden"
    return "EXPLAIN ran"


def query_for(
    of: World,
    person: str,
    number: int,
    chance: random.Random | None = None,
    *,
    trees: bool = False,
    ways: tuple[str, ...] = (),
) -> Query:
    """The query of this number. A few name what the person may not see. ``trees``: as SQLsmith writes them; ``ways``:
    go by one of these."""
    chance = chance or random.Random(f"{of.seed}/{person}/{number}")
    visible = []
    for relation in of.relations.values():
        if rules := of.rules(person, relation.name):
            names = native.shown(relation, rules)
            visible.append((relation.name, tuple(pair for pair in relation.columns if pair[0] in names)))
    complete = frozenset(name for name, columns in visible if columns == of.relations[name].columns)
    if not visible or chance.random() < (0.03 if trees else 0.06):
        visible = [(relation.name, relation.columns) for relation in of.relations.values()]
    if trees:
        every = sorted({name for relation in of.relations.values() for name, _ in relation.columns})
        query = TreeWriter(chance, visible, complete, tuple(every)).query()
    else:
        query = Writer(chance, visible, unsafe=chance.random() < 0.1).query()
    return chosen(chance, ways, query) if ways else query


def compare(arena: Arena, query: Query, report: Report) -> str:
    answers = arena.ask(query)
    found = explained(arena, query, answers) if query.way == "EXPLAIN" else verdict(answers, query)
    report.verdicts[found] += 1
    report.ran += answers[1].ran
    if found in ("same", "same, no rows", "narrowed"):
        report.constructs.update(query.constructs)
    elif found.startswith("blocked"):
        report.blocked[f"{answers[0].state} {answers[0].message}"[:110]] += 1
    elif found.startswith("FAULT"):
        report.faults.append(reproducer(arena.world, arena.person, query, found, answers))
    return found


def reproducer(of: World, person: str, query: Query, found: str, answers: tuple[Answer, ...]) -> str:
    """All that one needs to see the fault again."""
    ways = "\n".join(
        f"-- {way}: {one.state} {one.message} {one.columns} {len(one.rows)} rows {sorted(map(repr, one.rows))[:6]}"
        for way, one in zip(("gateway", "native", "plain"), answers, strict=False)
    )
    return (
        f"-- {found}; world {of.seed}, {person}\n{ways}\n{query.text}\n-- parameters {query.parameters}\n"
        f"-- policy:\n{of.policy()}\n-- tables:\n{of.schema()}\n{of.insert(of.rows)}"
    )


@dataclass
class Ground:
    """Worlds on one server; each has a database and a gateway of its own."""

    postgres: EmbeddedPostgres | Debian
    bouncer: int = 0
    "The port of a PgBouncer in transaction mode between the gateway and the server; 0: there is none."

    def __post_init__(self) -> None:
        self.postgres.execute(f"CREATE ROLE {SERVICE} LOGIN PASSWORD '{SERVICE}'; CREATE ROLE plain")
        for person in world.PEOPLE:
            self.postgres.execute(f"CREATE ROLE native_{person}")

    @contextlib.contextmanager
    def pooled(self) -> Iterator[Ground]:
        """The same server behind PgBouncer."""
        for pin in ("default_transaction_read_only = on", "search_path = app", "client_encoding = 'UTF8'"):
            self.postgres.execute(f"ALTER ROLE {SERVICE} SET {pin}")
        where = self.postgres.host, self.postgres.port
        with pgbouncer(*where, mode="transaction", users={SERVICE: SERVICE}) as port:
            yield Behind(self.postgres, port)
        self.postgres.execute(f"ALTER ROLE {SERVICE} RESET ALL")

    def fill(self, of: World, database: str, rows: dict[str, list[tuple[object, ...]]]) -> None:
        copies = "\n".join(f"{native.native(of, person)}\n{native.plain(of, person)}" for person in of.people)
        self.postgres.execute(f"{of.insert(rows)}\n{copies}", database)

    @contextlib.contextmanager
    def database(self, of: World) -> Iterator[str]:
        """The world's tables alone, filled."""
        name = f"proof_{of.seed}_tables"
        self.postgres.execute(f"CREATE DATABASE {name}")
        self.postgres.execute(f"{of.schema()}\n{of.insert(of.rows)}", name)
        yield name
        self.postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextlib.contextmanager
    def gateway(
        self, of: World, *variants: dict[str, list[tuple[object, ...]]], policy: str = "", workers: int = 1
    ) -> Iterator[harness.RunningGateway]:
        """The world in a database ``proof_SEED``; each variant of its rows in one with a number behind that.

        All are copies of one that has the tables only: their object identifiers are the same. ``policy``: another one.
        """
        name = f"proof_{of.seed}"
        self.postgres.execute(f"CREATE DATABASE {name}")
        grants = (
            f"GRANT USAGE ON SCHEMA app, acl TO {SERVICE}; GRANT SELECT ON ALL TABLES IN SCHEMA app, acl TO {SERVICE};"
        )
        self.postgres.execute(f"{of.schema()}\n{grants}", name)
        others = [f"{name}_{number}" for number in range(len(variants))]
        for other in others:
            self.postgres.execute(f"CREATE DATABASE {other} TEMPLATE {name}")
        for database, rows in zip((name, *others), (of.rows, *variants), strict=True):
            self.fill(of, database, rows)
        with tempfile.TemporaryDirectory(prefix="nlsql-proof-") as folder:
            file = Path(folder) / "policy.yaml"
            file.write_text(policy or of.policy())
            behind = {"host": "127.0.0.1", "port": self.bouncer, "pooler": "transaction"} if self.bouncer else {}
            with harness.gateway(
                Path(folder) / "gateway",
                self.postgres,
                database=name,
                policy=file,
                role=SERVICE,
                password=SERVICE,
                upstream=behind,
                listen={"workers": workers},
            ) as running:
                yield running
        for database in (name, *others):
            self.postgres.execute(f"DROP DATABASE {database} WITH (FORCE)")


class Behind(Ground):
    """On a server that is a ground already."""

    def __post_init__(self) -> None:
        pass


def differ(
    ground: Ground,
    seed: int,
    count: int,
    report: Report,
    policy: str = "",
    *,
    trees: bool = False,
    enriched: bool = False,
    ways: tuple[str, ...] = (),
    workers: int = 1,
) -> None:
    """``count`` queries on the world ``seed``; ``policy``: what the gateway has in the place of the world's."""
    of = rich.enrich(world.build(seed)) if enriched else world.build(seed)
    if ground.bouncer:
        of.unkeyed()
    with ground.gateway(of, policy=policy, workers=workers) as running, contextlib.ExitStack() as stack:
        arenas = []
        for person in of.people:
            arenas.append(Arena(of, person, running.conninfo(person), ground.postgres.conninfo(running.database)))
            stack.callback(arenas[-1].close)
        for number in range(count):
            arena = arenas[number % len(arenas)]
            compare(arena, query_for(of, arena.person, number, trees=trees, ways=ways), report)
