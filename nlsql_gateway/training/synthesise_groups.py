"""Questions about groups of rows (``group_by``), the largest of them (``order_by``) and shares (``ratio``)."""

from __future__ import annotations

from nlsql_gateway.training.synthesise_asking import (
    Asked,
    Maker,
    NothingToAsk,
    having,
    is_flag,
    is_kind,
    is_measure,
    measured,
    ratio,
)
from nlsql_gateway.training.synthesise_schema import text

FUNCTIONS = (("average", "AVG"), ("total", "SUM"), ("highest", "MAX"), ("lowest", "MIN"))


def count_each(m: Maker) -> Asked:
    table = m.pick(having("of", "city"))
    kind = m.trait(table, is_kind)
    many = table.thing.many
    question = m.say(
        f"how many {many} are there for each {kind.words}?",
        f"count {many} per {kind.words}.",
        f"number of {many} by {kind.words}",
        f"break the {many} down by {kind.words}.",
        f"how are the {many} distributed over {kind.words}?",
    )
    column = table.column(kind)
    return Asked("group_by", question, f"SELECT {column}, COUNT(*) FROM {table.sql} GROUP BY {column}")


def measure_each(m: Maker) -> Asked:
    table = m.pick(having("of", "city"), measured)
    kind, trait = m.trait(table, is_kind), m.trait(table, is_measure)
    words, function = m.chance.choice(FUNCTIONS)
    many = table.thing.many
    question = m.say(
        f"what is the {words} {trait.words} of {many} for each {kind.words}?",
        f"{words} {trait.words} of the {many} by {kind.words}",
        f"show the {words} {trait.words} per {kind.words} of {many}.",
    )
    column = table.column(kind)
    return Asked(
        "group_by", question, f"SELECT {column}, {function}({table.column(trait)}) FROM {table.sql} GROUP BY {column}"
    )


def two_measures(m: Maker) -> Asked:
    table = m.pick(having("of", "city"), measured)
    kind, trait = m.trait(table, is_kind), m.trait(table, is_measure)
    words, function = m.chance.choice(FUNCTIONS)
    many, column = table.thing.many, table.column(kind)
    question = m.say(
        f"for each {kind.words}, how many {many} are there and what is their {words} {trait.words}?",
        f"number of {many} and {words} {trait.words} per {kind.words}",
    )
    measures = f"COUNT(*), {function}({table.column(trait)})"
    return Asked("group_by", question, f"SELECT {column}, {measures} FROM {table.sql} GROUP BY {column}")


def by_two(m: Maker) -> Asked:
    table = m.pick(lambda one: len(one.of("of", "city", "flag")) > 1, having("of", "city"))
    kind = m.trait(table, is_kind)
    other = m.trait(table, is_kind, kind)
    question = m.say(
        f"how many {table.thing.many} are there for each {kind.words} and {other.words}?",
        f"count the {table.thing.many} by {kind.words} and {other.words}.",
    )
    keys = f"{table.column(kind)}, {table.column(other)}"
    return Asked("group_by", question, f"SELECT {keys}, COUNT(*) FROM {table.sql} GROUP BY {keys}")


