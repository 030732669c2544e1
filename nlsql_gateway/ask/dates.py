"""Words that mean a day by today's, with the day said (pure).

A model does not know the date, and the small default model, told today's date, takes "this year" to begin today. So
code says what the words mean: "orders of last month" -> "orders of last month (October 2026)". Only calendar days,
months, quarters and years; what runs up to now ("the last 30 days") is left to the model and to CURRENT_DATE.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

_MONTHS = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
_PHRASE = re.compile(
    r"\b(?P<day>today|yesterday)\b|\b(?P<which>this|current|last|previous) (?P<unit>month|quarter|year)\b(?!\s*\()",
    re.IGNORECASE,
)


def say_dates(question: str, today: date) -> str:
    """``question`` with the date behind each phrase that depends on ``today``."""
    return _PHRASE.sub(lambda phrase: f"{phrase[0]} ({_meaning(phrase, today)})", question)


def _meaning(phrase: re.Match[str], today: date) -> str:
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


def _months_before(day: date, months: int) -> date:
    """The first of the month so many months before that of ``day``."""
    count = day.year * 12 + day.month - 1 - months
    return date(count // 12, count % 12 + 1, 1)
