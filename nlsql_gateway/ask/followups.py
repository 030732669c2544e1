"""Follow-ups: questions that go on from the session's last one (pure). docs/asking.md has the rule.

``-- ask: revenue by store`` and then ``-- ask: and by month?``: the model is shown the last question and its SQL as an
earlier turn. A question that is taken for a follow-up and is none costs a longer prompt; one that is none by this rule
can be asked with ``ask more:``. Both times the SQL is shown, and decided on like any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from nlsql_gateway.ask.linking import words
from nlsql_gateway.ask.verified_words import FUNCTIONAL
from nlsql_gateway.sql.catalog import Catalog

LONGEST: Final = 500
"""Characters of the questions that a topic keeps, the last ones."""
MIDDLING: Final = 8
"""Words of the longest that is one because of its end."""
SHORT: Final = 4
"""Words of the longest question that is a follow-up because it begins with a preposition."""

_BEGINS: Final = re.compile(
    r"(?:and|but|also|now|then|instead|only|just|same|except|excluding|what about|how about|the same|this time|"
    r"(?:sort|order|group|split|break|limit|filter|restrict|narrow)(?:ed)?\s+(?:it|them|that|those|these|this|by|to|down)|"
    r"add|remove|drop|include|exclude|leave out)\b",
    re.IGNORECASE,
)
_PREPOSITION: Final = re.compile(
    r"(?:in|for|by|per|from|since|before|after|with|without|during|between|over|under|above|below|as|not|or|to)\b",
    re.IGNORECASE,
)
_ENDS: Final = re.compile(r"\b(?:instead|as well|too|this time|again)\s*[?.!]*$", re.IGNORECASE)
_PRONOUNS: Final = frozenset("they them their theirs those these it its he him his she her hers ones".split())  # noqa: SIM905
_POINTING: Final = frozenset({"those", "these", "ones", "he", "she"})
_AHEAD: Final = frozenset("who that which where whose with when working having in of by from".split())  # noqa: SIM905
"""Behind 'those' they say which: nothing was said of them before."""
_EMPTY: Final = FUNCTIONAL | frozenset(
    "display find get give hi i kindly know let list me name names old please report return show tell us would".split()  # noqa: SIM905
)
"""Words that a pronoun cannot mean."""
_WORD: Final = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Topic:
    """What a session's next question may go on from."""

    question: str
    "The last one, with what it went on from before it; empty: what was said is to be forgotten."
    sql: str
    "As answered, before the policy."
    under: tuple[str, str] = ("", "")
    "The policy's version and the person's rights that it was answered under; with others it is not used."


FORGET: Final = Topic("", "")


def goes_on(question: str, nouns: Callable[[], Collection[str]]) -> bool:
    """Whether ``question`` cannot be understood without the one before. ``nouns`` are the words in tables' names.

    1. It begins like one that goes on: and, also, only, now, what about …, sort it by …
    2. It is short and begins with a preposition: in 2025?, by month, without returns.
    3. It is not long and ends so: instead, as well, too, again.
    4. A pronoun (they, those, its …) stands before anything that it could mean; but not those who, those with …
    """
    asked = question.strip()
    found = _WORD.findall(asked)
    if _BEGINS.match(asked) or (_PREPOSITION.match(asked) and len(found) <= SHORT):
        return True
    if len(found) <= MIDDLING and _ENDS.search(asked):
        return True
    # IT is no it: a department, perhaps.
    small = [word.lower() if word.istitle() else word for word in found]
    pronoun = next((at for at, word in enumerate(small) if word in _PRONOUNS), None)
    if pronoun is None or not _AHEAD.isdisjoint(small[pronoun + 1 :] if small[pronoun] in _POINTING else ()):
        return False
    before = small[:pronoun]
    named = [word for word in before if word not in _EMPTY]
    if not named:
        return True
    if before[-1] != "of" or len(named) > 1:  # the names of those
        return False
    known = nouns()
    return not any(word in known for word in words(named[0]))


def nouns(schema: Catalog) -> frozenset[str]:
    """The words in the names of the tables."""
    return frozenset(word for relation in schema.relations.values() for word in words(relation.name))


def topic(question: str, sql: str, before: Topic | None, under: tuple[str, str]) -> Topic:
    """What the next question may go on from, when ``question`` was answered with ``sql``."""
    said: Iterable[str] = (question,) if before is None else (before.question, question)
    return Topic(" / ".join(said)[-LONGEST:], sql, under)
