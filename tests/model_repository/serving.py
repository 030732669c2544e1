"""A scripted model in the real Triton, for tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlsql_gateway.embedded.triton import EmbeddedTriton

REPOSITORY = Path(__file__).parent


@dataclass
class Scripted:
    """The model ``scripted``: its rules are written with ``script``, see its model.py."""

    server: EmbeddedTriton
    answers: Path
    seen: Path

    @property
    def url(self) -> str:
        return self.server.grpc_url

    def script(self, *rules: dict[str, Any]) -> None:
        self.answers.write_text(json.dumps(rules))
        self.seen.write_text("")

    def questions(self) -> list[dict[str, Any]]:
        """Prompt, sampling parameters and outcome of each question since the last ``script``."""
        return [json.loads(line) for line in self.seen.read_text().splitlines()]


@contextmanager
def scripted(folder: Path, port: int = 0, *, repository: Path = REPOSITORY) -> Iterator[Scripted]:
    answers, seen = folder / "answers.json", folder / "seen.jsonl"
    answers.write_text('[{"contains": "", "text": "SELECT 1"}]')
    seen.write_text("")
    environment = {"SCRIPTED_ANSWERS": str(answers), "SCRIPTED_SEEN": str(seen)}
    with EmbeddedTriton(repository, ["scripted"], port, environment=environment, cache=folder / "cache") as server:
        yield Scripted(server, answers, seen)
