"""A process beside the gateway, kept running from a thread of its own: the kernel ends it when that thread is gone."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Final

from nlsql_gateway import log
from nlsql_gateway.embedded.child import end, spawn

PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
"""Seconds before one that ended is started again, doubled each time."""

PATIENCE: Final = 10.0
"""Seconds that it has to end."""


class Keeper:
    """Keeps one program of ours running; ``name`` is what the log calls it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, module: str, *arguments: str | Path) -> None:
        command = [sys.executable, "-P", "-m", module, *arguments]
        self._thread = threading.Thread(target=self._keep, args=(command,), name=self._name)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _keep(self, command: list[str | Path]) -> None:
        logger = log.logger(__name__)
        pause = PAUSE
        while not self._stopping.is_set():
            # What it prints goes where the logs go: standard output has the gateway's own.
            child = spawn(command, death_signal=signal.SIGTERM, stdout=2)
            try:
                while child.poll() is None and not self._stopping.wait(0.2):
                    pass
            finally:
                status = end(child, signal.SIGTERM, patience=PATIENCE)
            if self._stopping.is_set():
                return
            logger.error(f"the {self._name} ended and is started again", status=status, pause=pause)
            self._stopping.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
