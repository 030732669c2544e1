"""A file in pieces, there and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.training import pieces


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(bytes(range(256)) * 10)
    return path


def test_there_and_back(file: Path, tmp_path: Path) -> None:
    assert pieces.split(file, tmp_path / "cut", 1000) == 3
    assert sorted(path.stat().st_size for path in (tmp_path / "cut").glob("model.gguf.*")) == [560, 1000, 1000]
    joined = pieces.join(tmp_path / "cut", tmp_path / "out")
    assert joined.name == "model.gguf"
    assert joined.read_bytes() == file.read_bytes()
    assert list((tmp_path / "out").iterdir()) == [joined]


def test_the_commands(file: Path, tmp_path: Path) -> None:
    def invoke(*arguments: str | Path) -> str:
        return CliRunner().invoke(pieces.command, list(map(str, arguments)), catch_exceptions=False).output

    assert invoke("split", file, tmp_path / "cut", "--mebibytes", "1") == f"{tmp_path / 'cut'}: 1 pieces\n"
    assert invoke("join", tmp_path / "cut", tmp_path / "out") == f"{tmp_path / 'out' / 'model.gguf'}\n"


def damage(folder: Path) -> None:
    (folder / "model.gguf.001").write_bytes(b"x" * 1000)


def lose(folder: Path) -> None:
    (folder / "model.gguf.001").unlink()


def swap(folder: Path) -> None:
    told = json.loads((folder / "pieces.json").read_text())
    told["pieces"].reverse()
    (folder / "pieces.json").write_text(json.dumps(told))


def climb(folder: Path) -> None:
    told = json.loads((folder / "pieces.json").read_text())
    told["name"] = "../elsewhere"
    (folder / "pieces.json").write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (damage, r"missing or damaged: model\.gguf\.001"),
        (lose, r"missing or damaged: model\.gguf\.001"),
        (swap, r"whole, but not those of model\.gguf"),
        (climb, "'../elsewhere' is no file's name"),
    ],
)
def test_harm_is_found(file: Path, tmp_path: Path, harm: Callable[[Path], None], message: str) -> None:
    pieces.split(file, tmp_path / "cut", 1000)
    harm(tmp_path / "cut")
    with pytest.raises(ConfigError, match=message):
        pieces.join(tmp_path / "cut", tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))
