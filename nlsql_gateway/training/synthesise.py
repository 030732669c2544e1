"""``synthesise FOLDER``: made-up schemas with rows, and questions about them with their SQL; the same for a seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import click

from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.training.prepare_catalogs import Database, as_row, read_catalogs, tables_of
from nlsql_gateway.training.prepare_held_out import held_out
from nlsql_gateway.training.prepare_layout import (
    SYNTHETIC_DATABASES,
    SYNTHETIC_PAIRS,
    Pair,
    folder_for,
    report,
    write_lines,
    write_pairs,
)
from nlsql_gateway.training.prepare_resume import shown
from nlsql_gateway.training.synthesise_asking import Asked, Maker, NothingToAsk
from nlsql_gateway.training.synthesise_dates import DATE
from nlsql_gateway.training.synthesise_groups import GROUP_BY, LARGEST, RATIO
from nlsql_gateway.training.synthesise_joins import JOIN, PARENTS_GROUPED, PARENTS_ORDERED
from nlsql_gateway.training.synthesise_refusals import REFUSALS
from nlsql_gateway.training.synthesise_rows import fill
from nlsql_gateway.training.synthesise_schema import schema
from nlsql_gateway.training.synthesise_where import ORDER_BY, WHERE

Template = Callable[[Maker], Asked]
TEMPLATES: Final[Mapping[str, Sequence[Template]]] = {
    "where": WHERE,
    "group_by": (*GROUP_BY, *PARENTS_GROUPED),
    "order_by": (*ORDER_BY, *LARGEST, *PARENTS_ORDERED),
    "ratio": RATIO,
    "date": DATE,
    "join": JOIN,
    "unanswerable": REFUSALS,
}
"""By category: those of the evaluation, and what cannot be answered."""
TRIES: Final = 4
"""Templates tried for one question: a schema has not what each is about."""


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--schemas", type=click.IntRange(min=1), default=400, show_default=True, help="How many.")
@click.option("--questions", type=click.IntRange(min=7), default=42, show_default=True, help="Of each schema, about.")
@click.option(
    "--validation", type=click.FloatRange(0, 1), default=0.05, show_default=True, help="Share of the schemas."
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--today", type=click.DateTime(["%Y-%m-%d"]), help="The day that they are asked on; today.")
def command(folder: Path, schemas: int, questions: int, validation: float, seed: int, today: datetime | None) -> None:
    """Make up schemas, rows, questions and their SQL, in FOLDER."""
    folder_for(folder)
    day = (today or datetime.now(UTC)).date()
    databases: list[Database] = []
    pairs: list[Pair] = []
    refused: Counter[str] = Counter()
    for number in shown(range(schemas), schemas, "synthesise"):
        database, asked = made(number, seed, day, questions, validation)
        if known := held_out(database.id, database_tables(database)):
            refused[known] += 1
            continue
        databases.append(database)
        pairs.extend(asked)
    relations, failed = read_catalogs({database.id: database.ddl for database in databases})
    if failed:
        one, why = next(iter(failed.items()))
        raise UpstreamError(f"{len(failed)} made-up schemas do not load, among them {one}: {why}")
    write_lines(
        folder / SYNTHETIC_DATABASES,
        (
            as_row(Database(one.id, one.source, one.split, one.ddl, relations[one.id], rows=one.rows))
            for one in databases
        ),
    )
    total = write_pairs(folder / SYNTHETIC_PAIRS, pairs)
    told = {
        "pairs": total,
        "databases": len(databases),
        "databases refused": dict(refused),
        "categories": dict(Counter(pair.category for pair in pairs).most_common()),
        "tables": sum(len(tables_of(found)) for found in relations.values()),
    }
    report(folder, "synthesise", told)


def made(number: int, seed: int, today: date, questions: int, validation: float) -> tuple[Database, list[Pair]]:
    """The ``number``-th schema with its rows (its relations are not read yet), and what is asked about it."""
    chance = random.Random(f"{seed} {number}")  # noqa: S311 - the same each time is what is wanted
    one = schema(number, chance)
    rows = fill(one, today, chance)
    split = "validation" if chance.random() < validation else "train"
    database = Database(one.id, "made up", "validation" if split == "validation" else "train", one.ddl, (), rows=rows)
    maker = Maker(one, chance, today)
    asked = [
        Pair(
            f"{one.id}-{place:03}",
            "made up",
            one.id,
            database.split,
            found.question,
            # What is not known yet is not the latest.
            found.sql.replace(" DESC", " DESC NULLS LAST") if found.sql is not None else None,
            category=found.category,
            licence="Apache-2.0",
            today=today.isoformat(),
        )
        for place, found in enumerate(_questions(maker, questions))
    ]
    return database, asked


def _questions(maker: Maker, wanted: int) -> Iterator[Asked]:
    """As many of each category, each question once."""
    seen: set[str] = set()
    for category, templates in TEMPLATES.items():
        for _ in range(wanted // len(TEMPLATES)):
            for _ in range(TRIES):
                try:
                    asked = maker.chance.choice(templates)(maker)
                except NothingToAsk:
                    continue
                if asked.question.casefold() not in seen:
                    seen.add(asked.question.casefold())
                    yield Asked(category, asked.question, asked.sql)
                    break


def database_tables(database: Database) -> list[str]:
    """Names in the DDL of a database whose relations are not read yet."""
    parts = database.ddl.split("CREATE TABLE ")[1:]
    return [part.split(" (", 1)[0].strip('"') for part in parts]
