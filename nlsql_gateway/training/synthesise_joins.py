"""Questions about things and what belongs to them (``join``)."""

from __future__ import annotations

from nlsql_gateway.training.synthesise_asking import (
    Asked,
    Maker,
    NothingToAsk,
    having,
    is_kind,
    is_measure,
    measured,
    shown,
    with_value,
)
from nlsql_gateway.training.synthesise_schema import Table, text


def of_parent(m: Maker) -> Asked:
    parent, child = m.family()
    name = str(m.stored(parent, parent.label))
    many = child.thing.many
    joined = f"FROM {child.sql} JOIN {parent.sql} ON {child.link(parent)} WHERE {parent.named} ILIKE {text(name)}"
    if m.chance.random() < 0.5:
        question = m.say(
            f"how many {many} belong to {name}?",
            f"number of {many} of {parent.thing.one} {name}",
            f"count {name}'s {many}.",
        )
        return Asked("join", question, f"SELECT COUNT(*) {joined}")
    if not measured(child):
        raise NothingToAsk
    trait = m.trait(child, is_measure)
    words, function = m.chance.choice((("total", "SUM"), ("average", "AVG"), ("highest", "MAX")))
    question = m.say(
        f"what is the {words} {trait.words} of the {many} of {name}?",
        f"{words} {trait.words} for {many} of {parent.thing.one} {name}",
    )
    return Asked("join", question, f"SELECT {function}({child.column(trait)}) {joined}")


def list_of_parent(m: Maker) -> Asked:
    parent, child = m.family(lambda one: one.label)
    name = str(m.stored(parent, parent.label))
    question = m.say(
        f"which {child.thing.many} belong to {parent.thing.one} {name}?",
        f"list the {child.thing.many} of {name}.",
        f"{name}'s {child.thing.many}",
    )
    sql = (
        f"SELECT {child.named} FROM {child.sql} JOIN {parent.sql} ON {child.link(parent)} "
        f"WHERE {parent.named} ILIKE {text(name)}"
    )
    return Asked("join", question, sql)


def under_condition(m: Maker) -> Asked:
    found = [
        (m.schema.tables[parent], child)
        for child in m.schema.tables.values()
        for parent in child.parents
        if m.schema.tables[parent].of("of", "city")
    ]
    if not found:
        raise NothingToAsk
    parent, child = m.chance.choice(found)
    kind, value = m.kind_value(parent)
    those = m.chance.choice(with_value(kind, value, parent.thing.many)[:2])
    many = child.thing.many
    joined = f"FROM {child.sql} JOIN {parent.sql} ON {child.link(parent)} WHERE {parent.column(kind)} = {text(value)}"
    if measured(child) and m.chance.random() < 0.5:
        trait = m.trait(child, is_measure)
        words, function = m.chance.choice((("total", "SUM"), ("average", "AVG")))
        question = m.say(
            f"what is the {words} {trait.words} of {many} of {those}?", f"{words} {trait.words} over {many} of {those}"
        )
        return Asked("join", question, f"SELECT {function}({child.column(trait)}) {joined}")
    question = m.say(f"how many {many} do {those} have?", f"number of {many} of {those}")
    return Asked("join", question, f"SELECT COUNT(*) {joined}")


def without_children(m: Maker) -> Asked:
    parent, child = m.family()
    question = m.say(
        f"which {parent.thing.many} have no {child.thing.many}?",
        f"list the {parent.thing.many} without any {child.thing.many}.",
        f"{parent.thing.many} that never had a {child.thing.one}",
    )
    sql = (
        f"SELECT {parent.named} FROM {parent.sql} LEFT JOIN {child.sql} ON {child.link(parent)} "
        f"WHERE {child.sql}.{child.id.rpartition('.')[2]} IS NULL"
    )
    return Asked("join", question, sql)


def each_parent(m: Maker) -> Asked:
    parent, child = m.family()
    many, keys = child.thing.many, f"{parent.id}, {parent.named}"
    joined = f"FROM {child.sql} JOIN {parent.sql} ON {child.link(parent)}"
    measure, ways = _measure(m, parent, child)
    if m.chance.random() < 0.35:
        joined = f"FROM {parent.sql} LEFT JOIN {child.sql} ON {child.link(parent)}"
        ways = [f"how many {many} does each {parent.thing.one} have, also those without any?"]
        measure = f"COUNT({child.id})"
    return Asked("group_by", m.say(*ways), f"SELECT {keys}, {measure} {joined} GROUP BY {keys}")


def best_parents(m: Maker) -> Asked:
    parent, child = m.family()
    keys = f"{parent.id}, {parent.named}"
    many, number = child.thing.many, m.chance.choice((1, 1, 3, 5))
    measure, _ = "COUNT(*)", ""
    ways = [f"which {parent.thing.one} has the most {many}?", f"the {parent.thing.one} with the most {many}"]
    if number > 1:
        ways = [
            f"which {number} {parent.thing.many} have the most {many}?",
            f"top {number} {parent.thing.many} by number of {many}",
        ]
    if measured(child) and m.chance.random() < 0.5:
        trait = m.trait(child, is_measure)
        words, function = m.chance.choice((("total", "SUM"), ("average", "AVG")))
        measure = f"{function}({child.column(trait)})"
        those = f"{parent.thing.one} has" if number == 1 else f"{number} {parent.thing.many} have"
        ways = [f"which {those} the highest {words} {trait.words} of {many}?"]
    sql = (
        f"SELECT {keys}, {measure} FROM {child.sql} JOIN {parent.sql} ON {child.link(parent)} "
        f"GROUP BY {keys} ORDER BY {measure} DESC LIMIT {number}"
    )
    return Asked("order_by", m.say(*ways), sql)


