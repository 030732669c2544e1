"""Questions about days, months and how long something took (``date``)."""

from __future__ import annotations

from datetime import date, timedelta

from nlsql_gateway.training.synthesise_asking import (
    Asked,
    Maker,
    between,
    called,
    happened,
    having,
    is_measure,
    is_time,
    measured,
    month_after,
    shown,
)
from nlsql_gateway.training.synthesise_schema import text

MONTHS = "January February March April May June July August September October November December".split()  # noqa: SIM905
SECONDS = {"hours": 3600, "days": 86400, "minutes": 60}


def in_year(m: Maker) -> Asked:
    table = m.pick(having("day", "moment"))
    trait = m.trait(table, is_time)
    year = m.moment(table, trait).year
    many = table.thing.many
    question = m.say(
        f"how many {many} {happened(trait)} in {year}?", f"number of {many} that {happened(trait)} in {year}"
    )
    where = between(table, trait, date(year, 1, 1), date(year + 1, 1, 1))
    return Asked("date", question, f"SELECT COUNT(*) FROM {table.sql} WHERE {where}")


def in_month(m: Maker) -> Asked:
    table = m.pick(having("day", "moment"), measured)
    trait, measure = m.trait(table, is_time), m.trait(table, is_measure)
    first = m.moment(table, trait).replace(day=1)
    many, when = table.thing.many, f"{MONTHS[first.month - 1]} {first.year}"
    words, function = m.chance.choice((("total", "SUM"), ("average", "AVG"), ("highest", "MAX")))
    question = m.say(
        f"what was the {words} {measure.words} of {many} that {happened(trait)} in {when}?",
        f"{words} {measure.words} of the {many} that {happened(trait)} in {when}",
    )
    where = between(table, trait, first, month_after(first))
    return Asked("date", question, f"SELECT {function}({table.column(measure)}) FROM {table.sql} WHERE {where}")


def each_month(m: Maker) -> Asked:
    table = m.pick(having("day", "moment"))
    trait = m.trait(table, is_time)
    many = table.thing.many
    unit = m.chance.choice(("month", "month", "quarter", "week"))
    year = m.moment(table, trait).year
    part = f"DATE_TRUNC({text(unit)}, {table.column(trait)})"
    bounded = m.chance.random() < 0.6
    where = f" WHERE {between(table, trait, date(year, 1, 1), date(year + 1, 1, 1))}" if bounded else ""
    of = f" of {year}" if bounded else ""
    measure = "COUNT(*)"
    ways = [
        f"how many {many} {happened(trait)} in each {unit}{of}?",
        f"number of {many} that {happened(trait)} per {unit}{of}, in order of time",
    ]
    if measured(table) and m.chance.random() < 0.5:
        trait_of = m.trait(table, is_measure)
        measure = f"SUM({table.column(trait_of)})"
        ways = [f"total {trait_of.words} of {many} by {unit} in which they {happened(trait)}{of}, in order of time"]
    sql = f"SELECT {part}, {measure} FROM {table.sql}{where} GROUP BY {part} ORDER BY {part}"
    return Asked("date", m.say(*ways), sql)


def each_year(m: Maker) -> Asked:
    table = m.pick(having("day", "moment"))
    trait = m.trait(table, is_time)
    part = f"EXTRACT(YEAR FROM {table.column(trait)})"
    question = m.say(
        f"how many {table.thing.many} {happened(trait)} each year?",
        f"{table.thing.many} that {happened(trait)}, counted by year",
    )
    return Asked("date", question, f"SELECT {part}, COUNT(*) FROM {table.sql} GROUP BY {part} ORDER BY {part}")


def since(m: Maker) -> Asked:
    table = m.pick(having("day", "moment"))
    trait = m.trait(table, is_time)
    day = m.moment(table, trait)
    after = m.chance.random() < 0.5
    column = table.column(trait)
    spoken = m.chance.choice((day.isoformat(), f"{day.day} {MONTHS[day.month - 1]} {day.year}"))
    words = m.chance.choice(("on or after", "since")) if after else "before"
    question = m.say(
        f"which {table.thing.many} {happened(trait)} {words} {spoken}?",
        f"list the {table.thing.many} that {happened(trait)} {words} {spoken}.",
    )
    where = f"{column} {'>=' if after else '<'} {text(day.isoformat())}"
    return Asked("date", question, f"SELECT {shown(table)}, {column} FROM {table.sql} WHERE {where}")


