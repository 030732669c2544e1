"""``check FOLDER``: each gold run, and what holds written as the gateway asks it."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from nlsql_gateway.ask.vocabulary import hints
from nlsql_gateway.errors import LimitError, StatementError, UpstreamError
from nlsql_gateway.evaluation.tables import Table, equal
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.habits import settle
from nlsql_gateway.training.check_running import Failure, Golds, running
from nlsql_gateway.training.check_tokens import Tokens, tokenizer, within
from nlsql_gateway.training.check_writing import Writer
from nlsql_gateway.training.prepare_catalogs import Database
from nlsql_gateway.training.prepare_layout import RESTYLED, Counts, Pair, lines, report, write_lines
from nlsql_gateway.training.prepare_resume import Kept, shown
from nlsql_gateway.training.restyle import WAYS, divided_numerically, everything, written

FIELDS = ("id", "source", "database", "split", "question", "notes", "licence", "empty", "category", "today")


@dataclass(frozen=True, slots=True)
class How:
    """What changes the results."""

    proven: bool
    hints: int


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="GGUF that counts tokens.")
@click.option("--count-tokens/--no-count-tokens", default=True, help="Count them by the embedded model's tokenizer.")
@click.option("--tokens", type=click.IntRange(min=1), help="Leave so many in train.jsonl; small sources stay whole.")
@click.option(
    "--value-hints",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Lines on where named values are, in half of the prompts, as `ask.values.hints` gives them; real rows only.",
)
@click.option("--proven", is_flag=True, help="Keep only golds that gave rows, on made-up contents too.")
def command(
    folder: Path, model: Path | None, count_tokens: bool, tokens: int | None, value_hints: int, proven: bool
) -> None:
    """Run the golds in FOLDER and write train.jsonl and validation.jsonl."""
    if tokens is not None and not count_tokens:
        raise click.UsageError("--tokens counts them")
    _, databases = everything(folder)
    by_database: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in lines(folder / RESTYLED):
        by_database[row["database"]].append(row)
    how = How(proven, value_hints)
    with Kept(folder / "checked.jsonl", [folder / RESTYLED], str(how)) as kept:
        asyncio.run(_check_all(by_database, databases, kept, how))
        told = _write(folder, by_database, databases, kept.done, model if count_tokens else None, count_tokens)
        kept.finish()
    if tokens is not None:
        left = within(folder / "train.jsonl", tokens)
        told["tokens left in train.jsonl"] = {"all": left.total(), **dict(left.most_common())}
    report(folder, "check", told)


async def _check_all(
    by_database: dict[str, list[dict[str, Any]]], databases: dict[str, Database], kept: Kept, how: How
) -> None:
    left = {one: [row for row in rows if row["id"] not in kept.done] for one, rows in by_database.items()}
    todo = [one for one, rows in left.items() if any(row["sql"] is not None for row in rows) or (rows and how.hints)]
    with TemporaryDirectory(prefix="nlsql-training-") as place:
        async with running(Path(place)) as golds:
            for one in shown(todo, len(todo), "check"):
                database = databases[one]
                try:
                    await golds.load(database, [row["original"] for row in by_database[one] if row["sql"]], 1)
                except UpstreamError as error:
                    click.echo(f"{one}: {error.message}", err=True)
                    for row in left[one]:
                        kept.add({"key": row["id"], "dropped": "its contents do not load"})
                    continue
                real, catalog = bool(database.contents or database.rows), database.catalog
                values = await golds.vocabulary(catalog) if real and how.hints else None
                for row in left[one]:
                    found = await _checked(row, catalog, golds, real, how)
                    if values is not None:
                        named = await asyncio.to_thread(values.named, row["question"])
                        found["values"] = list(hints(named, how.hints))
                    kept.add({"key": row["id"], **found})


async def _checked(row: dict[str, Any], catalog: Catalog, golds: Golds, real: bool, how: How) -> dict[str, Any]:
    """The SQL that holds and which way it was written, or why there is none."""
    if row["sql"] is None:
        return {"dropped": ""}
    original = await golds.run(row["original"])
    if isinstance(original, Failure):
        return {"dropped": original.why}
    void = _is_void(original)
    if void and (real or how.proven):
        return {"dropped": "it gives nothing"}
    pair = Pair(**{key: row[key] for key in FIELDS}, sql=row["original"])
    accepted = [original]
    divided = divided_numerically(row["original"], catalog)
    if divided != row["original"] and isinstance(meant := await golds.run(divided), Table):
        accepted.append(meant)
    tried = {row["original"]}
    for way in range(WAYS):
        try:
            sql, passes = (row["sql"], row["passes"]) if way == 0 else written(row["original"], way, pair, catalog)
            runs = settle(sql, catalog)
        except (StatementError, LimitError):
            continue
        if sql in tried and way:
            continue
        tried.add(sql)
        found = await golds.run(runs)
        if isinstance(found, Table) and any(_agree(one, found, "listed once" in passes) for one in accepted):
            return {"dropped": "", "sql": sql, "way": way, "proof": "none" if void else "real" if real else "made up"}
    return {"dropped": "no way to write it gives its rows"}


def _agree(original: Table, restyled: Table, listed_once: bool) -> bool:
    if equal(original, restyled):
        return True
    return listed_once and equal(Table(original.width, tuple(dict.fromkeys(original.rows))), restyled)


def _is_void(found: Table) -> bool:
    """No rows, or one of nulls and zeros: what an aggregate of nothing gives."""
    return not found.rows or (len(found.rows) == 1 and all(value is None or value == 0 for value in found.rows[0]))


def _write(
    folder: Path,
    by_database: dict[str, list[dict[str, Any]]],
    databases: dict[str, Database],
    done: dict[str, dict[str, Any]],
    model: Path | None,
    count_tokens: bool,
) -> dict[str, Any]:
    counts, proofs, ways = Counts(), Counter[str](), Counter[int]()
    tokens: dict[str, Counter[str]] = {"train": Counter(), "validation": Counter()}
    with tokenizer(model) if count_tokens else nullcontext(Tokens()) as tell:

        def kept(split: str) -> Iterator[dict[str, Any]]:
            for one, rows in by_database.items():
                if databases[one].split != split:
                    continue
                writer = Writer(databases[one])
                for row in rows:
                    counts.take(row["source"])
                    result = done.get(row["id"], {"dropped": ""})
                    found = result["dropped"] or writer.example(row, result)
                    if isinstance(found, str):
                        counts.drop(row["source"], found)
                        continue
                    counts.keep(row["source"])
                    proofs[found["proof"]] += 1
                    ways[result.get("way", -1)] += 1
                    found["tokens"] = tell.count(found)
                    tokens[split][row["source"]] += found["tokens"]
                    yield found

        written_rows = {split: write_lines(folder / f"{split}.jsonl", kept(split)) for split in tokens}
    return {
        "pairs": written_rows,
        "sources": counts.told(),
        "proof": dict(proofs),
        "written the nth way": {str(way): number for way, number in sorted(ways.items()) if way >= 0},
        "tokens": {split: {"all": by.total(), **dict(by.most_common())} for split, by in tokens.items()}
        if count_tokens
        else None,
    }
