"""Words that mean a day by today's, or a part of a year, with the days said (pure).

A model does not know the date, and the small default model, told today's date, takes "this year" to begin today. So
code says what the words mean: "orders of last month" -> "orders of last month (October 2026)", "the second half of
2025" -> "the second half of 2025 (July to December 2025)". Only calendar days, months, quarters, halves and years; what
runs up to now ("the last 30 days") is left to the model and to CURRENT_DATE.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

_MONTHS = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
_PHRASE = re.compile(
    r"\b(?P<day>today|yesterday)\b"
    r"|\b(?P<which>this|current|last|previous) (?P<unit>month|quarter|year)\b(?!\s*\(| of\b| in [12]\d{3})"
    r"|\b(?P<nth>first|second|third|fourth|last|1st|2nd|3rd|4th) (?P<part>quarter|half) (?:of|in) (?P<of>[12]\d{3})\b"
    r"(?!\s*\()"
    r"|\b(?P<short>[QH][1-4]),?(?: of| in)? (?P<in>[12]\d{3})\b(?!\s*\()",
    re.IGNORECASE,
)
_NTH = {"first": 1, "second": 2, "third": 3, "fourth": 4}


def say_dates(question: str, today: date) -> str:
    """``question`` with the date behind each phrase that depends on ``today``, the months behind a part of a year."""

    def said(phrase: re.Match[str]) -> str:
        meaning = _meaning(phrase, today)
        return f"{phrase[0]} ({meaning})" if meaning else phrase[0]

    return _PHRASE.sub(said, question)


def _meaning(phrase: re.Match[str], today: date) -> str:
    if phrase["of"]:
        parts = 4 if phrase["part"].lower() == "quarter" else 2
        nth = phrase["nth"].lower()
        return _part(parts if nth == "last" else _NTH.get(nth) or int(nth[0]), parts, phrase["of"])
    if phrase["in"]:
        return _part(int(phrase["short"][1]), 4 if phrase["short"][0] in "qQ" else 2, phrase["in"])
    if phrase["day"]:
        return (today - timedelta(days=phrase["day"].lower() == "yesterday")).isoformat()
    back = phrase["which"].lower() in ("last", "previous")
    if phrase["unit"].lower() == "year":
        return str(today.year - back)
    if phrase["unit"].lower() == "month":
        first = _months_before(today, back)
        return f"{_MONTHS[first.month - 1]} {first.year}"
    first = _months_before(today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1), 3 * back)
    return f"{_MONTHS[first.month - 1]} to {_MONTHS[first.month + 1]} {first.year}"


def _part(number: int, parts: int, year: str) -> str:
    """The months of one of so many equal parts of a year; empty: it has no such part."""
    if number > parts:
        return ""
    length = 12 // parts
    return f"{_MONTHS[(number - 1) * length]} to {_MONTHS[number * length - 1]} {year}"


def _months_before(day: date, months: int) -> date:
    """The first of the month so many months before that of ``day``."""
    count = day.year * 12 + day.month - 1 - months
    return date(count // 12, count % 12 + 1, 1)
