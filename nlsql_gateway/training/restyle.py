"""``restyle FOLDER``: golds rewritten to what people want shown.

Datasets' golds answer in the narrowest way, and a model trained on them as they are answers worse. Three ways to write
each, of which ``check`` takes the first that gives the original's rows:

0. everything: needless joins go, lists are listed once, and what follows;
1. names, measures and ILIKE, with FROM as it was;
2. what the gateway does to any answer, and the tables' names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import click
from sqlglot import exp

from nlsql_gateway.ask.dates import say_dates
from nlsql_gateway.ask.linking import words
from nlsql_gateway.ask.rework import is_meant
from nlsql_gateway.errors import LimitError, StatementError
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.elimination import without_needless_joins
from nlsql_gateway.sql.habits import divide, listed_once, settle, with_names
from nlsql_gateway.sql.kinds_of_values import kinds_of
from nlsql_gateway.sql.names import parse
from nlsql_gateway.training.prepare_catalogs import Database, databases_in
from nlsql_gateway.training.prepare_layout import (
    DATABASES,
    PAIRS,
    RESTYLED,
    SYNTHETIC_DATABASES,
    SYNTHETIC_PAIRS,
    Counts,
    Pair,
    pairs_in,
    report,
    write_lines,
)
from nlsql_gateway.training.prepare_resume import Kept, shown
from nlsql_gateway.training.restyle_aliases import with_initials
from nlsql_gateway.training.restyle_doubts import doubt
from nlsql_gateway.training.restyle_passes import (
    cast_to_numeric,
    count_plainly,
    fold_names,
    join_plainly,
    keys_first,
    leave_nulls,
    show_measures,
    small_units,
)

WAYS = 3
Pass = Callable[[str, str, Catalog], str]
"(gold, what was asked, schema) -> gold."


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def command(folder: Path) -> None:
    """Rewrite the golds in FOLDER, drop what cannot be put right."""
    pairs, databases = everything(folder)
    inputs = [path for path in (folder / PAIRS, folder / SYNTHETIC_PAIRS) if path.exists()]
    counts = Counts()
    passes: dict[str, int] = {}
    with Kept(folder / RESTYLED, inputs) as kept:
        for pair in shown(pairs, len(pairs), "restyle"):
            row = kept.done.get(pair.id)
            if row is None:
                row = {"key": pair.id, **first_way(pair, databases[pair.database].catalog)}
                kept.add(row)
            counts.take(pair.source)
            if row["dropped"]:
                counts.drop(pair.source, row["dropped"])
            else:
                counts.keep(pair.source)
            for name in row["passes"]:
                passes[name] = passes.get(name, 0) + 1
        total = write_lines(folder / RESTYLED, _rows(pairs, kept.done))
        kept.finish()
    report(folder, "restyle", {"pairs": total, "passes that changed a gold": passes, "sources": counts.told()})


def everything(folder: Path) -> tuple[list[Pair], dict[str, Database]]:
    """What ``prepare`` and ``synthesise`` wrote, whichever were run."""
    pairs = [pair for name in (PAIRS, SYNTHETIC_PAIRS) if (folder / name).exists() for pair in pairs_in(folder, name)]
    databases = databases_in(folder / DATABASES) | databases_in(folder / SYNTHETIC_DATABASES)
    if not pairs:
        raise click.UsageError(f"{folder} has no pairs: run prepare or synthesise before")
    return pairs, databases


def first_way(pair: Pair, catalog: Catalog) -> dict[str, Any]:
    """The gold at its best with the passes that changed it, or why the pair is dropped."""
    if pair.sql is None:
        return {"sql": None, "passes": [], "dropped": ""}
    try:
        said = say_dates(pair.question, date.fromisoformat(pair.today)) if pair.today else pair.question
        reason = doubt(pair.sql, said, pair.notes, catalog)
        sql, passes = (pair.sql, []) if reason else written(pair.sql, 0, pair, catalog)
    except (StatementError, LimitError):
        return {"sql": pair.sql, "passes": [], "dropped": "it cannot be read"}
    return {"sql": sql, "passes": passes, "dropped": reason}


def written(sql: str, way: int, pair: Pair, catalog: Catalog) -> tuple[str, list[str]]:
    """``sql`` the ``way``-th way, and which passes changed it. Raises StatementError, LimitError."""
    changed = []
    asked = f"{pair.question} {pair.notes}"
    for name, least, one in PASSES:
        if way > least or (name == "names" and {"id", "ids"} & set(words(pair.question))):
            continue
        better = one(sql, asked if name == "ILIKE" else pair.question, catalog)
        if better != sql:
            changed.append(name)
            sql = better
    return sql, changed


def divided_numerically(sql: str, catalog: Catalog) -> str:
    """``sql`` with ratios for integer divisions: what restyling changes in the values. The same text if unreadable."""
    try:
        tree = parse(sql)
        changed = divide(tree, kinds_of(tree, catalog))
    except (StatementError, LimitError):
        return sql
    return tree.sql(dialect="postgres", normalize_functions=False) if changed else sql


def _on_tree(change: Callable[[exp.Query], bool]) -> Pass:
    def of_text(sql: str, _: str, __: Catalog) -> str:
        tree = parse(sql)
        return tree.sql(dialect="postgres", normalize_functions=False) if change(tree) else sql

    return of_text


def _folded(sql: str, asked: str, catalog: Catalog) -> str:
    return _on_tree(lambda tree: fold_names(tree, asked, catalog))(sql, "", catalog)


def _named(sql: str, _: str, catalog: Catalog) -> str:
    return _on_tree(lambda tree: with_initials(tree, catalog))(sql, "", catalog)


PASSES: tuple[tuple[str, int, Pass], ...] = (
    (
        "needless joins",
        0,
        lambda sql, question, catalog: without_needless_joins(
            sql, catalog, lambda one, others, keys: is_meant(one, others, question, keys)
        ),
    ),
    ("counts", 0, _on_tree(count_plainly)),
    ("listed once", 0, lambda sql, _, catalog: listed_once(sql, catalog)),
    ("names", 1, lambda sql, _, catalog: with_names(sql, catalog)),
    ("measures", 1, _on_tree(show_measures)),
    ("ILIKE", 1, _folded),
    ("habits", 2, lambda sql, _, catalog: settle(sql, catalog)),
    ("casts", 2, _on_tree(cast_to_numeric)),
    ("joins", 2, _on_tree(join_plainly)),
    ("keys first", 2, _on_tree(keys_first)),
    ("aliases", 2, _named),
    ("nulls", 2, _on_tree(leave_nulls)),
    ("units", 2, lambda sql, _, __: small_units(sql)),
)
"""Name, the last way that has it, what it does."""


def _rows(pairs: list[Pair], done: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for pair in pairs:
        row = done[pair.id]
        if not row["dropped"]:
            yield {**asdict(pair), "sql": row["sql"], "original": pair.sql, "passes": row["passes"]}
