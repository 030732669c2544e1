"""Files of questions, good and bad."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.evaluation.questions import Question, read

FULL = {
    "id": "a",
    "set": "own",
    "db": "shops",
    "category": "join",
    "question": "How\nmany?",
    "instructions": "Count\0 all.",
    "gold": "SELECT 1",
}


def written(folder: Path, *lines: Any, name: str = "own.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


def test_the_two_forms(tmp_path: Path) -> None:
    pair = {"id": 7, "db_id": "x.y", "question": "Q?", "evidence": "E", "sql": "SELECT 2", "source": "pairs"}
    path = written(tmp_path, FULL, "", pair, {"id": "c", "db": "shops", "question": "Why?"})
    first, second, third = read(path)
    assert first == Question("a", "own", "shops", "join", "How\nmany?", "Count\0 all.", "SELECT 1")
    assert second == Question("7", "pairs", "x.y", "", "Q?", "E", "SELECT 2")
    assert third == Question("c", "own", "shops", "", "Why?", "", "")
    assert [one.answerable for one in (first, second, third)] == [True, True, False]
    assert first.asked == "How many? Count all."
    assert len({one.digest for one in (first, second, third)}) == 3


def test_without_a_gold_instructions_are_not_sent(tmp_path: Path) -> None:
    (one,) = read(written(tmp_path, {**FULL, "gold": None}))
    assert one.asked == "How many?"


def test_compressed_and_parts(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl.gz"
    lines = [{**FULL, "id": str(n), "db": f"d{n % 2}", "set": "ab"[n // 4]} for n in range(8)]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    assert [one.id for one in read(path, sets=["b"])] == ["4", "5", "6", "7"]
    assert [one.id for one in read(path, databases=["d1"], limit=3)] == ["1", "3", "5"]


def test_a_folder(tmp_path: Path) -> None:
    written(tmp_path, {**FULL, "id": "b"}, name="second.jsonl")
    written(tmp_path, {"id": "a", "db": "shops", "question": "Why?"}, name="first.jsonl")
    (tmp_path / "shops.sql").write_text("SELECT 1")
    assert [(one.id, one.set) for one in read(tmp_path)] == [("a", "first"), ("b", "own")]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "no question to ask"),
        ([FULL, "{"], "line 2: "),
        (["[1]"], "line 1: expected an object"),
        ([{**FULL, "question": ""}], "line 1: the key question is missing"),
        ([{**FULL, "db": 3}], "line 1: db: expected text"),
        ([{"id": "a", "question": "Q?"}], "line 1: the key db is missing"),
        ([FULL, FULL], "line 2: the id a was there before"),
        ([{**FULL, "gold": "SELECT a GROUP BY {}"}], "line 1: {} stands in front"),
    ],
)
def test_faults_are_named(tmp_path: Path, lines: list[Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(written(tmp_path, *lines))
    assert message in caught.value.message
    assert "own.jsonl" in caught.value.message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read(tmp_path / "none.jsonl")
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read(tmp_path / "bytes.jsonl")
    (tmp_path / "q.jsonl.gz").write_bytes(b"plain")
    with pytest.raises(ConfigError, match=r"q\.jsonl\.gz"):
        read(tmp_path / "q.jsonl.gz")
