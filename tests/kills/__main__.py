"""``python -m tests.kills --kills 200``: the report as JSON on standard output; 1 when the books differ."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.kills.run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description="Kill the gateway and what it needs.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--workers", type=int, default=1, help="of the gateway")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        report = run(
            Path(folder),
            arguments.kills,
            arguments.seed,
            workers=arguments.workers,
            tell=lambda line: print(line, file=sys.stderr, flush=True),
        )
    print(report.text())
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main())
