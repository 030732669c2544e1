"""A long step's results, kept as they come: a step that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import click

from nlsql_gateway.errors import ConfigError

PROGRAM = Path(__file__).parent


class Kept:
    """Rows of ``path``, written beside it until ``finish``. What was kept counts only with the same ``inputs``.

    A row has a ``key``; one that stands in ``done`` need not be worked out again.
    """

    def __init__(self, path: Path, inputs: Sequence[Path], settings: str = "") -> None:
        self._path = path
        self._part = path.with_name(path.name + ".kept")
        self._stamp = _stamp(inputs, settings)
        self.done: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        if self._part.exists():
            first, *rest = self._part.read_text().split("\n")
            if first == self._stamp:
                for line in rest[:-1]:  # what stands behind the last line break is torn
                    row = json.loads(line)
                    self.done[row["key"]] = row
        unfinished = self._part.with_name(self._part.name + ".new")
        unfinished.write_text("".join(f"{line}\n" for line in (self._stamp, *map(_line, self.done.values()))))
        unfinished.replace(self._part)
        if self.done:
            click.echo(f"{len(self.done)} were done before", err=True)
        self._file = self._part.open("a", buffering=1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, row: dict[str, Any]) -> None:
        self.done[row["key"]] = row
        self._file.write(_line(row) + "\n")

    def finish(self) -> None:
        """To be called last: what is kept for going on is no longer needed."""
        self._part.unlink()


Item = TypeVar("Item")


def shown(items: Iterable[Item], total: int, label: str) -> Iterator[Item]:
    """``items`` with a progress bar on standard error."""
    with click.progressbar(items, length=total, label=label, file=sys.stderr) as bar:
        yield from bar


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False)


def _stamp(inputs: Sequence[Path], settings: str) -> str:
    """Of the inputs, the settings and the program: another program gives other results."""
    digest = hashlib.sha256(settings.encode())
    for path in (*inputs, *sorted(PROGRAM.glob("*.py"))):
        try:
            digest.update(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error}", hint="run the step before") from error
    return digest.hexdigest()
