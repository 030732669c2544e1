"""The page: whole, one file, and nobody's words are markup in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlsql_gateway.evaluation.report import render
from nlsql_gateway.evaluation.score import Result
from nlsql_gateway.evaluation.written import Run
from tests.evaluation.results import ABOUT, many, refused, right, wrong

_VOID = {"meta", "br"}


class _Page(HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def page(*results: Result, old: tuple[Result, ...] | None = None) -> _Page:
    return _Page(render(Run(ABOUT, results), () if old is None else [Run(ABOUT, old)]))


def test_a_run() -> None:
    found = page(*many(1))
    for part in ("strict accuracy", "By category", "By difficulty", "Coverage against precision", "wrong rows", "p95"):
        assert part in found.words
    assert "Side by side" not in found.words


def test_two_runs() -> None:
    found = page(*many(2), old=many(1))
    for part in ("Side by side", "Got right", "Got wrong", "points"):
        assert part in found.words


def test_several_runs_in_one_table() -> None:
    runs = [Run({**ABOUT, "name": name}, results) for name, results in (("naive", many(1)), ("linked", many(2)[:9]))]
    found = _Page(render(Run({**ABOUT, "name": "chosen"}, (right("a", set="third"),)), runs))
    table = found.words[found.words.index("Runs") : found.words.index("By set")]
    assert [name for name in ("naive", "linked", "chosen", "third", "unanswerable") if name not in table] == []


@pytest.mark.parametrize("results", [(), (right("a"),), (refused("a", gold=""),), (refused("a", "NL002"),)])
def test_small_runs(results: tuple[Result, ...]) -> None:
    page(*results)
    page(*results, old=many(1, 5))
    page(*many(1, 5), old=results)


def test_it_warns() -> None:
    assert "found no model" in page(refused("a", "NL002")).words
    assert "always empty" in page(right("a")).words


def test_nothing_is_loaded_from_elsewhere() -> None:
    text = render(Run(ABOUT, many(2)), [Run(ABOUT, many(1))])
    found = _Page(text)
    assert not found.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "a"}
    assert not {name for name, _ in found.attributes} & {"src", "href", "xlink:href", "action", "srcset", "onclick"}
    assert not re.search(r"https?:|//[a-z]|url\(|@import", text)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in found.attributes


HOSTILE = "</pre></style><script>alert(1)</script><img src=x onerror=y>\"' onload='z' {{ 7**7 }} {% raw %}"


def test_words_are_never_markup() -> None:
    hostile: dict[str, Any] = {"words": HOSTILE, "category": HOSTILE, "set": HOSTILE, "db": HOSTILE}
    found = page(wrong(HOSTILE, **hostile), refused("r", **hostile), old=(right(HOSTILE, **hostile),))
    assert HOSTILE in found.words
    assert "823543" not in found.words
    assert not found.tags & {"script", "img"}
    assert not {name for name, _ in found.attributes} & {"onload", "onerror"}


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_any_words(words: str) -> None:
    found = page(wrong("q", words=f"x{words}", category=words))
    assert not found.tags & {"script", "img"}
