"""When an answer of the tour counts as right."""

from __future__ import annotations

import pytest

from nlsql_gateway.embedded.psql import Rows
from nlsql_gateway.embedded.tour import same_rows

GOLD: Rows = (("East", "12.5"), ("West", "3"))


@pytest.mark.parametrize(
    ("answer", "ordered", "right"),
    [
        (GOLD, True, True),
        ((("West", "3"), ("East", "12.50")), False, True),
        ((("West", "3"), ("East", "12.50")), True, False),
        ((("12.500", "East"), ("3.00", "West")), True, True),
        ((("1", "East", "12.5"), ("2", "West", "3")), True, True),
        ((("East", "12.501"), ("West", "2.9996")), True, True),
        ((("East", "12.51"), ("West", "3")), True, False),
        ((("East", "12.5"),), True, False),
        ((("East", "12.5"), ("West", "3"), ("West", "3")), False, False),
        ((("East",), ("West",)), True, False),
        ((), True, False),
    ],
)
def test_same_rows(answer: Rows, ordered: bool, right: bool) -> None:
    assert same_rows(answer, GOLD, ordered=ordered) is right


def test_no_rows_are_the_same_as_no_rows() -> None:
    assert same_rows((), (), ordered=False)


def test_a_day_is_a_timestamp_at_midnight() -> None:
    assert same_rows((("2026-01-01 00:00:00+00",),), (("2026-01-01",),), ordered=True)
    assert not same_rows((("2026-01-01 00:00:01",),), (("2026-01-01",),), ordered=True)


def test_a_very_wide_answer_is_not_compared() -> None:
    assert not same_rows((tuple("abcdefghij"),), (("a",),), ordered=True)
