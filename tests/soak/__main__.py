"""``python -m tests.soak --clients 500 --minutes 20``: the report as JSON on standard output."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.soak.run import run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Many clients for a long time.")
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--workers", type=int, default=1, help="of the gateway")
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between a client's statements, on average")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(
            Path(folder),
            clients=arguments.clients,
            minutes=arguments.minutes,
            workers=arguments.workers,
            pause=arguments.pause,
            tell=lambda line: print(line, file=sys.stderr, flush=True),
        )
    print(report.text())


if __name__ == "__main__":
    main()
