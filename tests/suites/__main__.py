"""``python -m tests.suites [--direct] [SUITE …] [-- PYTEST ARGUMENTS]``: other projects' tests, through the gateway.

``--direct``: without the gateway, to see which failures are not its own.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from pathlib import Path

from tests.suites import expected, running
from tests.suites.suite import Suite

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("*.yaml"))


def main(arguments: list[str]) -> int:
    more = arguments[arguments.index("--") + 1 :] if "--" in arguments else []
    arguments = arguments[: arguments.index("--")] if "--" in arguments else arguments
    direct = "--direct" in arguments
    chosen = [name for name in arguments if name != "--direct"] or NAMES
    wrong = [name for name in chosen if not _one(name, direct, more)]
    if wrong:
        print(f"suites: not as listed: {', '.join(wrong)}")
    return 1 if wrong else 0


def _one(name: str, direct: bool, more: list[str]) -> bool:
    suite: Suite = import_module(f"tests.suites.{name}").SUITE
    known = expected.read(HERE / f"{name}.yaml")
    started = time.monotonic()
    done = running.run(suite, known, direct=direct, more=more)
    wrong = expected.surprises(done.results, known, direct=direct)
    for line in wrong:
        print(f"{name}: {line}")
    if not direct and not more:
        # A suite that found a server of its own passes, and says nothing of the gateway.
        for what, count, floor in (
            ("connections", done.connections, suite.connections),
            ("statements", done.statements, suite.statements),
        ):
            if count < floor:
                wrong.append(f"{count} {what} in the audit log, at least {floor} must be there")
                print(f"{name}: {wrong[-1]}")
    if more:
        print(done.output)
    if not done.count("passed"):
        wrong.append("nothing passed")
        print(f"{name}: nothing passed: {done.output[-3000:]}")
    print(
        f"{name} {suite.version} {'direct' if direct else 'through the gateway'}: {len(done.results)} tests, "
        f"{done.count('passed')} passed, {done.count('skipped')} skipped, {done.count('failed')} failed, "
        f"{len(known.failures(direct=direct))} of them listed; "
        f"{done.connections} connections, {done.statements} statements recorded; "
        f"{time.monotonic() - started:.0f} s",
        flush=True,
    )
    return not wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