def lately(m: Maker) -> Asked:
    table = m.pick(having("day", "moment"), lambda one: one.thing.called == "none" or measured(one))
    trait = m.trait(
        table, lambda one: one.is_time and one.words not in ("birth date", "starts on", "ends on", "due on")
    )
    number, unit = m.chance.choice(
        ((30, "days"), (90, "days"), (6, "months"), (3, "months"), (2, "years"), (8, "weeks"))
    )
    many, column = table.thing.many, table.column(trait)
    where = f"{column} >= CURRENT_DATE - INTERVAL '{number} {unit}'"
    if m.chance.random() < 0.5:
        question = m.say(f"how many {many} {happened(trait)} in the last {number} {unit}?")
        return Asked("date", question, f"SELECT COUNT(*) FROM {table.sql} WHERE {where}")
    question = m.say(f"which {many} {happened(trait)} within the past {number} {unit}?")
    return Asked("date", question, f"SELECT {shown(table)}, {column} FROM {table.sql} WHERE {where}")


def calendar(m: Maker) -> Asked:
    """With words that the gateway says the dates of."""
    table = m.pick(having("day", "moment"))
    trait = m.trait(table, lambda one: one.is_time and one.words != "birth date")
    this = m.today.replace(day=1)
    quarter = date(m.moment(table, trait).year, 3 * m.chance.randint(0, 3) + 1, 1)
    said, first, end = m.chance.choice(
        (
            ("last month", month_after(this, -1), this),
            ("this year", date(this.year, 1, 1), date(this.year + 1, 1, 1)),
            ("last year", date(this.year - 1, 1, 1), date(this.year, 1, 1)),
            ("this month", this, month_after(this)),
            (f"Q{quarter.month // 3 + 1} {quarter.year}", quarter, month_after(quarter, 3)),
        )
    )
    many = table.thing.many
    question = m.say(f"how many {many} {happened(trait)} {'in ' if said[0] == 'Q' else ''}{said}?")
    return Asked("date", question, f"SELECT COUNT(*) FROM {table.sql} WHERE {between(table, trait, first, end)}")


def weekdays(m: Maker) -> Asked:
    table = m.pick(having("day", "moment"))
    trait = m.trait(table, is_time)
    part = f"EXTRACT(ISODOW FROM {table.column(trait)})"
    many = table.thing.many
    if m.chance.random() < 0.5:
        question = m.say(
            f"how many {many} {happened(trait)} on a weekend?",
            f"{many} that {happened(trait)} on Saturday or Sunday, how many?",
        )
        return Asked("date", question, f"SELECT COUNT(*) FROM {table.sql} WHERE {part} IN (6, 7)")
    question = m.say(
        f"how many {many} {happened(trait)} on each day of the week?",
        f"{many} by weekday on which they {happened(trait)}",
    )
    return Asked("date", question, f"SELECT {part}, COUNT(*) FROM {table.sql} GROUP BY {part} ORDER BY {part}")


def took(m: Maker) -> Asked:
    table = m.pick(lambda one: len(one.of("day")) > 1 or len(one.of("moment")) > 1)
    kind = "day" if len(table.of("day")) > 1 else "moment"
    first, last = table.of(kind)[:2]
    begin, end = table.column(first), table.column(last)
    many = table.thing.many
    if kind == "day":
        unit, length = "days", f"{end} - {begin}"
    else:
        unit = m.chance.choice(("hours", "days", "minutes"))
        length = f"EXTRACT(EPOCH FROM {end} - {begin}) / {SECONDS[unit]}"
    if m.chance.random() < 0.5:
        question = m.say(
            f"how many {unit} pass on average between {called(first)} and {called(last)} of {many}?",
            f"average time from {called(first)} to {called(last)} of the {many}, in {unit}",
        )
        return Asked("date", question, f"SELECT AVG({length}) FROM {table.sql}")
    question = m.say(f"which {table.thing.one} took the longest from {called(first)} to {called(last)}, in {unit}?")
    sql = f"SELECT {shown(table)}, {length} FROM {table.sql} WHERE NOT {end} IS NULL ORDER BY {length} DESC LIMIT 1"
    return Asked("date", question, sql)


def longer_ago(m: Maker) -> Asked:
    table = m.pick(having("day", "moment"))
    trait = m.trait(table, is_time)
    years = max(1, (m.today - m.moment(table, trait) + timedelta(days=1)).days // 366)
    unit = "year" if years == 1 else "years"
    column = table.column(trait)
    question = m.say(f"which {table.thing.many} {happened(trait)} more than {years} {unit} ago?")
    where = f"{column} < CURRENT_DATE - INTERVAL '{years} {unit}'"
    return Asked("date", question, f"SELECT {shown(table)}, {column} FROM {table.sql} WHERE {where}")


DATE = (in_year, in_month, each_month, each_month, each_year, since, lately, calendar, weekdays, took, longer_ago)
