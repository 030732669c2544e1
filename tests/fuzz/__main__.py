"""``python -m tests.fuzz [TARGET …] [--seconds N]``: fuzz each target, then keep what covers something new.

Ends with 1 when a property did not hold; the input is then printed as a line for the target's corpus.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz import targets

MAX_LENGTH = 2048
"""Bytes of an input."""

SLOW = 20
"""Seconds after which one input counts as a hang."""

KEPT = 60_000
"""Bytes of a target's corpus: the shortest inputs, as many as fit."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", nargs="*", help=", ".join(targets.TARGETS))
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    chosen = parser.parse_args()
    unknown = set(chosen.target) - set(targets.TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    bad = [name for name in chosen.target or targets.TARGETS if not fuzz(name, chosen.seconds)]
    if bad:
        print(f"a property does not hold: {', '.join(bad)}")
    return 1 if bad else 0


def fuzz(name: str, seconds: int) -> bool:
    """Whether every property held."""
    print(f"{name}: {seconds} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        found, merged, faults = (Path(folder) / part for part in ("found", "merged", "faults"))
        for part in (found, merged, faults):
            part.mkdir()
        for data in targets.read(name):
            (found / hashlib.sha1(data).hexdigest()).write_bytes(data)
        command = Path(folder) / "run"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.fuzz.child {name} "$0" "$@"\n')
        command.chmod(0o700)
        run = _run(
            command,
            f"-max_total_time={seconds}",
            f"-max_len={MAX_LENGTH}",
            f"-timeout={SLOW}",
            f"-artifact_prefix={faults}/",
            "-print_final_stats=1",
            str(found),
        )
        for fault in sorted(faults.iterdir()):
            print(f"{fault.name}: {base64.b64encode(fault.read_bytes()).decode()}")
        if _run(command, "-merge=1", f"-artifact_prefix={faults}/", str(merged), str(found)):
            raise RuntimeError(f"{name}: libFuzzer could not merge")
        targets.write(name, _shortest([path.read_bytes() for path in merged.iterdir()]))
    return run == 0


def _run(command: Path, *options: str) -> int:
    return subprocess.run([command, *options]).returncode


def _shortest(inputs: list[bytes]) -> list[bytes]:
    kept: list[bytes] = []
    size = 0
    for data in sorted(inputs, key=len):
        size += (len(data) + 2) // 3 * 4 + 1
        if size > KEPT:
            break
        kept.append(data)
    return kept


if __name__ == "__main__":
    sys.exit(main())
