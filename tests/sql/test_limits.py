"""Runs of operator characters: the scanner's time grows with their square."""

from __future__ import annotations

import pytest

from nlsql_gateway.errors import LimitError
from nlsql_gateway.sql import classify


@pytest.mark.parametrize("text", ["SELECT 1 " + "/*" * 100_000 + "*/" * 100_000, "SELECT 1 " + "+-" * 16_000 + "1"])
def test_a_long_run_is_refused_before_it_is_scanned(text: str) -> None:
    with pytest.raises(LimitError, match="operator"):
        classify(text)


def test_ordinary_operators_and_rules_of_dashes_pass() -> None:
    classify("SELECT 1 /* " + "=" * 500 + " */ -- " + "-" * 500)
