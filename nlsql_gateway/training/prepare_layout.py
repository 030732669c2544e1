"""The files of a source, and those that the steps hand on: JSON lines, gzipped where the name says so."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import click

from nlsql_gateway.errors import ConfigError

Split = Literal["train", "validation"]
DATABASES: Final = "databases.jsonl"
PAIRS: Final = "pairs.jsonl"
SYNTHETIC_DATABASES: Final = "synthetic-databases.jsonl"
SYNTHETIC_PAIRS: Final = "synthetic-pairs.jsonl"
RESTYLED: Final = "restyled.jsonl"
REPORT: Final = "report.json"


@dataclass(frozen=True, slots=True)
class Pair:
    id: str
    source: str
    database: str
    split: Split
    question: str
    sql: str | None
    "None: the database does not hold the answer."
    notes: str = ""
    "What is said besides about the question's words."
    licence: str = ""
    empty: bool = False
    "The source says that it returns no rows."
    category: str = ""
    today: str = ""
    "ISO date of the day on which it is asked; empty: any."


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a .jsonl or .jsonl.gz file. Raises ConfigError: the line that is none."""
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            for number, line in enumerate(file, start=1):
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise ConfigError(f"{path}, line {number}: not JSON ({error})") from error
                if not isinstance(row, dict):
                    raise ConfigError(f"{path}, line {number}: not an object")
                yield row
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """All or nothing: a step that is stopped leaves the file of the last one. How many were written."""
    unfinished = path.with_name(path.name + ".part")
    count = 0
    with unfinished.open("w") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    unfinished.replace(path)
    return count


def pairs_in(folder: Path, name: str = PAIRS) -> list[Pair]:
    path = folder / name
    try:
        return [Pair(**row) for row in lines(path)]
    except TypeError as error:
        raise ConfigError(f"{path}: {error}", hint="run the step before again") from error


def write_pairs(path: Path, pairs: Iterable[Pair]) -> int:
    return write_lines(path, map(asdict, pairs))


def report(folder: Path, step: str, told: Mapping[str, Any]) -> None:
    """``told`` becomes the step's part of report.json, and is shown."""
    path = folder / REPORT
    parts = json.loads(path.read_text()) if path.exists() else {}
    parts[step] = told
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(json.dumps(parts, indent=2, ensure_ascii=False) + "\n")
    unfinished.replace(path)
    click.echo(json.dumps(told, indent=2, ensure_ascii=False))


class Counts:
    """By source: rows in, kept, and dropped by reason."""

    def __init__(self) -> None:
        self.entered: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()
        self.dropped: dict[str, Counter[str]] = {}

    def take(self, source: str) -> None:
        self.entered[source] += 1

    def keep(self, source: str) -> None:
        self.kept[source] += 1

    def drop(self, source: str, reason: str) -> None:
        self.dropped.setdefault(source, Counter())[reason] += 1

    def told(self) -> dict[str, Any]:
        return {
            source: {
                "in": self.entered[source],
                "kept": self.kept[source],
                "dropped": dict(self.dropped.get(source, Counter()).most_common()),
            }
            for source in sorted(self.entered)
        }


def folder_for(path: Path) -> Path:
    """``path``, made when missing. Raises ConfigError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be made: {error}") from error
    if not os.access(path, os.W_OK):
        raise ConfigError(f"{path} cannot be written")
    return path
