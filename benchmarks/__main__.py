"""``python -m benchmarks``: the order of a run. See docs/benchmarks.md for what the figures mean."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks import chart, columns, connections, decisions, filters, memory, neighbours, pgbench, report, streams
from benchmarks.columns import BenchmarkError, Column
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.policy import load

RESULTS = Path(__file__).with_name("results") / "latest.json"
MAX_CLIENTS = 200
"Of each column."


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured; the defaults are what ``latest.json`` promises."""

    rounds: int = 3
    seconds: int = 3
    "Of each pgbench."
    names: tuple[str, ...] = columns.NAMES
    modes: tuple[pgbench.Mode, ...] = pgbench.MODES
    clients: tuple[int, ...] = pgbench.CLIENTS
    scale: int = 10
    "A million accounts: the million rows of the streams."
    idle_clients: int = 100
    tpch_scale: float = 0.1
    "Of the tables that row filters are measured with: 0.1 has 600,000 line items."
    tpch_rounds: int = 5


DEFAULT = Plan()


class Progress:
    """One line on standard error for each step, with the time since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, message: str) -> None:
        click.echo(f"{time.monotonic() - self._start:6.0f} s  {message}", err=True)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--seconds", type=click.IntRange(1), default=DEFAULT.seconds, show_default=True, help="Of each pgbench run."
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=DEFAULT.rounds,
    show_default=True,
    help="The median over them is reported.",
)
@click.option("--quick", is_flag=True, help="One round of one second: about a minute, and numbers that jump.")
@click.option(
    "--columns",
    "wanted",
    default=",".join(columns.NAMES),
    show_default=True,
    callback=lambda _context, _option, value: _checked_names(value),
    help="Which to compare; direct is always there.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), default=RESULTS, help="The JSON file.")
def main(seconds: int, rounds: int, wanted: tuple[str, ...], output: Path, *, quick: bool) -> None:
    """Compare the gateway with PgBouncer and with PostgreSQL alone; print ratios and write them as JSON."""
    # SIGTERM like Ctrl-C: the context managers stop what they started.
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell in the background leaves it ignored
        signal.signal(number, signal.default_int_handler)
    plan = Plan(1, 1, wanted, tpch_rounds=1) if quick else Plan(rounds, seconds, wanted)
    progress = Progress()
    try:
        found = run(plan, progress)
    except BenchmarkError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        sys.exit(130)
    report.write(output, found)
    output.with_suffix(".svg").write_text(chart.svg(found))
    progress(f"written to {output} and {output.with_suffix('.svg').name}")
    click.echo(report.table(found))


def run(plan: Plan, progress: Progress) -> dict[str, Any]:
    """Start everything, measure, stop everything; the JSON object."""
    results = report.Results()
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="nlsql-bench-")))
        progress(f"PostgreSQL with pgbench's tables at scale {plan.scale}")
        server = running.enter_context(columns.postgres(folder, plan.scale, 3 * MAX_CLIENTS + 20))
        compared = _columns(running, folder, server, plan, progress)
        for column in compared:
            if column.name == "gateway":  # while it is fresh: later its heap has room from what is over
                results.idle_kb = memory.idle_kb(column, plan.idle_clients)
                policy = load(columns.POLICY.read_text(), str(columns.POLICY))
                results.decide_us = decisions.decide_us(decisions.catalog(server.port), policy)
                results.row_filters = _measure_filters(server, folder, plan, progress)
                results.decide_us |= decisions.tpc_us(server)
                results.neighbours_us = neighbours.times_us(column, plan.seconds)
                progress(f"beside large statements: p99 {results.neighbours_us['meanwhile_p99']:,} us")
        for number in range(plan.rounds):
            rates = connections.per_second(folder / str(number), server, plan.names, plan.seconds, _threads())
            for name, rate in rates.items():
                results.connections.setdefault(name, []).append(rate)
            progress(f"connections a second: {_listed(rates, '{:,.0f}')}")
            order = [*compared[number % len(compared) :], *compared[: number % len(compared)]]
            progress(f"round {number + 1} of {plan.rounds}")
            _measure_transactions(order, plan, results, progress)
            _measure_streams(order, plan, results, progress)
        host = report.describe_host(*_versions(server, [column.name for column in compared]))
    return results.as_json(host, report.today())


def _measure_filters(server: EmbeddedPostgres, folder: Path, plan: Plan, progress: Progress) -> dict[str, Any]:
    progress(f"TPC-H at scale {plan.tpch_scale:g}")
    filters.load(server, folder / "tpch", plan.tpch_scale)
    queries = filters.measure(server, plan.tpch_rounds)
    progress(f"row filters: {filters.ratio(queries):.2f} of the time with row security")
    return filters.as_json(queries)


def _checked_names(value: str) -> tuple[str, ...]:
    names = tuple(value.split(","))
    if unknown := set(names) - set(columns.NAMES):
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: there are {', '.join(columns.NAMES)}")
    return names


def _columns(
    running: ExitStack, folder: Path, server: EmbeddedPostgres, plan: Plan, progress: Progress
) -> list[Column]:
    compared = [Column("direct", server.port, None)]
    if "pgbouncer" in plan.names:
        pooled = running.enter_context(columns.pgbouncer(folder, server, MAX_CLIENTS))
        _add(compared, pooled, "pgbouncer", progress)
    if "pgpool" in plan.names:
        _add(
            compared, running.enter_context(columns.pgpool(folder, server, max(plan.clients) + 2)), "pgpool2", progress
        )
    for name, workers in (("gateway", 1), ("workers", columns.WORKERS)):
        if name in plan.names:
            compared.append(running.enter_context(columns.gateway(folder, server, MAX_CLIENTS, workers=workers)))
    return compared


def _add(compared: list[Column], column: Column | None, package: str, progress: Progress) -> None:
    if column is None:
        progress(f"{package} is not installed (Debian: apt-get install {package}); its column is left out")
    else:
        compared.append(column)


def _measure_transactions(order: Sequence[Column], plan: Plan, results: report.Results, progress: Progress) -> None:
    threads = _threads()
    for mode in plan.modes:
        for clients in plan.clients:
            rates: dict[str, float] = {}
            for column in order:
                rates[column.name] = pgbench.throughput(column, mode, clients, plan.seconds, threads)
                samples = results.pgbench.setdefault(mode, {}).setdefault(str(clients), {})
                samples.setdefault(column.name, []).append(rates[column.name])
            progress(f"pgbench -S -M {mode} -c {clients}: {_listed(rates, '{:,.0f}')} tps")
    for column in order:
        results.latency.setdefault(column.name, []).extend(pgbench.latencies_us(column, "simple", plan.seconds))


def _threads() -> int:
    """Of pgbench: the other processors are for the server and what stands in the middle."""
    return max(1, report.cores() // 2)


def _measure_streams(order: Sequence[Column], plan: Plan, results: report.Results, progress: Progress) -> None:
    rows = plan.scale * streams.ROWS_PER_SCALE
    for kind in ("text", "binary"):
        taken: dict[str, float] = {}
        for column in order:
            taken[column.name] = streams.text_s(column) if kind == "text" else streams.binary_s(column, rows)
            results.stream_rows.setdefault(kind, {}).setdefault(column.name, []).append(taken[column.name])
        progress(f"{rows:,} rows in {kind}: {_listed(taken, '{:.2f}')} s")
    taken = {}
    for column in order:
        before = memory.reset_peak(column.pid) if column.pid is not None else 0
        taken[column.name] = streams.wide_s(column)
        results.stream_gb.setdefault(column.name, []).append(taken[column.name])
        if column.pid is not None:
            peak = memory.peak_kb(column.pid)
            results.peak_kb[column.name] = max(peak, results.peak_kb.get(column.name, 0))
            results.growth_kb[column.name] = max(peak - before, results.growth_kb.get(column.name, 0))
    progress(f"1 GB: {_listed(taken, '{:.1f}')} s; memory grew by {_listed(results.growth_kb, '{:,.0f}')} kB")


def _versions(server: EmbeddedPostgres, names: Sequence[str]) -> Iterator[str]:
    yield f"PostgreSQL {server.execute('SHOW server_version')}"
    yield from (columns.version(name) for name in ("pgbouncer", "pgpool") if name in names)


def _listed(values: dict[str, float] | dict[str, int], style: str) -> str:
    return ", ".join(f"{name} {style.format(value)}" for name, value in sorted(values.items()))


if __name__ == "__main__":
    main()
