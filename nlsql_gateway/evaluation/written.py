"""A run as JSON: ``results.json``. Pure but for reading an old one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.evaluation.score import Result
from nlsql_gateway.evaluation.totals import by_difficulty, curve, grouped, totals

VERSION: Final = 1
"""Of the format; raised when an older reader would misread it."""


_SINCE: Final = {"source": "", "difference": None}
"Keys of a question that came later, and what a file without them means."
_ABOUT: Final = frozenset({"file", "models", "gateway", "written"})
"What the report tells of an older run."


@dataclass(frozen=True, slots=True)
class Run:
    about: dict[str, Any]
    "What ran: the file, the gateway, the model, when."
    results: tuple[Result, ...]


def as_json(run: Run) -> dict[str, Any]:
    results: Sequence[Result] = run.results

    def tables(groups: dict[str, Any]) -> dict[str, Any]:
        return {name: asdict(found) for name, found in groups.items()}

    return {
        "version": VERSION,
        "run": run.about,
        "totals": {
            "all": asdict(totals(results)),
            "set": tables(grouped(results, lambda result: result.set)),
            "category": tables(grouped(results, lambda result: result.category)),
            "difficulty": tables(by_difficulty(results)),
            "database": tables(grouped(results, lambda result: result.db)),
        },
        "thresholds": [asdict(point) for point in curve(results)],
        "questions": [asdict(result) for result in results],
    }


def read(path: Path) -> Run:
    """An old ``results.json``. Raises ConfigError."""
    try:
        data = json.loads(path.read_text())
        if data["version"] != VERSION:
            raise ConfigError(f"{path}: version {data['version']}, this is version {VERSION}")
        names = [field.name for field in fields(Result)]
        results = tuple(
            Result(**{name: {**_SINCE, **question}[name] for name in names}) for question in data["questions"]
        )
        about = {"name": path.resolve().parent.name, **data["run"]}
        if missing := _ABOUT - about.keys():
            raise KeyError(*missing)
        return Run(about, results)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not the results.json of an evaluation") from error
