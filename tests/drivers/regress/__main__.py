"""``python -m tests.drivers.regress [FILE …]``: PostgreSQL's own tests, through the gateway and past it.

The regression queries of the installed server's version, and libpq's pipeline tests with their protocol traces. What
comes through the gateway must equal what comes without it; ``differences.yaml`` lists what cannot, with reasons.
"""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import yaml

from tests.drivers.regress import running, source
from tests.drivers.regress.running import Pair, Side

DIFFERENCES: dict[str, str] = yaml.safe_load((Path(__file__).parent / "differences.yaml").read_text())

# How much of a flood is sent before its first error comes back depends on the sockets' buffers, with or without us.
UNTRACED = frozenset({"pipelined_insert", "uniqviol"})


def main(chosen: list[str]) -> int:
    lacking = source.missing()
    if lacking:
        print(f"regress: {lacking}")
        return 1 if os.environ.get("CI") else 0  # noqa: TID251 - tests ask the environment themselves
    tree = source.tree()
    folder = Path(tempfile.mkdtemp(prefix="nlsql-regress-"))
    folder.chmod(0o755)  # the server's user reads and writes here
    started = time.monotonic()
    try:
        with running.pair(folder, tree) as pair:
            names = chosen or running.schedule(tree)
            wrong = [name for name in names if not _as_listed(pair, name)]
            if not chosen:
                wrong += [name for name in _pipelines(tree) if not _pipeline(pair, tree, name)]
            # Without this the comparison could be of a server with itself.
            connections = {record["connection"] for record in pair.gateway.records() if "text" in record}
            assert len(connections) >= len(names), f"{len(connections)} connections came for {len(names)} files"
            statements = sum("text" in record for record in pair.gateway.records())
    finally:
        shutil.rmtree(folder)
    print(
        f"regress: {len(names)} files, {statements} statements recorded, {len(DIFFERENCES)} known differences, "
        f"{len(wrong)} not as listed {' '.join(wrong)} ({time.monotonic() - started:.0f} s)"
    )
    return 1 if wrong else 0


def _as_listed(pair: Pair, name: str) -> bool:
    equal = pair.run(name)
    if equal is not (name in DIFFERENCES):
        return True
    print(f"{name}: {'is equal now: take it off differences.yaml' if equal else 'differs'}")
    if not equal:
        _show(*(side.output(name).decode(errors="replace") for side in (pair.direct, pair.through)))
    return False


def _show(direct: str, through: str) -> None:
    lines = difflib.unified_diff(direct.splitlines(), through.splitlines(), "direct", "through", lineterm="", n=2)
    print("\n".join(islice(lines, 60)))


def _pipelines(tree: Path) -> list[str]:
    return subprocess.run([_program(tree), "tests"], capture_output=True, text=True, check=True).stdout.split()


def _program(tree: Path) -> Path:
    return tree / "src/test/modules/libpq_pipeline/libpq_pipeline"


def _pipeline(pair: Pair, tree: Path, name: str) -> bool:
    """One of libpq's pipeline tests, with a trace of every message where it doesn't depend on chance."""
    direct, through = (_traced(side, tree, name) for side in (pair.direct, pair.through))
    if direct == through and direct[0] == 0:
        return True
    print(f"libpq_pipeline {name}: differs, exit statuses {direct[0]} and {through[0]}")
    _show(direct[1], through[1])
    return False


def _traced(side: Side, tree: Path, name: str) -> tuple[int, str]:
    trace = side.results / f"{name}.trace"
    options = [] if name in UNTRACED else ["-t", str(trace)]
    target = f"host={side.address.host} port={side.address.port} user=postgres dbname={running.DATABASE}"
    done = subprocess.run(
        [_program(tree), *options, name, target], capture_output=True, text=True, timeout=120, env=side.environment()
    )
    return done.returncode, "" if name in UNTRACED else done.stdout + done.stderr + trace.read_text()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
