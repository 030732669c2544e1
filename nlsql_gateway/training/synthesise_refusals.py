"""Questions that the schema cannot answer (``unanswerable``): near misses first, for far ones teach little."""

from __future__ import annotations

import re

from nlsql_gateway.ask.linking import STOP, alike, words
from nlsql_gateway.training.synthesise_asking import Asked, Maker, NothingToAsk, called
from nlsql_gateway.training.synthesise_domains import Thing, Trait, domains

_ELSE = (
    "what will the weather be tomorrow?",
    "how many {many} will there be next year?",
    "which {one} should we close down?",
    "write a poem about {many}.",
    "why did the number of {many} change?",
    "what do people on the internet say about our {many}?",
    "who is the president of France?",
    "send an e-mail to all {many}.",
    "predict the number of {many} for the next quarter.",
)
_FAR = ("photograph", "e-mail address", "telephone number", "shoe size", "favourite colour", "password", "tax number")


def missing_trait(m: Maker) -> Asked:
    """Something that such things have elsewhere, and no column here holds."""
    found = [
        (table, trait)
        for table in m.schema.tables.values()
        for trait in table.missing
        if not _is_known(m, trait.words) and trait.kind != "flag"
    ]
    if not found:
        raise NothingToAsk
    table, trait = m.chance.choice(found)
    return Asked("unanswerable", _about(m, table.thing, trait), None)


def missing_thing(m: Maker) -> Asked:
    absent = [thing for thing in m.schema.absent if not _is_known(m, thing.one)]
    if not absent:
        raise NothingToAsk
    thing = m.chance.choice(absent)
    question = m.say(
        f"how many {thing.many} are there?",
        f"list all {thing.many}.",
        f"number of {thing.many} by {m.chance.choice(thing.traits).words}",
    )
    return Asked("unanswerable", question, None)


def missing_domain(m: Maker) -> Asked:
    other = m.chance.choice([name for name in sorted(domains()) if name != m.schema.domain])
    thing = m.chance.choice(list(domains()[other].values()))
    trait = m.chance.choice(thing.traits)
    if _is_known(m, thing.one):
        raise NothingToAsk
    return Asked("unanswerable", _about(m, thing, trait), None)


def private_matter(m: Maker) -> Asked:
    table = m.pick()
    wanted = m.chance.choice(_FAR)
    if _is_known(m, wanted):
        raise NothingToAsk
    many = table.thing.many
    question = m.say(f"what is the {wanted} of each {table.thing.one}?", f"list the {many} with their {wanted}.")
    return Asked("unanswerable", question, None)


def no_matter_of_data(m: Maker) -> Asked:
    table = m.pick()
    question = m.chance.choice(_ELSE).format(one=table.thing.one, many=table.thing.many)
    return Asked("unanswerable", m.say(question), None)


def _about(m: Maker, thing: Thing, trait: Trait) -> str:
    many = thing.many
    if trait.is_number:
        return m.say(
            f"what is the average {trait.words} of {many}?",
            f"which {thing.one} has the highest {trait.words}?",
            f"list the {many} with their {trait.words}.",
            f"total {trait.words} of all {many}",
        )
    if trait.is_kind:
        return m.say(
            f"how many {many} are there for each {trait.words}?",
            f"which {many} have {trait.words} {m.chance.choice(trait.values)}?",
        )
    return m.say(f"show the {called(trait)} of each {thing.one}.", f"{many} sorted by {called(trait)}")


def _is_known(m: Maker, said: str) -> bool:
    """Whether the schema has one of the words, in a name, a comment or a value."""
    known = set(words(re.sub(r"\b(?:CREATE|TABLE|COMMENT|COLUMN|REFERENCES|integer|numeric)\b", " ", m.schema.ddl)))
    for table in m.schema.tables.values():
        known |= {word for spoken in (table.thing.one, *table.traits) for word in words(spoken)}
    return any(alike(word, other) for word in set(words(said)) - STOP for other in known)


REFUSALS = (
    *(missing_trait, missing_trait, missing_trait, missing_thing, missing_thing),
    *(missing_domain, private_matter, no_matter_of_data),
)
