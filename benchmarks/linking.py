"""``python -m benchmarks.linking``: are the tables and value columns of a question's gold found, among 2,000 tables?

No model is asked. The four databases of the project's questions stand side by side in one schema with synthetic tables
whose names are made of the same kind of words, so that the schema must be pruned; each question is linked once without
values and once with those that were read (``ask.values``). ``found`` is the share of the questions with a gold of which
*all* tables are in the prompt, ``columns`` the share of the texts in golds that are met in the column that the gold
compares them with: before, those that an enumeration or a CHECK lists in the prompt.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.resources import files
from itertools import islice, product
from pathlib import Path
from typing import Any

import click

from nlsql_gateway.ask import Source, Vocabulary, read_vocabulary
from nlsql_gateway.ask.linking import link
from nlsql_gateway.ask.prompt import cost, describe
from nlsql_gateway.ask.vocabulary import Held
from nlsql_gateway.ask.vocabulary_reading import MAX_ROWS
from nlsql_gateway.config import Ask, Upstream
from nlsql_gateway.embedded import retail
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.evaluation import questions
from nlsql_gateway.evaluation.golds import expand
from nlsql_gateway.evaluation.questions import Question
from nlsql_gateway.policy import legible, load, visible
from nlsql_gateway.server.postgres import Databases
from nlsql_gateway.sql import Catalog, Column, Relation
from nlsql_gateway.sql.comparisons import comparisons
from nlsql_gateway.sql.names import outline

TABLES = 2000
"""Of the schema that is linked to, and of the database that is read."""
ROLE = "linking"
OPEN = load("version: 1\nname: open\npass_through: true\n", "open.yaml")
FOLDER = Path(str(files("nlsql_gateway.evaluation"))) / "questions"

AREAS = """billing payroll fleet campus clinic harbour energy museum theatre bakery forestry insurance broadcast
    housing laboratory market mining parking police postal printing railway research safety sport tax textile tourism
    transit water welfare zoology""".split()  # noqa: SIM905
THINGS = """orders customers products items members loans books shipments routes meters readings vehicles drivers
    employees stores branches payments invoices returns reviews categories suppliers contracts tariffs outages events
    visits staff regions depots copies authors warehouses parcels sensors alarms tickets claims accounts budgets plans
    projects tasks teams shifts skills courses grades rooms devices models parts batches tests results samples sites
    permits zones licences inspections auctions recipes""".split()  # noqa: SIM905


@dataclass
class Read:
    """One database, and what was read of it."""

    schema: Catalog
    vocabulary: Vocabulary
    statements: int
    milliseconds: float


@dataclass
class Tally:
    asked: int = 0
    tables_before: int = 0
    tables_after: int = 0
    texts: int = 0
    columns_before: int = 0
    columns_after: int = 0
    tokens: list[int] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)


def synthetic() -> Iterator[Relation]:
    """Tables of the same columns, in a fixed order of names."""
    kinds = {"id": "integer", "name": "text", "status": "text", "note": "text", "created_at": "timestamp"}
    columns = tuple(Column(name, kind) for name, kind in kinds.items())
    for thing, area in product(THINGS, AREAS):
        yield Relation("synthetic", f"{area}_{thing}", "table", columns, primary_key=("id",))


async def read(upstream: Upstream, database: str) -> Read:
    """As a person who may read all of it."""
    databases = Databases(upstream, ROLE)
    statements = 0
    try:
        there = databases.get(database)
        catalog = await there.refresh()
        person = OPEN.principal("anybody")

        async def look(sql: str) -> Sequence[Sequence[object]]:
            nonlocal statements
            statements += 1
            return await there.look(sql, Ask().look, MAX_ROWS)

        told = legible(catalog, person, OPEN)
        schema = visible(catalog, person, OPEN)
        start = time.perf_counter()
        source = Source(look, there.statistics, told.shown, told.whole)
        vocabulary = await read_vocabulary(schema, source, 8 << 20)
        return Read(schema, vocabulary, statements, 1000 * (time.perf_counter() - start))
    finally:
        await databases.aclose()


def side_by_side(databases: dict[str, Read]) -> tuple[Catalog, Vocabulary]:
    """All in one schema of TABLES tables, each database in a schema of its name."""
    relations: dict[tuple[str, str], Relation] = {}
    held: list[Held] = []
    for name, one in databases.items():
        for relation in one.schema.relations.values():
            keys = tuple(replace(key, target=(name, key.target[1])) for key in relation.foreign_keys)
            relations[name, relation.name] = replace(relation, schema=name, foreign_keys=keys, parents=())
        for (key, column), values in one.vocabulary.columns.items():
            held.append(replace(values, place=((name, key[1]), column)))
    some = next(iter(databases.values())).schema
    for relation in islice(synthetic(), TABLES - len(relations)):
        relations[relation.key] = relation
    schema = replace(some, version="side by side", relations=relations)
    return schema, Vocabulary(held, schema, 8 << 20)


def needed(
    gold: str, name: str, schema: Catalog
) -> tuple[set[tuple[str, str]], list[tuple[tuple[str, str], str, str]]]:
    """The tables of a gold's first query; the texts in it, each with its column."""
    own = replace(schema, search_path=("pg_catalog", name))
    sql = expand(gold)[0][0]
    tables = {
        source.relation for scope in outline(sql, own).scopes for source in scope.sources if source.relation is not None
    }
    texts = [(one.relation, one.column, one.text.strip("%")) for one in comparisons(sql, own)]
    return tables, [one for one in texts if one[2]]


