"""A long list is left out only where the server's grammar sees a list, and all of it comes back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlsql_gateway.sql import Batch, classify
from nlsql_gateway.sql.limits import Limits
from nlsql_gateway.sql.shorten import STAY, shorten

NUMBERS = ", ".join(str(number) for number in range(300))
STRINGS = " ,\n".join(f"'it''s {number}'" for number in range(300))


@pytest.mark.parametrize(
    "text",
    [
        f"SELECT a FROM t WHERE b IN ({NUMBERS})",
        f"SELECT a FROM t WHERE b IN ( {STRINGS} ) AND c = 5;",
        f"SELECT a FROM é WHERE b NOT IN ({NUMBERS}, 5 + c) OR d = ANY(ARRAY[{STRINGS}]) -- 'x",
        f"SELECT 1; SELECT a FROM t WHERE b IN ({NUMBERS}); SELECT 'x' WHERE c IN ({STRINGS})",
    ],
)
def test_lists_become_short_and_whole_again(text: str) -> None:
    short = shorten(text)
    assert short is not None
    assert len(short.batch.text) < len(text)
    assert short.complete(short.batch.text)
    assert short.whole(short.batch.text) == text
    whole = classify(text)
    assert isinstance(whole, Batch)
    assert [one.kind for one in short.batch.statements] == [one.kind for one in whole.statements]
    assert [short.whole(one.text) for one in short.batch.statements] == [one.text for one in whole.statements]
    assert not short.complete("SELECT 1")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        f"SELECT a FROM t WHERE b IN ({', '.join('1' * (STAY - 1))})",
        f"SELECT concat({STRINGS})",
        f"SELECT a FROM t WHERE (1, 2) = ({NUMBERS})",
        f"VALUES ({NUMBERS})",
        f"SELECT $$({NUMBERS})$$",
        f"SELECT '({NUMBERS})'",
        f'SELECT 1 AS "({NUMBERS})"',
        f"SELECT 1 /* ({NUMBERS}) */",
        f"SELECT E'({STRINGS})'",
        f"-- ask: which of ({NUMBERS})",
        f"ask: which of ({NUMBERS})",
        f"SELECT a FROM t WHERE b IN ({NUMBERS}",
        f"SELECT a FROM t WHERE b IN ({NUMBERS}, 864209753108)",
        f"SELECT a FROM t WHERE b IN ({NUMBERS}) \0",
        f"SELECT a FROM t ORDER BY ({NUMBERS})",
    ],
)
def test_everything_else_is_read_as_it_is(text: str) -> None:
    assert shorten(text) is None


def test_limits_are_those_of_the_whole_text() -> None:
    text = f"SELECT a FROM t WHERE b IN ({NUMBERS})"
    assert shorten(text, Limits(tokens=700)) is not None
    assert shorten(text, Limits(tokens=500)) is None
    assert shorten(text, Limits(bytes=1000)) is None


_ITEMS = st.sampled_from(
    ["1", "'a'", "''", "1.5", "-1", "'", ")", "(", "E'a'", "$1", " ", "--\n", "/*", "*/", "x", "'(1'"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_ITEMS, max_size=3).map("".join), st.lists(_ITEMS, max_size=4).map(", ".join), st.integers(120, 140))
def test_any_text(before: str, between: str, count: int) -> None:
    items = ", ".join(["1"] * count)
    text = f"SELECT a FROM t WHERE {before} b IN ({items}, {between}, {items}) OR 'x' IN ('y')"
    short = shorten(text)
    if short is not None:
        whole = classify(text)
        assert isinstance(whole, Batch)
        assert short.whole(short.batch.text) == text
        assert [short.whole(one.text) for one in short.batch.statements] == [one.text for one in whole.statements]
