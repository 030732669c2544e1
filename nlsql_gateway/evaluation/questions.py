"""What is asked: a file with a JSON object a line, in one of two forms.

Questions: ``id, set, db, category, question, instructions, gold``; no gold: the right answer is a refusal. Pairs, as
text-to-SQL data sets have them: ``id, db_id, question, evidence, sql``; ``sql`` null: the same.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.evaluation.golds import expand


@dataclass(frozen=True, slots=True)
class Question:
    id: str
    set: str
    "The part of the file that it is counted with."
    db: str
    "The database that it is asked in."
    category: str
    words: str
    instructions: str
    "What an operator or user adds to the question; '' when nothing."
    gold: str
    "See golds.py; '' when the right answer is a refusal."

    @property
    def answerable(self) -> bool:
        return bool(self.gold)

    @property
    def asked(self) -> str:
        """What is sent: one line. What has no answer is asked without instructions, which tell what to say then."""
        parts = (self.words, self.instructions) if self.answerable else (self.words,)
        return " ".join(" ".join(parts).replace("\0", " ").split())

    @property
    def digest(self) -> str:
        """Changes with anything that changes the result."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]


def read(path: Path, *, sets: Collection[str] = (), databases: Collection[str] = (), limit: int = 0) -> list[Question]:
    """The questions of ``path``, of ``sets`` and ``databases`` where given, the first ``limit``.

    ``path`` is a file, ``.gz`` or plain, or a folder of them. Raises ConfigError that names the file and the line.
    """
    questions: dict[str, Question] = {}
    for file in _files(path):
        for number, line in enumerate(_lines(file), 1):
            if line.strip():
                try:
                    question = _question(json.loads(line), file)
                    if question.id in questions:
                        raise ConfigError(f"the id {question.id} was there before")
                except ValueError as error:
                    raise ConfigError(f"{file}: line {number}: {error}") from error
                except ConfigError as error:
                    raise ConfigError(f"{file}: line {number}: {error.message}", hint=error.hint) from error
                questions[question.id] = question
    found = [
        question
        for question in questions.values()
        if (not sets or question.set in sets) and (not databases or question.db in databases)
    ]
    if not found:
        raise ConfigError(f"{path}: no question to ask", hint="is the name behind --set or --db right?")
    return found[:limit] if limit else found


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.name.endswith((".jsonl", ".jsonl.gz")))


def _lines(path: Path) -> list[str]:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return data.decode().split("\n")
    except (OSError, EOFError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text") from error


def _question(data: Any, path: Path) -> Question:
    if not isinstance(data, Mapping):
        raise ConfigError('expected an object such as {"id": …, "db": …, "question": …, "gold": …}')
    pair = "db_id" in data
    gold = _text(data, "sql" if pair else "gold", "").strip()
    if gold:
        expand(gold)
    name = path.name.partition(".")[0]
    return Question(
        id=_text(data, "id"),
        set=_text(data, "source" if pair else "set", name),
        db=_text(data, "db_id" if pair else "db"),
        category=_text(data, "category", ""),
        words=_text(data, "question"),
        instructions=_text(data, "evidence" if pair else "instructions", ""),
        gold=gold,
    )


def _text(data: Mapping[str, Any], key: str, default: str | None = None) -> str:
    """Raises ConfigError when the key is needed and missing or empty, or not text."""
    value = data.get(key)
    if value is None or value == "":
        if default is None:
            raise ConfigError(f"the key {key} is missing")
        return default
    if isinstance(value, int) and key == "id":
        return str(value)
    if not isinstance(value, str):
        raise ConfigError(f"{key}: expected text")
    return value
