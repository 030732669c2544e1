"""``python -m tests.bi [TOOL …]``: BI tools and SQL front ends, through the gateway and without it.

Each gets a virtual environment of its own, made where there is none yet. What comes out is kept, see ``report``.
"""

from __future__ import annotations

import sys
import time

from tests.bi import known, report
from tests.bi.running import Step, run
from tests.bi.tools import TOOLS
from tests.bi.world import world


def main(names: list[str]) -> int:
    entries = known.read()
    results = report.read()
    chosen = [tool for tool in TOOLS if tool.name in names or not names]
    if unknown := set(names) - {tool.name for tool in TOOLS}:
        print(f"no such tool: {', '.join(sorted(unknown))}")
        return 2
    seen: list[tuple[str, Step]] = []
    faults, ran = 0, []
    with world(asking=any(tool.asks for tool in chosen)) as both:
        for tool in chosen:
            if missing := tool.needs():
                print(f"{tool.name}: not run, needs {missing}")
                continue
            started = time.monotonic()
            done = run(tool, both)
            kept = results[tool.name] = report.result(tool, done, entries, time.monotonic() - started)
            report.write(results, [tool.name for tool in TOOLS])
            ran.append(tool.name)
            seen += [(tool.name, step) for step in done.steps]
            print(f"{tool.name} {kept['version']}: {kept['steps']} steps, {kept['same']} the same, {kept['seconds']} s")
            for step in done.steps:
                if step.outcome != "same" and known.why(tool.name, step, entries) is None:
                    faults += 1
                    print(f"  {step.person}, {step.name}: {step.outcome}\n{step.told()}")
    old = known.stale(ran, seen, entries)
    for entry in old:
        print(f"known.yaml: nothing is like this any more: {entry.tools} {entry.steps} {entry.outcome}")
    return 1 if faults or old else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