def measure(asked: Sequence[Question], schema: Catalog, vocabulary: Vocabulary) -> Tally:
    ask, tally = Ask(), Tally()
    for question in asked:
        tables, texts = needed(question.gold, question.db, schema)
        start = time.perf_counter()
        met = vocabulary.named(question.words)
        named = [[key for key, _ in one.places] for one in met]

        def linked(named: Sequence[Any]) -> set[tuple[str, str]]:
            chosen = link(
                question.words,  # noqa: B023 - called within the same turn
                schema,
                ask.max_prompt_tokens,
                lambda relation: cost(describe(relation, schema)),
                ask.max_pruned_tokens,
                named,
            )
            tally.tokens.append(sum(cost(describe(relation, schema)) for relation in chosen))
            return {relation.key for relation in chosen}

        after = linked(named)
        tally.milliseconds.append(1000 * (time.perf_counter() - start))
        before = linked(())
        tally.asked += 1
        tally.tables_before += tables <= before
        tally.tables_after += tables <= after
        for key, column, text in texts:
            listed = schema.relations[key].column(column)
            known = {value.casefold() for value in (listed.values if listed is not None else ())}
            places = {place for one in met if one.value.casefold() == text.casefold() for place in one.places}
            tally.texts += 1
            tally.columns_before += text.casefold() in known
            tally.columns_after += text.casefold() in known or (key, column) in places
    return tally


def prepare(server: EmbeddedPostgres, names: Sequence[str]) -> None:
    server.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE}'; GRANT pg_read_all_data TO {ROLE}")
    for name in names:
        script = FOLDER / "databases" / f"{name}.sql"
        if script.is_file():
            server.execute(f"CREATE DATABASE {name}")
            with script.open("rb") as lines:
                server.load(lines, name)
        else:
            retail.load(server, today=datetime.now(UTC).date(), password=ROLE)
            server.execute(f"GRANT CONNECT ON DATABASE {name} TO {ROLE}")
        server.execute("ANALYZE", name)
    server.execute("CREATE DATABASE thousands")
    made = [
        f"CREATE TABLE {relation.name} (id int, name text, status text, note text, created_at timestamp);"
        f"INSERT INTO {relation.name} SELECT n, 'name ' || n, 'state ' || n % 4, 'note' FROM generate_series(1, 20) n;"
        for relation in islice(synthetic(), TABLES)
    ]
    server.execute("\n".join(made), "thousands")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--limit", type=click.IntRange(0), default=0, help="Only the first so many questions; 0: all.")
def main(limit: int) -> None:
    """Linking without a model: recall, time and size."""
    asked = [one for one in questions.read(FOLDER / "questions.jsonl") if one.answerable]
    asked = asked[:: max(1, len(asked) // limit)][:limit] if limit else asked
    names = sorted({question.db for question in asked})
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "data", durable=False) as server:
        prepare(server, names)
        upstream = Upstream(host=server.host, port=server.port, user=ROLE)
        databases = {name: asyncio.run(read(upstream, name)) for name in names}
        say = _table()
        for name, one in databases.items():
            say(name, one)
        say("thousands", asyncio.run(read(upstream, "thousands")))
        server.execute("ANALYZE", "thousands")
        say("analysed", asyncio.run(read(upstream, "thousands")))
    schema, vocabulary = side_by_side(databases)
    tally = measure(asked, schema, vocabulary)
    click.echo(
        f"\n{tally.asked} questions, {len(schema.relations)} tables, tokens to link to: {max(tally.tokens)} at most\n"
        f"all tables found: {tally.tables_before / tally.asked:.1%} -> {tally.tables_after / tally.asked:.1%}\n"
        f"value columns found ({tally.texts} texts): {tally.columns_before / tally.texts:.1%} -> "
        f"{tally.columns_after / tally.texts:.1%}\n"
        f"to link: {statistics.median(tally.milliseconds):.0f} ms, {max(tally.milliseconds):.0f} ms at most"
    )


def _table() -> Callable[[str, Read], None]:
    click.echo("database    tables  columns  kB  statements  ms  joins by values")

    def say(name: str, one: Read) -> None:
        known = one.vocabulary
        click.echo(
            f"{name:10} {len(one.schema.relations):7} {len(known):8} {known.size // 1024:4} {one.statements:10} "
            f"{one.milliseconds:5.0f} {len(known.overlaps):4}"
        )

    return say


if __name__ == "__main__":
    sys.exit(main())
