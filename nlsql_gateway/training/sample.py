"""``sample FOLDER``: what the model itself writes, where its rows are the gold's: rejection sampling by execution.

Of each question of train.jsonl that has an answer, on a database that has rows of its own (``proof`` is ``real``), the
model is asked several times with different chance. An answer is kept when its rows are the gold's by the strict
comparison of the evaluation, order included where the question asks for one. Dropped are the gold itself, answers
that differ from another one in nothing but spaces, case and quotes, and all answers to a question whose gold gives
nothing, since any query that finds nothing would be right.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import click
from sqlglot import exp

from nlsql_gateway.ask.extract import extract
from nlsql_gateway.ask.generator import Completion, Generator, Sampling
from nlsql_gateway.ask.openai import OpenAIGenerator
from nlsql_gateway.ask.templates import chatml
from nlsql_gateway.ask.triton import TritonGenerator
from nlsql_gateway.errors import AskTimeout, LimitError, NoValidSql, StatementError, Unanswerable, UpstreamError
from nlsql_gateway.evaluation.golds import asks_for_order
from nlsql_gateway.evaluation.ordering import order_of
from nlsql_gateway.evaluation.score import Gold, meets
from nlsql_gateway.evaluation.tables import Table
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.difficulty import difficulty
from nlsql_gateway.sql.habits import settle
from nlsql_gateway.sql.names import parse
from nlsql_gateway.training.check_running import Failure, Golds, running
from nlsql_gateway.training.prepare_layout import Counts, lines, report, write_lines
from nlsql_gateway.training.prepare_resume import Kept, shown
from nlsql_gateway.training.restyle import everything

SAMPLED: Final = "sampled.jsonl"
_STOP: Final = ("```", "<|im_end|>")


@dataclass(frozen=True, slots=True)
class Chance:
    samples: int
    keep: int
    temperature: float
    seed: int
    timeout: float
    at_once: int


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--url", required=True, help="grpc://HOST:PORT of a Triton, or http://HOST:PORT/v1 of an OpenAI server.")
@click.option("--model", default="qwen2_5_coder_1_5b", show_default=True)
@click.option("--api-key", envvar="NLSQL_API_KEY", help="Of the OpenAI server; from NLSQL_API_KEY.")
@click.option("--samples", default=8, show_default=True, help="Of each question.")
@click.option("--keep", default=2, show_default=True, help="At most so many of each question, the most probable.")
@click.option("--temperature", default=0.8, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--timeout", default=120.0, show_default=True, help="Seconds for one answer.")
@click.option("--at-once", default=8, show_default=True, help="Answers asked for at the same time.")
@click.option("--limit", default=0, help="Ask only so many questions.")
def command(
    folder: Path,
    url: str,
    model: str,
    api_key: str | None,
    samples: int,
    keep: int,
    temperature: float,
    seed: int,
    timeout: float,
    at_once: int,
    limit: int,
) -> None:
    """Ask the model the questions of FOLDER, and write what it got right to sampled.jsonl."""
    chance = Chance(samples, keep, temperature, seed, timeout, at_once)
    rows = list(_asked(folder, limit))
    with Kept(folder / "sampling.jsonl", [folder / "train.jsonl"], f"{url} {model} {chance}") as kept:
        generator = (
            TritonGenerator(url, model) if url.startswith("grpc") else OpenAIGenerator(url, model, api_key=api_key)
        )
        asyncio.run(_sample_all(folder, rows, generator, chance, kept))
        counts = Counts()
        written = write_lines(folder / SAMPLED, _kept(rows, kept, counts))
        kept.finish()
    report(folder, "sample", {"pairs": written, "sources": counts.told()})


def _asked(folder: Path, limit: int) -> Iterator[dict[str, Any]]:
    count = 0
    for row in lines(folder / "train.jsonl"):
        if row["answerable"] and row["proof"] == "real" and not (limit and count >= limit):
            count += 1
            yield row


def _kept(rows: list[dict[str, Any]], kept: Kept, counts: Counts) -> Iterator[dict[str, Any]]:
    for row in rows:
        counts.take(row["source"])
        result = kept.done[row["id"]]
        if not result["right"]:
            counts.drop(row["source"], result["dropped"])
            continue
        counts.keep(row["source"])
        for number, sql in enumerate(result["right"], start=1):
            yield {
                **row,
                "id": f"{row['id']}-sample-{number}",
                "source": f"{row['source']}, sampled",
                "difficulty": difficulty(sql),
                "completion": sql,
            }


async def _sample_all(
    folder: Path, rows: list[dict[str, Any]], generator: Generator, chance: Chance, kept: Kept
) -> None:
    _, databases = everything(folder)
    by_database: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["id"] not in kept.done:
            by_database[row["database"]].append(row)
    try:
        await generator.ready()
        with TemporaryDirectory(prefix="nlsql-training-") as place:
            async with running(Path(place)) as golds:
                for one in shown(list(by_database), len(by_database), "sample"):
                    await golds.load(databases[one], [], 1)
                    for row in by_database[one]:
                        found = await sample(row, databases[one].catalog, golds, generator, chance)
                        kept.add({"key": row["id"], **found})
    finally:
        await generator.aclose()


async def sample(
    row: dict[str, Any], catalog: Catalog, golds: Golds, generator: Generator, chance: Chance
) -> dict[str, Any]:
    """``right``: the answers that are kept; ``dropped``: why there are none. Raises ModelUnavailable."""
    gold = await _gold(row, catalog, golds)
    if isinstance(gold, str):
        return {"right": [], "dropped": gold}
    answers = await _answers(chatml(row["messages"]), generator, chance)
    right: list[str] = []
    seen = {_outline(row["completion"])}
    why = "no answer could be read"
    for answer in sorted(answers, key=_probability, reverse=True):
        try:
            sql = extract(answer.text)
            outline, runs = _outline(sql), settle(sql, catalog)
        except (NoValidSql, Unanswerable, StatementError, LimitError):
            continue
        table = await golds.run(runs)
        if isinstance(table, Failure) or meets(table, [gold]) is None:
            why = "no answer was right" if not right and why != "nothing but the gold" else why
        elif outline in seen:
            why = "nothing but the gold"
        elif len(right) < chance.keep:
            seen.add(outline)
            right.append(sql)
    return {"right": right, "dropped": "" if right else why}


async def _gold(row: dict[str, Any], catalog: Catalog, golds: Golds) -> Gold | str:
    """With its rows and their order, or why there is none."""

    async def run(sql: str) -> Table:
        found = await golds.run(sql)
        if isinstance(found, Failure):
            raise UpstreamError(found.why)
        return found

    sql = settle(row["completion"], catalog)
    try:
        table = await run(sql)
    except UpstreamError as error:
        return f"the gold: {error.message}"
    if not table.rows:
        return "the gold gives nothing"
    return Gold(sql, table, await order_of(run, sql, table) if asks_for_order(row["question"]) else None)


async def _answers(prompt: str, generator: Generator, chance: Chance) -> list[Completion]:
    """One for each sample, less those that were late. Raises ModelUnavailable."""
    gate = asyncio.Semaphore(chance.at_once)
    found: list[Completion] = []

    async def one(number: int) -> None:
        sampling = Sampling(temperature=chance.temperature, seed=chance.seed + number, stop=_STOP)
        async with gate:
            try:
                found.append(await generator.generate(prompt, sampling, timeout=chance.timeout))
            except AskTimeout:
                return

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(chance.samples):
                group.create_task(one(number))
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from several
    return found


def _probability(answer: Completion) -> tuple[float, str]:
    """To sort by; the text makes the order the same each time."""
    return (answer.logprob if answer.logprob is not None else 0.0, answer.text)


def _outline(sql: str) -> str:
    """The same for two queries that differ in spaces, case of names, or needless quotes. Raises StatementError."""
    tree = parse(sql)
    for name in tree.find_all(exp.Identifier):
        name.set("quoted", name.name != name.name.lower() and name.args.get("quoted"))
    return str(tree.sql(dialect="postgres", normalize=True, comments=False))
