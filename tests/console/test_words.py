"""Every page that says what is wrong says what happened, why, and what to do; and all of it stands in one file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from nlsql_gateway.console import words

ROOM = Path(words.__file__).parent
SAID = {name: one for name, one in vars(words).items() if isinstance(one, words.Words)}


@pytest.mark.parametrize("name", SAID)
def test_it_says_what_why_and_what_to_do(name: str) -> None:
    one = SAID[name].of(what="statement", most=8000, wait=7, who="officer", problem="x")
    assert 400 <= one.status < 600
    assert one.title[0].isupper()
    assert not one.title.endswith(".")
    for text in (one.words, one.todo):
        assert text[0].isupper()
        assert text.endswith(".")
        assert "{" not in text


def test_pages_take_their_words_from_there() -> None:
    for file in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem":
                texts = [one for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
                assert not texts, f"{file.name}:{node.lineno}: put it into words.py"


def test_a_title_for_every_sqlstate() -> None:
    assert words.title("NL002") == "The model does not answer"
    assert words.title("42P01") == words.TITLES["42"]
    assert words.title("ZZ000") == "It failed"
    assert words.todo("08006") == words.TODO["08"]
    assert words.todo("42501") == ""
