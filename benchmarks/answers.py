"""``python -m benchmarks.answers``: what a question costs that the model need not be asked.

Milliseconds from sending it to its last row, through the gateway's port, in simple mode: ``typed`` is the same SQL
typed; ``cached`` a question asked before; ``verified`` a verified one with a parameter. The model is a double that
answers at once: only the first of the ``cached`` ones asks it.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import psycopg

from benchmarks import columns
from benchmarks.columns import BenchmarkError, Column

SQL = (
    "SELECT b.bid, count(*) AS accounts, sum(a.abalance) AS total FROM pgbench_branches b "
    "JOIN pgbench_accounts a ON a.bid = b.bid WHERE a.aid BETWEEN 1 AND 100 GROUP BY b.bid"
)
SEMANTICS = f"""\
version: 1
databases:
  {columns.DATABASE}:
    questions:
      - question: balance of the first {{n}} accounts by branch
        sql: {SQL.replace("100", ":n")}
        parameters: {{n: integer}}
        verified_by: bench
        verified_on: 2026-01-01
"""


@contextmanager
def model() -> Iterator[str]:
    """The URL of an OpenAI-compatible endpoint that answers ``SQL`` to everything."""
    answer = json.dumps({"model": "double", "choices": [{"text": SQL, "finish_reason": "stop"}]}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer((columns.HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://{columns.HOST}:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def times_ms(column: Column, rounds: int) -> dict[str, dict[str, float]]:
    """p50 and p99 of each way to the same rows."""
    notices: list[str] = []
    with psycopg.connect(column.conninfo(), autocommit=True, prepare_threshold=None) as connection:
        connection.add_notice_handler(lambda notice: notices.append(notice.message_detail or ""))
        texts: dict[str, Callable[[int], str]] = {
            "typed": lambda number: SQL.replace("100", str(100 + number)),
            "cached": lambda _: "-- ask: balances by branch",
            "verified": lambda number: f"-- ask: balance of the first {100 + number} accounts by branch",
        }
        found: dict[str, dict[str, float]] = {}
        for name, text in texts.items():
            connection.execute(text(rounds))
            notices.clear()
            times = []
            for number in range(rounds):
                start = time.perf_counter_ns()
                connection.execute(text(number)).fetchall()
                times.append((time.perf_counter_ns() - start) / 1e6)
            if name != "typed" and not all(name in notice for notice in notices):
                raise BenchmarkError(f"{name}: the model was asked: {notices[0]}")
            found[name] = {
                "p50": round(statistics.median(times), 2),
                "p99": round(sorted(times)[-1 - rounds // 100], 2),
            }
    return found


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", type=click.IntRange(2), default=1000, show_default=True, help="Questions of each kind.")
def main(rounds: int) -> None:
    """Print the times as JSON."""
    with tempfile.TemporaryDirectory() as name, model() as url:
        folder = Path(name)
        file = folder / "semantics.yaml"
        file.write_text(SEMANTICS)
        ask = {"backend": "openai", "url": url, "model": "double", "semantics": str(file)}
        with columns.postgres(folder, 1, 20) as server, columns.gateway(folder, server, 10, ask=ask) as column:
            click.echo(json.dumps(times_ms(column, rounds)))


if __name__ == "__main__":
    main()
