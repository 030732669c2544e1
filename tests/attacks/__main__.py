"""``python -m tests.attacks SECONDS [SEED]``: the canary fuzzer for as long as you like."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

from tests.attacks import house
from tests.attacks.fuzzing import fuzzing


def main(seconds: str = "600", seed: str = "") -> None:
    first = int(seed) if seed else random.SystemRandom().randrange(2**40)
    print(f"seeds from {first}", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="nlsql-attacks-") as folder,
        house.running(Path(folder)) as running,
        fuzzing(running) as fuzzer,
    ):
        until = time.monotonic() + float(seconds)
        number = 0
        while time.monotonic() < until:
            fuzzer.batch(first + number)
            number += 1
            if number % 400 == 0:
                print(number, dict(fuzzer.counts), flush=True)
        print(number, dict(fuzzer.counts))


if __name__ == "__main__":
    main(*sys.argv[1:])
