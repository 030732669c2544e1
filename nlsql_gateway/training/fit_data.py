"""Training pairs -> sequences of tokens. No torch; the tokenizer is handed in.

A pair is a JSON line ``{"id", "source", "database", "difficulty", "answerable", "messages": [{"role", "content"}...],
"completion"}``: ``messages`` is the prompt as the gateway sends it, ``completion`` the SQL or the refusal.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nlsql_gateway.ask.templates import FENCE_END, chatml
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.training.prepare_layout import lines

EASY: Final = ("easy", "medium")
HARD: Final = ("hard", "extra")

Encode = Callable[[str], list[int]]
"Text -> tokens, marks such as <|im_end|> among them, and nothing added."


@dataclass(frozen=True, slots=True)
class Example:
    tokens: tuple[int, ...]
    begin: int
    "Of the completion in ``tokens``: what is before is read and not learnt."
    hard: bool

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def learnt(self) -> int:
        return len(self.tokens) - self.begin


@dataclass(frozen=True, slots=True)
class Data:
    examples: tuple[Example, ...]
    digest: str
    "SHA-256 of the file."
    facts: dict[str, Any]
    "Counts, for the log and the model card."


def read(path: Path, encode: Encode, *, longest: int, limit: int = 0) -> Data:
    """The pairs of ``path`` that have at most ``longest`` tokens; the others are counted. Raises ConfigError.

    The prompt and the completion are tokenized apart, as they are when the model is asked.
    """
    examples: list[Example] = []
    counts: dict[str, Counter[str]] = {"sources": Counter(), "difficulties": Counter(), "answerable": Counter()}
    licences: dict[str, str] = {}
    too_long = 0
    for number, row in enumerate(lines(path), start=1):
        if limit and len(examples) >= limit:
            break
        try:
            prompt, completion = chatml(row["messages"]), str(row["completion"])
            source, answerable = str(row["source"]), bool(row["answerable"])
            difficulty = str(row["difficulty"]) if answerable else str(row.get("difficulty") or "easy")
        except (KeyError, TypeError) as error:
            raise ConfigError(f"{path}, line {number}: not a training pair ({error!r})") from error
        if difficulty not in EASY + HARD:
            raise ConfigError(f"{path}, line {number}: the difficulty {difficulty} is none of {', '.join(EASY + HARD)}")
        begin = encode(prompt)
        tokens = (*begin, *encode(completion + FENCE_END))
        if len(tokens) > longest:
            too_long += 1
            continue
        examples.append(Example(tokens, len(begin), difficulty in HARD))
        counts["sources"][source] += 1
        counts["difficulties"][difficulty] += 1
        counts["answerable"]["yes" if answerable else "no"] += 1
        if row.get("licence"):
            licences[source] = str(row["licence"])
    if not examples:
        raise ConfigError(f"{path}: no pair to learn from", hint=f"{too_long} are longer than {longest} tokens")
    facts: dict[str, Any] = {name: dict(sorted(counter.items())) for name, counter in counts.items()}
    facts |= {"licences": licences, "pairs": len(examples), "too long": too_long, **_sizes(examples)}
    return Data(tuple(examples), digest(path), facts)


def _sizes(examples: Sequence[Example]) -> dict[str, int]:
    return {"tokens": sum(map(len, examples)), "learnt tokens": sum(example.learnt for example in examples)}


def digest(path: Path) -> str:
    """SHA-256. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
