"""Questions about single rows: conditions (``where``) and orders (``order_by``)."""

from __future__ import annotations

from nlsql_gateway.training.synthesise_asking import (
    Asked,
    Maker,
    NothingToAsk,
    called,
    having,
    is_flag,
    is_measure,
    is_time,
    labelled,
    measured,
    shown,
    with_value,
)
from nlsql_gateway.training.synthesise_schema import text


def count_of_kind(m: Maker) -> Asked:
    table = m.pick(having("of", "city"))
    trait, value = m.kind_value(table)
    those = m.chance.choice(with_value(trait, value, table.thing.many))
    question = m.say(f"how many {those} are there?", f"count the {those}.", f"number of {those}?")
    return Asked("where", question, f"SELECT COUNT(*) FROM {table.sql} WHERE {table.column(trait)} = {text(value)}")


def list_above(m: Maker) -> Asked:
    table = m.pick(measured)
    trait = m.trait(table, is_measure)
    number = m.limit(table, trait)
    words, sign = m.chance.choice((("more than", ">"), ("at least", ">="), ("less than", "<"), ("at most", "<=")))
    many = table.thing.many
    question = m.say(
        f"which {many} have a {trait.words} of {words} {number}?",
        f"list the {many} with {words} {number} {trait.words}.",
        f"show me all {many} whose {trait.words} is {words} {number}.",
    )
    where = f"{table.column(trait)} {sign} {number}"
    return Asked("where", question, f"SELECT {shown(table)}, {table.column(trait)} FROM {table.sql} WHERE {where}")


def two_conditions(m: Maker) -> Asked:
    table = m.pick(having("of", "city"), measured)
    kind, value = m.kind_value(table)
    trait = m.trait(table, is_measure)
    number = m.limit(table, trait)
    both = m.chance.random() < 0.7
    those = m.chance.choice(with_value(kind, value, table.thing.many)[:2])
    joint = "and" if both else "or"
    question = m.say(
        f"which {those} {joint} {'have' if both else 'that have'} a {trait.words} over {number}?",
        f"find {those} {joint} a {trait.words} above {number}.",
    )
    where = f"{table.column(kind)} = {text(value)} {joint.upper()} {table.column(trait)} > {number}"
    return Asked("where", question, f"SELECT {shown(table)}, {table.column(trait)} FROM {table.sql} WHERE {where}")


def without_date(m: Maker) -> Asked:
    table = m.pick(having("day", "moment"))
    trait = m.trait(table, is_time)
    if all(row[table.traits[trait.words]] is not None for row in table.rows):
        raise NothingToAsk
    many = table.thing.many
    question = m.say(
        f"which {many} have no {called(trait)} yet?",
        f"{many} where {called(trait)} is missing",
        f"list all {many} without a value for {called(trait)}.",
    )
    return Asked("where", question, f"SELECT {shown(table)} FROM {table.sql} WHERE {table.column(trait)} IS NULL")


def name_contains(m: Maker) -> Asked:
    table = m.pick(labelled)
    word = str(m.stored(table, table.label)).split()[m.chance.randint(0, 1)]
    many = table.thing.many
    question = m.say(
        f"which {many} have {word} in their name?",
        f"find all {many} whose name contains {word}.",
        f"{many} called something with '{word}'",
    )
    return Asked(
        "where", question, f"SELECT {table.named} FROM {table.sql} WHERE {table.named} ILIKE {text(f'%{word}%')}"
    )


def flagged(m: Maker) -> Asked:
    table = m.pick(having("flag"))
    trait = m.trait(table, is_flag)
    many, column = table.thing.many, table.column(trait)
    negated = m.chance.random() < 0.4
    predicate = trait.predicate
    if negated:
        verb, _, rest = predicate.partition(" ")
        predicate = f"are not {rest}" if verb == "are" else f"do not {predicate}"
    where = f"NOT {column}" if negated else column
    if m.chance.random() < 0.5:
        question = m.say(f"how many {many} {predicate}?", f"count all {many} that {predicate}.")
        return Asked("where", question, f"SELECT COUNT(*) FROM {table.sql} WHERE {where}")
    question = m.say(f"which {many} {predicate}?", f"list the {many} that {predicate}.", f"all {many} that {predicate}")
    return Asked("where", question, f"SELECT {shown(table)} FROM {table.sql} WHERE {where}")


def one_of(m: Maker) -> Asked:
    table = m.pick(having("of", "city"))
    trait, value = m.kind_value(table)
    others = [one for one in trait.values if one != value]
    other = m.chance.choice(others)
    many, column = table.thing.many, table.column(trait)
    if m.chance.random() < 0.4:
        question = m.say(
            f"how many {many} have a {trait.words} other than {value}?",
            f"count {many} whose {trait.words} is not {value}.",
        )
        return Asked("where", question, f"SELECT COUNT(*) FROM {table.sql} WHERE {column} <> {text(value)}")
    question = m.say(
        f"list the {many} whose {trait.words} is {value} or {other}.",
        f"which {many} have {trait.words} {value} or {other}?",
    )
    return Asked(
        "where",
        question,
        f"SELECT {shown(table)}, {column} FROM {table.sql} WHERE {column} IN ({text(value)}, {text(other)})",
    )


