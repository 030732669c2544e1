"""``python -m tests.proof --queries 20000 --seed N``: many worlds, many queries, with progress."""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.proof import grouped
from tests.proof.comparing import SAME, Ground, Report, differ
from tests.proof.debian import Debian
from tests.proof.interference import interfere
from tests.proof.ways import POOLED, WAYS
from tests.server import debian_postgres
from tests.server.bouncer import PROGRAM


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--each", type=int, default=400, help="queries in one world")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    reports, began = {kind: Report() for kind in ("texts", "trees")}, time.monotonic()
    outcome = grouped.Outcome()
    with (
        tempfile.TemporaryDirectory(prefix="nlsql-proof-") as folder,
        EmbeddedPostgres(Path(folder), durable=False, settings={"autovacuum": "off"}) as postgres,
        contextlib.ExitStack() as stack,
    ):
        ground = Ground(postgres)
        if PROGRAM is None:
            print("without pgbouncer, which is not installed")
        place = stack.enter_context(ground.pooled()) if PROGRAM is not None else ground
        elsewhere = None
        if programs := [program for program in debian_postgres.INSTALLED if "/15/" in str(program)]:
            elsewhere = Ground(Debian(stack.enter_context(debian_postgres.running(programs[0], autovacuum="off"))))
        counts, differences = Counter[int](), list[str]()
        world, done = options.seed, 0
        while done < options.queries:
            kind = ("texts", "trees")[world % 2]
            report = reports[kind]
            seen, count = len(report.faults), min(options.each, options.queries - done)
            behind = place if world % 16 >= 12 else ground
            ways = () if world // 4 % 2 == 0 else POOLED if behind.bouncer else tuple(WAYS)
            workers = 2 if world % 16 in (5, 6) else 1
            trees = kind == "trees"
            differ(behind, world, count, report, trees=trees, enriched=world // 2 % 2 == 1, ways=ways, workers=workers)
            for fault in report.faults[seen : seen + 3]:
                print(fault, flush=True)
            if world % 4 == 3:
                grouped.compare(ground, world, options.each // 20, outcome)
            if world % 8 == 6:
                older = world % 16 == 6 and elsewhere is not None
                on = elsewhere if older and elsewhere is not None else ground
                mixed = world % 32 < 16
                ended, differing = interfere(on, world, options.each // 4, enriched=mixed, trees=mixed, older=older)
                counts[15 if older else 18] += ended.total()
                differences += differing
            done, world = done + count, world + 1
            print(f"{time.monotonic() - began:.0f} s, {done} queries, {len(report.faults)} faults", flush=True)
    for kind, report in reports.items():
        print(f"{kind}: {report.lines()}")
    print(
        f"columns for aggregates only: {dict(outcome.counts)}, {len(outcome.faults)} faults",
        *outcome.faults[:3],
        sep="\n",
    )
    print(f"two databases, by version: {dict(counts)}, {len(differences)} faults", *differences[:2], sep="\n")
    bad = bool(differences or outcome.faults) or any(report.faults or report.overblocked for report in reports.values())
    return bad or reports["trees"].same < SAME


if __name__ == "__main__":
    sys.exit(main())
