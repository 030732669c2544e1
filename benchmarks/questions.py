"""``python -m benchmarks.questions``: questions to the model, one after the other and side by side.

A closed loop, as perf_analyzer's: so many clients, each asks its next question when the last one is answered. All ask
the same questions over one schema that was read before, each time with another number in front so that nothing else is
cached. Rounds go up and down the numbers of clients in turn, since other programs on the machine slow some of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import click
import numpy as np
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

from benchmarks import report
from nlsql_gateway import log
from nlsql_gateway.ask.templates import WRITERS
from nlsql_gateway.ask.triton import address
from nlsql_gateway.embedded import llama, model
from nlsql_gateway.embedded.serving import EMBEDDED_MODEL, REPOSITORY
from nlsql_gateway.embedded.triton import EmbeddedTriton

RESULTS = Path(__file__).with_name("results") / "questions.json"
CLIENTS = (1, 2, 4, 8)
MAX_TOKENS = 48
COLUMNS = "id integer PRIMARY KEY, name text, branch_id integer, began date, amount numeric"
TABLES = "\n".join(
    f"CREATE TABLE {name} ({COLUMNS});"
    for name in ("branches", "suppliers", "deliveries", "parts", "machines", "repairs", "fitters", "tools", "invoices")
)
QUESTIONS = (
    "How many machines does each branch have?",
    "The five suppliers with the highest amount of deliveries",
    "Which fitters began this year?",
    "The average amount of repairs by branch",
    "Which parts were never delivered?",
    "The total of the invoices by month",
    "Branches with more than ten tools, and how many",
    "The machine with the most repairs in each branch",
)
TIMES = 3
"How often each question is asked in a round: the end of a round, when fewer are at work, counts for less."
_serial = count(1)


@dataclass(slots=True)
class Load:
    """What one number of clients got, all rounds together."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    first_tokens: list[float] = field(default_factory=list)
    tokens: int = 0

    def as_json(self) -> dict[str, float]:
        return {
            "questions_per_s": round(len(self.latencies) / self.seconds, 3),
            "tokens_per_s": round(self.tokens / self.seconds, 1),
            "p50_s": round(statistics.median(self.latencies), 2),
            "p95_s": round(statistics.quantiles(self.latencies, n=20, method="inclusive")[-1], 2),
            "first_token_p50_s": round(statistics.median(self.first_tokens), 2),
        }


async def measure(url: str, name: str, clients: Sequence[int], rounds: int) -> dict[int, Load]:
    """Ask all ``QUESTIONS`` three times for each number of clients and round: that eight are at work most of the time.

    Raises what the server answers instead.
    """
    loads = {number: Load() for number in clients}
    where, tls = address(url)
    client = InferenceServerClient(where, ssl=tls)
    try:
        await _ask(client, name, QUESTIONS[0], Load())  # the schema is read
        for number in range(rounds):
            for waiting in (clients, clients[::-1])[number % 2]:
                load, started = loads[waiting], time.monotonic()
                left = list(QUESTIONS * TIMES)
                async with asyncio.TaskGroup() as group:
                    for _ in range(waiting):
                        group.create_task(_client(client, name, left, load))
                load.seconds += time.monotonic() - started
    finally:
        await client.close()
    return loads


async def _client(client: InferenceServerClient, name: str, left: list[str], load: Load) -> None:
    while left:
        await _ask(client, name, left.pop(), load)


async def _ask(client: InferenceServerClient, name: str, question: str, load: Load) -> None:
    prompt = WRITERS["chatml"](TABLES, f"{next(_serial)}. {question}", None, None)
    sampling = {"max_tokens": MAX_TOKENS, "temperature": 0.0, "stop": list(prompt.stop)}
    inputs = [
        _input("text_input", "BYTES", prompt.text.encode()),
        _input("sampling_parameters", "BYTES", json.dumps(sampling).encode()),
        _input("stream", "BOOL", True),
        _input("return_num_output_tokens", "BOOL", True),
    ]

    async def requests() -> Any:
        yield {"model_name": name, "inputs": inputs}

    started, first, tokens = time.monotonic(), 0.0, 0
    async for result, error in client.stream_infer(requests(), stream_timeout=600):
        if error is not None:
            raise error
        first = first or time.monotonic() - started
        counted = result.as_numpy("num_output_tokens")
        tokens = tokens if counted is None else max(tokens, int(counted[0]))
        if result.get_response().parameters["triton_final_response"].bool_param:
            break
    load.latencies.append(time.monotonic() - started)
    load.first_tokens.append(first)
    load.tokens += tokens


def _input(name: str, kind: str, value: object) -> InferInput:
    tensor = InferInput(name, [1], kind)
    tensor.set_data_from_numpy(np.array([value], dtype=np.object_ if kind == "BYTES" else bool))
    return tensor


@contextmanager
def _embedded(processors: int, program: Path | None) -> Iterator[str]:
    """The embedded model on the first ``processors`` processors that we may use."""
    usable = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, usable[:processors])
    file = model.pull()
    with (
        tempfile.TemporaryDirectory(prefix="nlsql-bench-") as cache,
        EmbeddedTriton(
            REPOSITORY,
            [EMBEDDED_MODEL],
            model_file=file,
            model_version=model.EMBEDDED.version,
            llama_server=program,
            cache=Path(cache),
        ) as triton,
    ):
        yield triton.grpc_url


def table(loads: dict[int, dict[str, float]]) -> str:
    head = ("clients", "questions/s", "against one", "tokens/s", "p50 s", "p95 s", "first token s")
    one = loads[min(loads)]["questions_per_s"]
    rows = [
        (n, x["questions_per_s"], f"{x['questions_per_s'] / one:.2f}", x["tokens_per_s"], x["p50_s"], x["p95_s"],
         x["first_token_p50_s"])
        for n, x in loads.items()
    ]  # fmt: skip
    return "\n".join("  ".join(f"{cell!s:>13}" for cell in row) for row in (head, *rows))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", help="A Triton that runs already, grpc://host:port; default: the embedded one is started.")
@click.option("--model", "name", default=EMBEDDED_MODEL, show_default=True)
@click.option("--processors", type=click.IntRange(1), default=2, show_default=True, help="Of the embedded one.")
@click.option("--compiled/--wheel", default=None, help="llama.cpp as `model build` compiled it, or xllamacpp's wheel.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), default=RESULTS, help="The JSON file.")
def main(url: str | None, name: str, processors: int, compiled: bool | None, rounds: int, output: Path) -> None:
    """Questions a second, latencies, first tokens and tokens a second at 1, 2, 4 and 8 clients."""
    log.configure("warning", "console")
    program = llama.find() if compiled in (None, True) else None
    if compiled and program is None:
        raise click.UsageError("llama.cpp is not compiled here; run `nlsql-gateway model build`")
    if url is not None:
        found = asyncio.run(measure(url, name, CLIENTS, rounds))
    else:
        with _embedded(processors, program) as started:
            found = asyncio.run(measure(started, name, CLIENTS, rounds))
    loads = {number: load.as_json() for number, load in found.items()}
    results = {
        "date": report.today().isoformat(timespec="seconds"),
        "model": name,
        "processors": processors if url is None else None,
        "llama_cpp": None if url is not None else "compiled" if program is not None else "wheel",
        "load_average": os.getloadavg()[0],
        "clients": {str(number): load for number, load in loads.items()},
    }
    output.write_text(json.dumps(results, indent=2) + "\n")
    click.echo(table(loads))


if __name__ == "__main__":
    sys.exit(main())
