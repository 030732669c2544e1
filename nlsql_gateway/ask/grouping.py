"""A total where a total for each was asked for: ``how many loans per branch`` -> grouped by the branch (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from nlsql_gateway.ask.linking import words
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.totals import Place, group_total

_EACH: Final = re.compile(
    r"\b(?:per|each|every|(?P<done>\w+(?:ed|en|ght)\s+(?:(?:in|on|to|for|at)\s+)?)?by)\s+(?:the\s+)?(?P<one>[a-z]+)(?:\s+(?P<two>[a-z]+))?",
    re.IGNORECASE,
)
"""``by``, unless somebody did it: lessons taught by a teacher, loans approved by the bank."""
_SPLIT: Final = frozenset(
    {"grouped", "broken", "divided", "sorted", "ordered", "counted", "summed", "aggregated", "listed"}
)
_KINDS: Final = (("name",), (), ("title",), ("code",), ("id",), ("no",))
"""What may follow in a column's name, the best first."""


def grouped_as_asked(sql: str, question: str, schema: Catalog) -> str:
    """``sql`` grouped by the column that is named like what stands behind *per* or *each*; see ``group_total``.

    Raises StatementError (not readable), LimitError.
    """
    things = list(_things(question))
    return group_total(sql, schema, lambda places: _named(things, places)) if things else sql


def _things(question: str) -> Iterator[list[str]]:
    for each in _EACH.finditer(question):
        if each["done"] and each["done"].split()[0].lower() not in _SPLIT:
            continue
        if each["two"]:
            yield words(f"{each['one']} {each['two']}")
        yield words(each["one"])


def _named(things: Sequence[list[str]], places: Sequence[Place]) -> Place | None:
    spelt = [(place, words(place[1])) for place in places]
    wanted = ([*thing, *kind] for thing in things for kind in _KINDS)
    return next((place for name in wanted for place, spelling in spelt if spelling == name), None)
