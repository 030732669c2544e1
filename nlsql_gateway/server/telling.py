"""Telling: a client that waits for an answer hears what is being done. docs/asking.md, "While you wait".

Anybody hears once that the answer takes longer than ``PATIENCE``; whoever connected with ``nlsql.progress`` on hears
of each stage as it begins. Both are NOTICEs, which may come at any time and which drivers hand on or drop (manual,
"Asynchronous Operations").
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Final

from nlsql_gateway.ask import Stage
from nlsql_gateway.policy import startup_options
from nlsql_gateway.wire.messages import fault

PROGRESS: Final = "nlsql.progress"
"""The startup parameter; the gateway keeps it for itself."""

SQLSTATE: Final = "00NL1"
"""Of the NOTICE of a stage. Its DETAIL is JSON: the stage's name, and milliseconds since the first one began."""

PATIENCE: Final = 2.0
"""Seconds."""

_WORDS: Final = {
    Stage.LINKING: "the tables that matter are looked for",
    Stage.MODEL: "the model is writing SQL",
    Stage.CHECKS: "the model's SQL is being checked",
}


class Telling:
    """Of one session: ``stage`` as each begins, ``over`` when the question is answered, refused or cancelled."""

    def __init__(self, send: Callable[[bytes], None], *, stages: bool) -> None:
        self._send = send
        self._stages = stages
        self._began: float | None = None
        self._now = Stage.LINKING
        self._timer: asyncio.TimerHandle | None = None

    def stage(self, stage: Stage) -> None:
        loop = asyncio.get_running_loop()
        if self._began is None:
            self._began = loop.time()
            self._timer = loop.call_later(PATIENCE, self._late)
        self._now = stage
        if self._stages:
            detail = json.dumps({"stage": stage.value, "ms": round((loop.time() - self._began) * 1000)})
            self._send(fault("NOTICE", SQLSTATE, _WORDS[stage], detail=detail).encode(b"N"))

    def over(self) -> None:
        self._began = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        words = f"still working on the answer: {_WORDS[self._now]}"
        self._send(fault("NOTICE", "00000", words, hint="cancel the statement (Ctrl-C) to stop").encode(b"N"))


def wanted(parameters: Mapping[str, str]) -> bool:
    """Whether a client's startup parameters ask for the stages. The last word on it counts, as with PostgreSQL."""
    values = [value for name, value in startup_options(parameters) if name.lower() == PROGRESS]
    return bool(values) and values[-1].strip().lower() in ("on", "true", "yes", "1")
