"""``python -m tests.proof --queries 20000 --seed N``: many worlds, many queries, with progress."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.proof.comparing import Ground, Report, differ


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--each", type=int, default=400, help="queries in one world")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    report, began = Report(), time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="nlsql-proof-") as folder,
        EmbeddedPostgres(Path(folder), durable=False, settings={"autovacuum": "off"}) as postgres,
    ):
        ground = Ground(postgres)
        world = options.seed
        while report.queries < options.queries:
            seen = len(report.faults)
            differ(ground, world, min(options.each, options.queries - report.queries), report)
            for fault in report.faults[seen : seen + 3]:
                print(fault, flush=True)
            print(
                f"{time.monotonic() - began:.0f} s, {report.queries} queries, {len(report.faults)} faults", flush=True
            )
            world += 1
    print(report.lines())
    return bool(report.faults) or report.overblocked


if __name__ == "__main__":
    sys.exit(main())
