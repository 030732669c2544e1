"""``check FOLDER``: each gold run, and what holds written as the gateway asks it."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

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
from nlsql_gateway.training.restyle import WAYS, everything, written

FIELDS = ("id", "source", "database", "split", "question", "notes", "licence", "empty", "category", "today")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="GGUF that counts tokens.")
@click.option("--count-tokens/--no-count-tokens", default=True, help="Count them by the embedded model's tokenizer.")
@click.option("--tokens", type=click.IntRange(min=1), help="Leave so many in train.jsonl; small sources stay whole.")
@click.option("--proven", is_flag=True, help="Keep only golds that gave rows, on made-up contents too.")
def command(folder: Path, model: Path | None, count_tokens: bool, tokens: int | None, proven: bool) -> None:
    """Run the golds in FOLDER and write train.jsonl and validation.jsonl."""
    if tokens is not None and not count_tokens:
        raise click.UsageError("--tokens counts them")
    _, databases = everything(folder)
    by_database: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in lines(folder / RESTYLED):
        by_database[row["database"]].append(row)
    with Kept(folder / "checked.jsonl", [folder / RESTYLED], f"{proven}") as kept:
        asyncio.run(_check_all(by_database, databases, kept, proven))
        told = _write(folder, by_database, databases, kept.done, model if count_tokens else None, count_tokens)
        kept.finish()
    if tokens is not None:
        left = within(folder / "train.jsonl", tokens)
        told["tokens left in train.jsonl"] = {"all": left.total(), **dict(left.most_common())}
    report(folder, "check", told)


async def _check_all(
    by_database: dict[str, list[dict[str, Any]]], databases: dict[str, Database], kept: Kept, proven: bool
) -> None:
    left = {
        one: [row for row in rows if row["sql"] is not None and row["id"] not in kept.done]
        for one, rows in by_database.items()
    }
    todo = [one for one, rows in left.items() if rows]
    with TemporaryDirectory(prefix="nlsql-training-") as place:
        async with running(Path(place)) as golds:
            for one in shown(todo, len(todo), "check"):
                try:
                    await golds.load(databases[one], [row["original"] for row in by_database[one] if row["sql"]], 1)
                except UpstreamError as error:
                    click.echo(f"{one}: {error.message}", err=True)
                    for row in left[one]:
                        kept.add({"key": row["id"], "dropped": "its contents do not load"})
                    continue
                real, catalog = bool(databases[one].contents or databases[one].rows), databases[one].catalog
                for row in left[one]:
                    kept.add({"key": row["id"], **await _checked(row, catalog, golds, real, proven)})


async def _checked(row: dict[str, Any], catalog: Catalog, golds: Golds, real: bool, proven: bool) -> dict[str, Any]:
    """The SQL that holds and which way it was written, or why there is none."""
    original = await golds.run(row["original"])
    if isinstance(original, Failure):
        return {"dropped": original.why}
    void = _is_void(original)
    if void and (real or proven):
        return {"dropped": "it gives nothing"}
    pair = Pair(**{key: row[key] for key in FIELDS}, sql=row["original"])
    accepted = [original]
    meant = settle(row["original"], catalog)
    if meant != row["original"] and isinstance(divided := await golds.run(meant), Table):
        accepted.append(divided)
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
