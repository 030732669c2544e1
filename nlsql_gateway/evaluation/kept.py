"""The results of a run as they come, a line each, so that a run that was stopped is taken up where it was.

The first line is the *setup*: what must be the same for old results to count. A line that was being written when the
process ended is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import IO, Any

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.evaluation.questions import Question
from nlsql_gateway.evaluation.score import TRANSIENT, Result

Setup = Mapping[str, Any]


class Kept:
    """The file ``answers.jsonl`` of a run; a context manager that closes it."""

    def __init__(self, path: Path, setup: Setup, *, fresh: bool) -> None:
        """Raises ConfigError when the file is of another setup, unless ``fresh``, which begins anew."""
        self._results: dict[str, Result] = {}
        lines = [] if fresh or not path.exists() else _lines(path)
        if lines and lines[0] != {"setup": dict(setup)}:
            old = lines[0].get("setup", {})
            differing = ", ".join(sorted(key for key in {*old, *setup} if old.get(key) != setup.get(key)))
            raise ConfigError(
                f"{path} is of a run with another setup ({differing or 'unreadable'})",
                hint="--fresh throws it away, --out names another folder",
            )
        names = {field.name for field in fields(Result)}
        for line in lines[1:]:
            if line.keys() == names:
                self._results[line["digest"]] = Result(**line)
        # Exchanged as a whole: who is stopped here has the old file or the new one.
        anew = path.with_suffix(".new")
        with anew.open("w") as file:
            file.writelines(map(_line, [{"setup": dict(setup)}, *map(asdict, self._results.values())]))
        anew.replace(path)
        self._file: IO[str] = path.open("a")

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, result: Result) -> None:
        self._results[result.digest] = result
        self._file.write(_line(asdict(result)))
        self._file.flush()

    def missing(self, questions: Iterable[Question]) -> list[Question]:
        """Those to ask: without a result, or with one that only says that something was not there."""
        return [
            question
            for question in questions
            if question.digest not in self._results or self._results[question.digest].stage in TRANSIENT
        ]

    def of(self, questions: Iterable[Question]) -> list[Result]:
        """The results there are, in the order of the questions."""
        return [self._results[question.digest] for question in questions if question.digest in self._results]


def _line(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False) + "\n"


def _lines(path: Path) -> list[dict[str, Any]]:
    found: list[Any] = []
    try:
        found.extend(map(json.loads, filter(None, path.read_text().split("\n"))))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValueError:
        pass  # the last line, cut off
    return [line for line in found if isinstance(line, dict)]
