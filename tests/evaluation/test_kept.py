"""A run that was stopped is taken up."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.evaluation.kept import Kept
from tests.evaluation.results import question, refused, right

QUESTIONS = [question(name) for name in "abc"]


def ids(kept: Kept) -> list[str]:
    return [one.id for one in kept.missing(QUESTIONS)]


def test_results_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with Kept(path, {"ask": 1}, fresh=False) as kept:
        assert ids(kept) == ["a", "b", "c"]
        kept.add(right("b"))
    with Kept(path, {"ask": 1}, fresh=False) as kept:
        assert ids(kept) == ["a", "c"]
        kept.add(right("a"))
        assert kept.of(QUESTIONS) == [right("a"), right("b")]
    with Kept(path, {"ask": 1}, fresh=True) as kept:
        assert ids(kept) == ["a", "b", "c"]


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with Kept(path, {}, fresh=False) as kept:
        kept.add(right("a"))
        kept.add(right("b"))
    path.write_text(path.read_text()[:-40])
    with Kept(path, {}, fresh=False) as kept:
        assert ids(kept) == ["b", "c"]
        kept.add(right("b"))
    with Kept(path, {}, fresh=False) as kept:
        assert ids(kept) == ["c"]


def test_what_was_not_there_is_asked_again_and_what_changed(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with Kept(path, {}, fresh=False) as kept:
        kept.add(refused("a", "NL002"))
        kept.add(refused("b", "NL001"))
        kept.add(right("c", words="Other words?"))
        assert ids(kept) == ["a", "c"]


def test_another_setup_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with Kept(path, {"ask": 1, "user": "ada"}, fresh=False) as kept:
        kept.add(right("a"))
    before = path.read_text()
    with pytest.raises(ConfigError, match=r"another setup \(ask\)"):
        Kept(path, {"ask": 2, "user": "ada"}, fresh=False)
    assert path.read_text() == before
