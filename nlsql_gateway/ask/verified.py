"""Verified questions: which one a person asks, and with what values (pure). docs/semantics.md says the rules.

A verified answer is given without a model and without a doubt, so a wrong match is worse than none. A question matches
a wording when all their words are the same, in the same order, with values in the places of the parameters:

- *exactly*, but for case, white space and punctuation;
- or *nearly*: fillers ("please show me the") may be there or not, "how many" is "number of" and "per" is "by"; a word
  that names something in the schema may be in singular or plural, or have lost, doubled or swapped one letter.

Numbers, dates, quoted values, signs and negations are words like others here, so they never differ. What stands in the
place of a parameter must be a value of its type; see ``_value``. Where two values would fit, nothing matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache

from rapidfuzz import fuzz, process, utils
from rapidfuzz.distance import OSA, Indel

from nlsql_gateway.ask.linking import words
from nlsql_gateway.ask.semantics import Meanings, Parameter, Verified
from nlsql_gateway.ask.verified_sql import MARK, constant, filled
from nlsql_gateway.ask.verified_words import FUNCTIONAL, Token, alike, tokens
from nlsql_gateway.errors import GatewayError
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.names import outline

LIKELY = 70.0
"""Similarity (rapidfuzz, token_set_ratio) of a question and a wording that are worth a comparison word by word."""
CANDIDATES = 50
"""So many of them are compared."""
LONGEST_VALUE = 4
"""Words of a value that is not quoted."""
TYPO = 8
"""Letters of the shortest word in which one may be wrong."""


@dataclass(frozen=True, slots=True)
class Match:
    verified: Verified
    wording: str
    "The one that fits."
    sql: str
    "With the values filled in."
    exact: bool


@dataclass(frozen=True, slots=True)
class _Reading:
    """How the words of a question are taken."""

    known: frozenset[str]
    "Words of the schema."
    today: date
    near: bool
    all_capitals: bool = field(default=False)
    "Every word of the question begins with a capital, so that capitals mark no names."


def match(question: str, meanings: Meanings, schema: Callable[[], Catalog], today: date) -> Match | None:
    """The verified question that ``question`` is; None when there is none, or it is not clear which.

    ``schema`` gives what the person may see; it is called only where a question comes near.
    """
    if not meanings.questions:
        return None
    wordings = [(one, wording) for one in meanings.questions for wording in one.wordings]
    likely = process.extract(
        utils.default_process(alike(question)),
        _plain(tuple(wording for _, wording in wordings)),
        scorer=fuzz.token_set_ratio,
        limit=CANDIDATES,
        score_cutoff=LIKELY,
    )
    if not likely:
        return None
    known = frozenset(word for text in _names(schema(), meanings) for word in words(text))
    capitals = all(token.written[:1].isupper() for token in tokens(question) if token.kind == "word")
    for near in (False, True):
        reading = _Reading(known, today, near, capitals)
        found = [
            Match(one, wording, sql, not near)
            for _, _, index in likely
            for one, wording in [wordings[index]]
            if (sql := _answered(question, one, wording, reading)) is not None
        ]
        if len({one.sql for one in found}) == 1:
            return found[0]
        if found:
            return None
    return None


def similar(question: str, verified: Sequence[Verified], count: int) -> list[Verified]:
    """The ``count`` verified questions most like ``question``, best first: examples for a prompt.

    Which of them a person may be shown is ``shown``'s to say.
    """
    choices = [(one, wording) for one in verified for wording in one.wordings]
    found = process.extract(
        question,
        [MARK.sub(" ", wording) for _, wording in choices],
        scorer=fuzz.token_sort_ratio,
        processor=utils.default_process,
        limit=None,
    )
    best: list[Verified] = []
    for _, _, index in found:
        if len(best) == count:
            break
        if choices[index][0] not in best:
            best.append(choices[index][0])
    return best


def shown(verified: Verified, schema: Catalog) -> bool:
    """Whether all that its SQL names is in ``schema``: then it may be an example for somebody who sees that."""
    try:
        outlined = outline(filled(verified.sql, dict.fromkeys(verified.parameters, "NULL")), schema)
    except GatewayError:
        return False
    return not outlined.unknown and all(
        (not use.table and use.column in scope.outputs)
        or any(source.has(use.column) for source in sources if use.table in ("", source.alias))
        for scope in outlined.scopes
        for sources in [(*scope.sources, *scope.outer)]
        for use in scope.uses
    )


def _names(schema: Catalog, meanings: Meanings) -> Iterator[str]:
    for relation in schema.relations.values():
        yield relation.name
        for column in relation.columns:
            yield column.name
    yield from meanings.synonyms
    for metric in meanings.metrics:
        yield from (metric.name, *metric.also)


@lru_cache(maxsize=64)
def _plain(wordings: tuple[str, ...]) -> tuple[str, ...]:
    """Of one file, for the search of those that are alike."""
    return tuple(utils.default_process(alike(MARK.sub(" ", wording))) for wording in wordings)


@lru_cache(maxsize=8192)
def _wanted(wording: str, near: bool) -> tuple[Token, ...]:
    return tuple(token for token in tokens(wording, near=near) if token.kind != "mark" and not (near and token.filler))


def _answered(question: str, verified: Verified, wording: str, reading: _Reading) -> str | None:
    asked = tokens(question, near=reading.near)
    wanted = _wanted(wording, reading.near)
    ways = {tuple(sorted(values.items())) for values in _ways(wanted, asked, 0, 0, verified.parameters, reading)}
    if len(ways) != 1:
        return None
    return filled(verified.sql, dict(ways.pop()))


def _ways(
    wanted: Sequence[Token],
    asked: Sequence[Token],
    at: int,
    here: int,
    parameters: Mapping[str, Parameter],
    reading: _Reading,
) -> Iterator[dict[str, str]]:
    """Each way to lay ``asked`` from ``here`` over ``wanted`` from ``at``: parameter -> SQL constant."""
    while True:
        if at < len(wanted) and wanted[at].kind == "parameter":
            name = wanted[at].text
            for end in range(here + 1, min(here + LONGEST_VALUE, len(asked)) + 1):
                value = _value(asked[here:end], parameters[name], reading)
                if value is not None:
                    for rest in _ways(wanted, asked, at + 1, end, parameters, reading):
                        yield {name: value, **rest}
        if here == len(asked):
            if at == len(wanted):
                yield {}
            return
        if at < len(wanted) and _same(wanted[at], asked[here], reading):
            at, here = at + 1, here + 1
        elif asked[here].kind == "mark" or (reading.near and asked[here].filler):
            here += 1
        else:
            return


def _same(wanted: Token, asked: Token, reading: _Reading) -> bool:
    if wanted.kind != asked.kind or wanted.kind == "parameter":
        return False
    if wanted.text == asked.text:
        return True
    if not reading.near or wanted.kind != "word":
        return False
    one, two = words(wanted.text), words(asked.text)
    if len(one) != 1 or len(two) != 1 or one[0] not in reading.known:
        return False
    return one == two or (two[0] not in reading.known and _slip(one[0], two[0]))


def _slip(right: str, written: str) -> bool:
    """One letter lost, doubled, added or swapped with its neighbour. Not exchanged: that makes another word too often
    (shipping, shopping); nor the first one, for a prefix may negate."""
    if min(len(right), len(written)) < TYPO - 1 or max(len(right), len(written)) < TYPO or right[0] != written[0]:
        return False
    if right[-2:] != written[-2:]:
        return False  # an ending means something: subscribed, subscriber
    return OSA.distance(right, written) == 1 and (
        Indel.distance(right, written) == 1 or sorted(right) == sorted(written)
    )


def _value(span: Sequence[Token], parameter: Parameter, reading: _Reading) -> str | None:
    """The SQL constant that ``span`` is as a value of ``parameter``; None when it is none."""
    text = span[0].text if len(span) == 1 else " ".join(token.written for token in span)
    if parameter.values:
        return next(
            (constant(value, parameter.type) for value in parameter.values if value.casefold() == text.casefold()), None
        )
    if parameter.type == "text":
        return constant(_text(span, reading), "text")
    if len(span) != 1:
        return None
    match parameter.type:
        case "date":
            return constant(_day(span[0], reading.today), "date")
        case "integer" | "number":
            return constant(text, parameter.type) if span[0].kind == "number" else None
        case "boolean":
            return constant(text, "boolean") if span[0].kind == "word" else None


def _day(token: Token, today: date) -> str:
    if token.kind == "word" and token.text in ("today", "yesterday"):
        return (today - timedelta(days=token.text == "yesterday")).isoformat()
    return token.text if token.kind in ("date", "quoted") else ""


def _text(span: Sequence[Token], reading: _Reading) -> str:
    """A quoted value as it is; else words that look like a name: each with a capital or a digit, and none that a
    question has a use for. Empty: it is none; a bare number may be a key as well as a name."""
    if len(span) == 1 and span[0].kind == "quoted":
        return span[0].written
    if any(token.kind != "word" for token in span) or span[0].first or reading.all_capitals:
        return ""
    for token in span:
        named = token.written[0].isupper() or any(character.isdigit() for character in token.written)
        parts = {part for part in re.split(r"\W", token.text) if len(part) > 1} | {token.text}  # Non-EU is no place
        if not named or not FUNCTIONAL.isdisjoint(parts) or not reading.known.isdisjoint(words(token.text)):
            return ""
    return " ".join(token.written for token in span)
