"""The line typed at psql's prompt, from bytes alone; with the real psql: tests/e2e/test_psql_command.py."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.embedded.prompt import KILL, MARK, WORD, Prompt, kept


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("-- ask: how many", "/* ask: how many */;"),
        ("--ask explain: how many;", "/* ask explain: how many */;"),
        ("  --  ASK\uff1a很多", "/* ASK\uff1a很多 */;"),
        ("-- ask reset", "/* ask reset */;"),
        ("-- ask: a */ DROP TABLE t; /*", "/* ask: a * / DROP TABLE t; / * */;"),
        ("-- asking: how many", None),
        ("-- how many", None),
        ("select 1; -- ask: how many", None),
        ("'-- ask: how many", None),
        ("\\echo -- ask: how many", None),
    ],
)
def test_the_form_that_psql_keeps(line: str, form: str | None) -> None:
    assert kept(line) == form


@given(st.text(alphabet="*/ -;x", max_size=12))
def test_a_question_ends_its_comment_itself(words: str) -> None:
    form = kept(f"-- ask: {words}")
    assert form is not None
    assert form.removeprefix("/*").removesuffix("*/;").count("*/") == 0
    assert form.count("/*") == 1


@given(st.lists(st.integers(0, 400), max_size=8))
def test_how_output_is_cut_never_matters(cuts: list[int]) -> None:
    text = b"rows\n\x1b[?2004hretail=> " + MARK + b"\x1b[A\x1b]0;title\x07\x1b" + MARK
    text += b"\x1b[?2004l\rend\x1b]7457;"
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    prompt = Prompt()
    shown = b"".join(prompt.output(text[start:end])[0] for start, end in pairwise(places))
    assert shown == text.replace(MARK, b"").removesuffix(b"\x1b]7457;")


@given(st.binary(max_size=200))
def test_away_from_the_prompt_nothing_changes(data: bytes) -> None:
    prompt = Prompt()
    assert prompt.keys(data) == data
    prompt.output(b"retail=> " + MARK)
    prompt.output(b"\x1b[?2004h\x1b[?2004l")
    assert prompt.keys(data) == data


@pytest.mark.parametrize(
    ("keys", "question"),
    [
        (b"-- ask: how mani\x7fy", "how many"),
        ("-- ask: Zürichü\x7f".encode(), "Zürich"),
        (b"select 1" + KILL + b"-- ask: all", "all"),
        (b"-- ask: all of it" + WORD + b"them", "all of them"),
        (b"-- ask: \x1b[D all", None),
        (b"select 1", None),
    ],
)
def test_without_readline_the_terminals_keys_are_followed(keys: bytes, question: str | None) -> None:
    prompt = Prompt()
    prompt.output(b"retail=> " + MARK)
    typed = b"".join(prompt.keys(bytes([key])) for key in keys)
    assert typed == keys
    entered = prompt.keys(b"\r")
    assert entered == (b"\r" if question is None else KILL + f"/* ask: {question} */;\r".encode())


def test_where_no_line_is_drawn_nothing_is_lost() -> None:
    prompt = Prompt()
    prompt.output(b"\x1b[?2004hretail=> " + MARK)
    assert prompt.keys(b"select 1;") == b"select 1;"
    prompt.keys(b"\rselect")
    assert prompt.waits
    assert prompt.keys(b" 2;\r") == b""
    assert prompt.give_up() == b"\rselect 2;\r"
    assert not prompt.waits
