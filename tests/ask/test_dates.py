"""Phrases that depend on the date, and what is said behind them."""

from __future__ import annotations

from datetime import date

import pytest

from nlsql_gateway.ask.dates import say_dates


@pytest.mark.parametrize(
    ("question", "today", "said"),
    [
        ("Orders of this year", date(2026, 3, 1), "Orders of this year (2026)"),
        ("Orders of Last Year by month", date(2026, 3, 1), "Orders of Last Year (2025) by month"),
        ("orders placed last month?", date(2026, 1, 31), "orders placed last month (December 2025)?"),
        ("orders placed this month?", date(2026, 1, 31), "orders placed this month (January 2026)?"),
        ("the current quarter", date(2026, 12, 31), "the current quarter (October to December 2026)"),
        ("the previous quarter", date(2026, 2, 1), "the previous quarter (October to December 2025)"),
        ("today or yesterday", date(2026, 3, 1), "today (2026-03-01) or yesterday (2026-02-28)"),
        ("this year (2024)", date(2026, 3, 1), "this year (2024)"),
        ("the last 30 days", date(2026, 3, 1), "the last 30 days"),
        ("the last three months", date(2026, 3, 1), "the last three months"),
        ("the last quarter of 2023", date(2026, 3, 1), "the last quarter of 2023 (October to December 2023)"),
        ("in the First Half of 2024?", date(2026, 3, 1), "in the First Half of 2024 (January to June 2024)?"),
        ("2nd quarter in 2024", date(2026, 3, 1), "2nd quarter in 2024 (April to June 2024)"),
        (
            "Q3 2024 or H2 of 2023",
            date(2026, 3, 1),
            "Q3 2024 (July to September 2024) or H2 of 2023 (July to December 2023)",
        ),
        ("the third half of 2024, H3 2024", date(2026, 3, 1), "the third half of 2024, H3 2024"),
        ("orders of last month in Berlin", date(2026, 3, 1), "orders of last month (February 2026) in Berlin"),
        ("last month of the season", date(2026, 3, 1), "last month of the season"),
        ("the first quarter (January) of 2024", date(2026, 3, 1), "the first quarter (January) of 2024"),
        ("revenue in 2025", date(2026, 3, 1), "revenue in 2025"),
    ],
)
def test_say_dates(question: str, today: date, said: str) -> None:
    assert say_dates(question, today) == said
