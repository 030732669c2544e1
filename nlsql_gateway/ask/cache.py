"""AnswerCache: the questions that were answered before. What is kept is the SQL; it is decided on again at each use.

A ``Key`` has everything in it that an answer depends on, so nothing has to be thrown away when one of the parts
changes: what is not asked for any more goes out at the other end. Not every server says which version of the model it
serves before it is asked, so the first answer of another version makes all before it be forgotten too. Refusals and
errors are not kept.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import replace
from datetime import date
from typing import Final, NamedTuple

from nlsql_gateway.ask.values import Answer

LONGEST: Final = 16 * 1024
"""Characters of SQL and question of the longest answer that is kept."""

_OPENERS: Final = frozenset(
    """a all an and are at average by can count did display do does fetch find for from get give has have how in is
    list name of on only per please return select show tell the to top total was were what when where which who whose
    with""".split()  # noqa: SIM905
)
"""Words whose capital at the beginning of a question says nothing."""


class Key(NamedTuple):
    """What an answer depends on. Two people share one only if their ``rights`` are the same."""

    question: str
    "As ``normal`` gives it."
    database: str
    rights: str
    "What decides which schema and rows the person sees."
    policy: str
    "Its version, as of the next two."
    catalog: str
    semantics: str
    model: str
    "As configured, with what serves, as ``Generator.serving`` says."
    today: date
    "The person's: a question may say 'last month'."
    before: tuple[str, str] = ("", "")
    "The question and the SQL that a follow-up refers to."


def normal(question: str) -> str:
    """The question without what cannot matter: white space, the end's punctuation, the first word's capital.

    Case is kept otherwise: a name in a question is compared with values in the database.
    """
    words = re.sub(r"[\s.?!;]+$", "", question).split()
    if words and words[0].lower() in _OPENERS:
        words[0] = words[0].lower()
    return " ".join(words)


class AnswerCache:
    """Of at most ``entries``, the least recently used goes first; none are kept when that is 0."""

    def __init__(self, entries: int) -> None:
        self._most = entries
        self._known: OrderedDict[Key, Answer] = OrderedDict()
        self._version = ""
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._known)

    @property
    def is_off(self) -> bool:
        return not self._most

    def get(self, key: Key) -> Answer | None:
        """The answer to the same question; it says that it is ``cached``."""
        answer = self._known.get(key)
        if answer is None:
            self.misses += 1
            return None
        self.hits += 1
        self._known.move_to_end(key)
        return replace(answer, attempts=0, cached=True)

    def put(self, key: Key, answer: Answer) -> None:
        if answer.version != self._version:
            self._known.clear()
            self._version = answer.version
        if not self._most or len(answer.sql) + len(key.question) > LONGEST:
            return
        self._known[key] = answer
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