def having_many(m: Maker) -> Asked:
    table = m.pick(having("of", "city"))
    kind = m.trait(table, is_kind)
    column = table.column(kind)
    number = max(1, len(table.rows) // (len(kind.values) + 1))
    question = m.say(
        f"which {kind.words} values have more than {number} {table.thing.many}?",
        f"list each {kind.words} that more than {number} {table.thing.many} have.",
    )
    return Asked(
        "group_by", question, f"SELECT {column}, COUNT(*) FROM {table.sql} GROUP BY {column} HAVING COUNT(*) > {number}"
    )


def different(m: Maker) -> Asked:
    table = m.pick(lambda one: len(one.of("of", "city")) > 1)
    kind = m.trait(table, is_kind)
    other = m.trait(table, is_kind, kind)
    question = m.say(
        f"how many different {other.words} values do the {table.thing.many} have in each {kind.words}?",
        f"number of distinct {other.words} entries of {table.thing.many} per {kind.words}",
    )
    column = table.column(kind)
    return Asked(
        "group_by",
        question,
        f"SELECT {column}, COUNT(DISTINCT {table.column(other)}) FROM {table.sql} GROUP BY {column}",
    )


def most_common(m: Maker) -> Asked:
    table = m.pick(having("of", "city"))
    kind = m.trait(table, is_kind)
    column, most = table.column(kind), m.chance.random() < 0.75
    question = m.say(
        f"which {kind.words} has the {'most' if most else 'fewest'} {table.thing.many}?",
        f"what is the {'most' if most else 'least'} common {kind.words} of {table.thing.many}?",
    )
    order = "COUNT(*) DESC" if most else "COUNT(*)"
    return Asked(
        "order_by", question, f"SELECT {column}, COUNT(*) FROM {table.sql} GROUP BY {column} ORDER BY {order} LIMIT 1"
    )


def best_group(m: Maker) -> Asked:
    table = m.pick(having("of", "city"), measured)
    kind, trait = m.trait(table, is_kind), m.trait(table, is_measure)
    words, function = m.chance.choice(FUNCTIONS[:2])
    column, measure = table.column(kind), f"{function}({table.column(trait)})"
    number = m.chance.choice((1, 1, 2, 3))
    if number == 1:
        first = f"the {kind.words} with the highest {words} {trait.words} of {table.thing.many}"
    else:
        first = f"top {number} {kind.words} values by {words} {trait.words} of {table.thing.many}"
    question = m.say(
        f"which {kind.words if number == 1 else f'{number} {kind.words} values'} of {table.thing.many} "
        f"{'has' if number == 1 else 'have'} the highest {words} {trait.words}?",
        first,
    )
    sql = f"SELECT {column}, {measure} FROM {table.sql} GROUP BY {column} ORDER BY {measure} DESC LIMIT {number}"
    return Asked("order_by", question, sql)


def share_of(m: Maker) -> Asked:
    table = m.pick(having("of", "city", "flag"))
    many = table.thing.many
    if table.of("flag") and m.chance.random() < 0.5:
        flag = m.trait(table, is_flag)
        those, condition = f"that {flag.predicate}", table.column(flag)
    else:
        if not table.of("of", "city"):
            raise NothingToAsk
        kind, value = m.kind_value(table)
        those, condition = f"whose {kind.words} is {value}", f"{table.column(kind)} = {text(value)}"
    percent = m.chance.random() < 0.5
    if percent:
        question = m.say(
            f"what percentage of {many} are those {those}?", f"how many percent of the {many} are ones {those}?"
        )
    else:
        question = m.say(
            f"what share of {many} are those {those}?",
            f"what is the proportion of {many} {those}?",
            f"fraction of {many} {those}",
        )
    above = (
        f"COUNT(*) FILTER (WHERE {condition})"
        if m.chance.random() < 0.5
        else f"SUM(CASE WHEN {condition} THEN 1 ELSE 0 END)"
    )
    above = f"{above} * 100" if percent else above
    value_sql = ratio(above, "COUNT(*)") if not percent else f"CAST({above} AS DECIMAL) / NULLIF(COUNT(*), 0)"
    return Asked("ratio", question, f"SELECT {value_sql} FROM {table.sql}")


def share_each(m: Maker) -> Asked:
    table = m.pick(having("of", "city"), having("flag"))
    kind, flag = m.trait(table, is_kind), m.trait(table, is_flag)
    question = m.say(
        f"for each {kind.words}, what share of the {table.thing.many} {flag.predicate}?",
        f"share of {table.thing.many} that {flag.predicate}, by {kind.words}",
    )
    column = table.column(kind)
    share = ratio(f"COUNT(*) FILTER (WHERE {table.column(flag)})", "COUNT(*)")
    return Asked("ratio", question, f"SELECT {column}, {share} FROM {table.sql} GROUP BY {column}")


def one_to_other(m: Maker) -> Asked:
    table = m.pick(lambda one: len([trait for trait in one.of("count", "amount") if is_measure(trait)]) > 1)
    above = m.trait(table, is_measure)
    below = m.trait(table, is_measure, above)
    sums = ratio(f"SUM({table.column(above)})", f"SUM({table.column(below)})")
    ways = [
        f"what is the ratio of total {above.words} to total {below.words} of all {table.thing.many}?",
        f"total {above.words} divided by total {below.words} over all {table.thing.many}",
    ]
    if table.of("of", "city") and m.chance.random() < 0.5:
        kind = m.trait(table, is_kind)
        column = table.column(kind)
        question = m.say(*(f"{way.rstrip('?')}, for each {kind.words}?" for way in ways))
        return Asked("ratio", question, f"SELECT {column}, {sums} FROM {table.sql} GROUP BY {column}")
    return Asked("ratio", m.say(*ways), f"SELECT {sums} FROM {table.sql}")


def kinds_compared(m: Maker) -> Asked:
    table = m.pick(having("of"))
    kind, value = m.kind_value(table)
    other = m.chance.choice([one for one in kind.values if one != value])
    column = table.column(kind)
    question = m.say(
        f"what is the ratio of {table.thing.many} with {kind.words} {value} to those with {kind.words} {other}?",
        f"ratio of {value} to {other} {table.thing.many} by {kind.words}",
    )
    counts = [f"COUNT(*) FILTER (WHERE {column} = {text(one)})" for one in (value, other)]
    return Asked("ratio", question, f"SELECT {ratio(*counts)} FROM {table.sql}")


def per_parent(m: Maker) -> Asked:
    parent, child = m.family()
    question = m.say(
        f"how many {child.thing.many} does a {parent.thing.one} have on average, those without any included?",
        f"average number of {child.thing.many} per {parent.thing.one}, over all {parent.thing.many}",
    )
    counts = (f"(SELECT COUNT(*) FROM {child.sql})", f"(SELECT COUNT(*) FROM {parent.sql})")
    return Asked("ratio", question, f"SELECT {ratio(*counts)}")


GROUP_BY = (count_each, measure_each, two_measures, by_two, having_many, different)
LARGEST = (most_common, best_group)
RATIO = (share_of, share_each, one_to_other, kinds_compared, per_parent)