def within(m: Maker) -> Asked:
    table = m.pick(measured)
    trait = m.trait(table, is_measure)
    low, high = sorted((m.limit(table, trait), m.limit(table, trait)))
    if low == high:
        high = low + 10
    many, column = table.thing.many, table.column(trait)
    question = m.say(
        f"which {many} have a {trait.words} between {low} and {high}?",
        f"{many} with {trait.words} from {low} to {high}",
    )
    return Asked(
        "where", question, f"SELECT {shown(table)}, {column} FROM {table.sql} WHERE {column} BETWEEN {low} AND {high}"
    )


def of_one(m: Maker) -> Asked:
    table = m.pick(labelled, measured)
    trait = m.trait(table, lambda one: not is_flag(one))
    name = str(m.stored(table, table.label))
    question = m.say(
        f"what is the {called(trait)} of {name}?", f"tell me {name}'s {called(trait)}.", f"{called(trait)} of {name}?"
    )
    return Asked(
        "where",
        question,
        f"SELECT {table.named}, {table.column(trait)} FROM {table.sql} WHERE {table.named} ILIKE {text(name)}",
    )


def above_average(m: Maker) -> Asked:
    table = m.pick(measured)
    trait = m.trait(table, is_measure)
    many, column = table.thing.many, table.column(trait)
    above = m.chance.random() < 0.7
    words = "above" if above else "below"
    question = m.say(
        f"which {many} have a {trait.words} {words} the average?",
        f"list {many} with {'more' if above else 'less'} {trait.words} than average.",
    )
    inner = f"(SELECT AVG({column}) FROM {table.sql})"
    return Asked(
        "where",
        question,
        f"SELECT {shown(table)}, {column} FROM {table.sql} WHERE {column} {'>' if above else '<'} {inner}",
    )


def one_number(m: Maker) -> Asked:
    table = m.pick(measured, having("of", "city"))
    trait = m.trait(table, is_measure)
    kind, value = m.kind_value(table)
    words, function = m.chance.choice(
        (("average", "AVG"), ("total", "SUM"), ("highest", "MAX"), ("lowest", "MIN"), ("mean", "AVG"))
    )
    those = m.chance.choice(with_value(kind, value, table.thing.many)[:2])
    question = m.say(f"what is the {words} {trait.words} of {those}?", f"{words} {trait.words} for {those}?")
    where = f"{table.column(kind)} = {text(value)}"
    return Asked("where", question, f"SELECT {function}({table.column(trait)}) FROM {table.sql} WHERE {where}")


def top(m: Maker) -> Asked:
    table = m.pick(measured)
    trait = m.trait(table, lambda one: one.is_number)
    many, column = table.thing.many, table.column(trait)
    number, most = m.chance.choice((1, 3, 5, 10)), m.chance.random() < 0.7
    best = "highest" if most else "lowest"
    if number == 1:
        question = m.say(
            f"which {table.thing.one} has the {best} {trait.words}?",
            f"the {table.thing.one} with the {best} {trait.words}",
        )
    else:
        question = m.say(
            f"which {number} {many} have the {best} {trait.words}?",
            f"list the {'top' if most else 'bottom'} {number} {many} by {trait.words}.",
            f"{number} {many} with the {best} {trait.words}",
        )
    order = f"{column} DESC" if most else column
    return Asked(
        "order_by", question, f"SELECT {shown(table)}, {column} FROM {table.sql} ORDER BY {order} LIMIT {number}"
    )


def sorted_list(m: Maker) -> Asked:
    table = m.pick(measured)
    trait = m.trait(table, lambda one: one.is_number or one.is_time)
    many, column = table.thing.many, table.column(trait)
    down = m.chance.random() < 0.5
    high, low = ("latest", "earliest") if trait.is_time else ("highest", "lowest")
    question = m.say(
        f"list all {many} ordered by {called(trait)}, {high if down else low} first.",
        f"show {many} sorted by {called(trait)} in {'descending' if down else 'ascending'} order.",
        f"{many} and their {called(trait)}, from {high if down else low} to {low if down else high}",
    )
    order = f"{column} DESC" if down else column
    return Asked("order_by", question, f"SELECT {shown(table)}, {column} FROM {table.sql} ORDER BY {order}")


def latest(m: Maker) -> Asked:
    table = m.pick(having("day", "moment"))
    trait = m.trait(table, is_time)
    many, column = table.thing.many, table.column(trait)
    last, number = m.chance.random() < 0.5, m.chance.choice((1, 3, 5))
    words = "latest" if last else "earliest"
    question = m.say(
        f"which {table.thing.one if number == 1 else f'{number} {many}'} had the {words} {called(trait)}?",
        f"show the {f'{number} {many}' if number > 1 else table.thing.one} with the {words} {called(trait)}.",
    )
    order = f"{column} DESC" if last else column
    return Asked(
        "order_by", question, f"SELECT {shown(table)}, {column} FROM {table.sql} ORDER BY {order} LIMIT {number}"
    )


WHERE = (
    *(count_of_kind, list_above, two_conditions, without_date, name_contains, flagged),
    *(one_of, within, of_one, above_average, one_number),
)
ORDER_BY = (top, top, sorted_list, latest)