def at_least(m: Maker) -> Asked:
    parent, child = m.family()
    keys, number = f"{parent.id}, {parent.named}", m.chance.choice((2, 3, 5))
    question = m.say(
        f"which {parent.thing.many} have at least {number} {child.thing.many}?",
        f"{parent.thing.many} with {number} or more {child.thing.many}",
    )
    sql = (
        f"SELECT {keys}, COUNT(*) FROM {child.sql} JOIN {parent.sql} ON {child.link(parent)} "
        f"GROUP BY {keys} HAVING COUNT(*) >= {number}"
    )
    return Asked("join", question, sql)


def both_names(m: Maker) -> Asked:
    parent, child = m.family(lambda one: one.label)
    question = m.say(
        f"list all {child.thing.many} with the name of their {parent.thing.one}.",
        f"which {parent.thing.one} does each {child.thing.one} belong to?",
    )
    sql = f"SELECT {child.named}, {parent.named} FROM {child.sql} JOIN {parent.sql} ON {child.link(parent)}"
    return Asked("join", question, sql)


def parents_of_some(m: Maker) -> Asked:
    parent, child = m.family(having("of", "city"))
    kind, value = m.kind_value(child)
    question = m.say(
        f"which {parent.thing.many} have {child.thing.many} whose {kind.words} is {value}?",
        f"list the {parent.thing.many} that have at least one {child.thing.one} with {kind.words} {value}.",
    )
    sql = (
        f"SELECT DISTINCT {parent.named} FROM {child.sql} JOIN {parent.sql} ON {child.link(parent)} "
        f"WHERE {child.column(kind)} = {text(value)}"
    )
    return Asked("join", question, sql)


def over_two(m: Maker) -> Asked:
    """What belongs to what belongs to it."""
    chains = [
        (m.schema.tables[top], m.schema.tables[middle], child)
        for child in m.schema.tables.values()
        for middle in child.parents
        for top in m.schema.tables[middle].parents
        if top not in child.parents
    ]
    if not chains:
        raise NothingToAsk
    top, middle, child = m.chance.choice(chains)
    joined = f"FROM {child.sql} JOIN {middle.sql} ON {child.link(middle)} JOIN {top.sql} ON {middle.link(top)}"
    if top.label and m.chance.random() < 0.6:
        measure, ways = _measure(m, top, child)
        keys = f"{top.id}, {top.named}"
        return Asked("join", m.say(*ways), f"SELECT {keys}, {measure} {joined} GROUP BY {keys}")
    kind = m.trait(top, is_kind)
    column = top.column(kind)
    question = m.say(f"how many {child.thing.many} are there for each {kind.words} of the {top.thing.many}?")
    return Asked("join", question, f"SELECT {column}, COUNT(*) {joined} GROUP BY {column}")


def across(m: Maker) -> Asked:
    """Two things that a third one ties together."""
    links = [
        (m.schema.tables[one], m.schema.tables[other], child)
        for child in m.schema.tables.values()
        for one in child.parents
        for other in child.parents
        if one != other and m.schema.tables[one].label and m.schema.tables[other].label
    ]
    if not links:
        raise NothingToAsk
    one, other, child = m.chance.choice(links)
    name = str(m.stored(other, other.label))
    question = m.say(
        f"which {one.thing.many} have {child.thing.many} with {other.thing.one} {name}?",
        f"list the {one.thing.many} that had a {child.thing.one} of {name}.",
    )
    sql = (
        f"SELECT DISTINCT {one.named} FROM {child.sql} JOIN {one.sql} ON {child.link(one)} "
        f"JOIN {other.sql} ON {child.link(other)} WHERE {other.named} ILIKE {text(name)}"
    )
    return Asked("join", question, sql)


def rows_with_parent(m: Maker) -> Asked:
    parent, child = m.family(measured)
    trait = m.trait(child, is_measure)
    number = m.limit(child, trait)
    question = m.say(
        f"which {child.thing.many} have a {trait.words} over {number}, and which {parent.thing.one} do they belong to?",
        f"{child.thing.many} with {trait.words} above {number}, with the name of the {parent.thing.one}",
    )
    sql = (
        f"SELECT {shown(child)}, {child.column(trait)}, {parent.named} FROM {child.sql} "
        f"JOIN {parent.sql} ON {child.link(parent)} WHERE {child.column(trait)} > {number}"
    )
    return Asked("join", question, sql)


def _measure(m: Maker, parent: Table, child: Table) -> tuple[str, list[str]]:
    """Something to tell of each parent, and ways to ask for it."""
    many = child.thing.many
    if measured(child) and m.chance.random() < 0.6:
        trait = m.trait(child, is_measure)
        words, function = m.chance.choice((("total", "SUM"), ("average", "AVG"), ("highest", "MAX")))
        return f"{function}({child.column(trait)})", [
            f"what is the {words} {trait.words} of {many} for each {parent.thing.one}?",
            f"{words} {trait.words} of {many} by {parent.thing.one}",
        ]
    return "COUNT(*)", [
        f"how many {many} does each {parent.thing.one} have?",
        f"number of {many} per {parent.thing.one}",
        f"count the {many} of each {parent.thing.one}.",
    ]


JOIN = (
    *(of_parent, list_of_parent, under_condition, without_children, at_least, both_names),
    *(parents_of_some, over_two, over_two, across, rows_with_parent),
)
PARENTS_GROUPED = (each_parent, each_parent)
PARENTS_ORDERED = (best_parents,)
