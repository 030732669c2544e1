"""What a program records: named steps, each with what came out of it. Needs the standard library only: tools'
own environments have nothing of ours.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

SERVER = {name: os.environ[name] for name in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE")}  # noqa: TID251
"""Where to, and as whom."""

URL = "{PGUSER}:{PGPASSWORD}@{PGHOST}:{PGPORT}/{PGDATABASE}".format(**SERVER)
"""What follows ``scheme://``."""

_STDOUT = os.dup(1)
os.dup2(2, 1)  # what the tool itself prints goes to standard error: standard output is for the steps


class Steps:
    """Run steps one by one; a failure is a result like any other."""

    def __init__(self) -> None:
        self.version = ""
        self._done: dict[str, dict[str, Any]] = {}

    def run(self, name: str, function: Callable[[], object]) -> Any:
        """Call ``function``; its value, made JSON, or its error is what the step gave. Returns the value or None."""
        assert name not in self._done, name
        started = time.perf_counter()
        value: object = None
        try:
            value = function()
            outcome: dict[str, Any] = {"value": json.loads(json.dumps(value, default=str))}
        except Exception as error:  # noqa: BLE001 - what its user would see
            outcome = {"error": f"{type(error).__name__}: {error}"}
            print(f"{name}: {error}", file=sys.stderr)
        self._done[name] = {**outcome, "ms": round((time.perf_counter() - started) * 1000, 1)}
        return value

    def print(self) -> None:
        with open(_STDOUT, "w") as out:  # noqa: PTH123 - a descriptor
            json.dump({"version": self.version, "steps": self._done}, out)
