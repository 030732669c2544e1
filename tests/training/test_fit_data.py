"""Pairs as tokens: the prompt that the gateway sends, and what is learnt behind it."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nlsql_gateway.ask.extract import extract
from nlsql_gateway.ask.prompt import write
from nlsql_gateway.ask.templates import FENCE_END, chatml, turns_of
from nlsql_gateway.errors import ConfigError, Unanswerable
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.training import fit_data
from nlsql_gateway.training.__main__ import steps


def encode(text: str) -> list[int]:
    return [*text.encode()]


def text(tokens: tuple[int, ...]) -> str:
    return bytes(tokens).decode()


def row(**more: Any) -> dict[str, Any]:
    turns = [{"role": "system", "content": "You write."}, {"role": "user", "content": "How many?"}]
    known = {"id": "1", "source": "s", "database": "d", "difficulty": "easy", "answerable": True, "messages": turns}
    return {**known, "completion": "SELECT 1", **more}


def read(folder: Path, *rows: object, longest: int = 1000, limit: int = 0) -> fit_data.Data:
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return fit_data.read(path, encode, longest=longest, limit=limit)


def test_the_prompt_is_the_gateway_s() -> None:
    """Turns that were taken from a ``chat`` prompt give the ``chatml`` one, byte for byte."""
    asked = {
        "question": "How many?",
        "relations": (),
        "schema": Catalog("shop", "v1", 180000, ("public",), {}),
        "today": date(2026, 1, 1),
    }
    turns = turns_of(write("chat", **asked).text)  # type: ignore[arg-type]
    assert turns is not None
    assert chatml(turns) == write("chatml", **asked).text  # type: ignore[arg-type]


def test_only_the_completion_is_learnt_and_the_gateway_reads_it(tmp_path: Path) -> None:
    data = read(
        tmp_path, row(), row(difficulty="extra"), row(answerable=False, difficulty=None, completion="UNANSWERABLE")
    )
    one, two, three = data.examples
    assert text(one.tokens[: one.begin]) == chatml(row()["messages"])
    assert text(one.tokens[one.begin :]) == "SELECT 1" + FENCE_END
    assert one.learnt == len("SELECT 1" + FENCE_END)
    assert extract(text(one.tokens[one.begin :])) == "SELECT 1"
    with pytest.raises(Unanswerable):
        extract(text(three.tokens[three.begin :]))
    assert [one.hard, two.hard, three.hard] == [False, True, False]


def test_the_facts(tmp_path: Path) -> None:
    data = read(tmp_path, row(licence="MIT"), row(completion="SELECT " + "x" * 2000), row(source="t", answerable=False))
    assert data.digest == hashlib.sha256((tmp_path / "pairs.jsonl").read_bytes()).hexdigest()
    assert data.facts["sources"] == {"s": 1, "t": 1}
    assert data.facts["licences"] == {"s": "MIT"}
    assert data.facts["answerable"] == {"no": 1, "yes": 1}
    assert (data.facts["pairs"], data.facts["too long"]) == (2, 1)
    assert data.facts["tokens"] == sum(map(len, data.examples))
    assert read(tmp_path, row(), row(), row(), limit=2).facts["pairs"] == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([{"id": "1"}], r"line 1: not a training pair \(KeyError\('messages'\)\)"),
        ([row(), row(difficulty="simple")], "line 2: the difficulty simple is none of easy, medium, hard, extra"),
        ([row(messages=3)], "line 1: not a training pair"),
        ([row(completion="x" * 3000)], "no pair to learn from"),
    ],
)
def test_what_is_no_pair_is_said(tmp_path: Path, wrong: list[object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, *wrong)


def test_without_the_extra_it_is_said(tmp_path: Path) -> None:
    """Where torch is not installed, as in the environment of `make install`."""
    try:
        import torch  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip("torch is installed here")
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("")
    result = CliRunner().invoke(steps, ["fit", str(pairs), str(tmp_path / "run"), "--base", str(pairs)])
    assert isinstance(result.exception, ConfigError)
    assert "needs the extra `training`" in result.exception.message
