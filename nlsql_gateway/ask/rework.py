"""What code does to a readable answer before it is checked: names put right, then joins, then habits.

``repair.mend`` makes an answer run; what is here makes it say what was asked. Each part is a function of the text, the
schema and the question; the order is that of ``rework``.
"""

from __future__ import annotations

from collections.abc import Iterable

from nlsql_gateway.ask.grouping import grouped_as_asked
from nlsql_gateway.ask.joins import Key
from nlsql_gateway.ask.linking import STOP, alike, words
from nlsql_gateway.ask.repair import Mended, mend
from nlsql_gateway.errors import LimitError, StatementError
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.elimination import without_needless_joins
from nlsql_gateway.sql.habits import listed_once, settle, with_names, with_ratio
from nlsql_gateway.sql.measures import in_units, unit_of


def rework(sql: str, question: str, schema: Catalog) -> Mended:
    """``sql`` as far as code can put it right. Never raises; text that can't be read stays as it is."""
    mended = mend(sql, schema)
    try:
        better = without_needless_joins(
            mended.sql, schema, lambda one, others, keys: is_meant(one, others, question, keys)
        )
        if "ratio" in words(question):
            better = with_ratio(better)
        if (unit := unit_of(question)) is not None:
            better = in_units(better, unit, schema)
        better = grouped_as_asked(better, question, schema)
        better = listed_once(better, schema)
        if not {"id", "ids"} & set(words(question)):
            better = with_names(better, schema)
        better = settle(better, schema)
    except (StatementError, LimitError):
        return mended
    return Mended(better, mended.problem, mended.strange)


def is_meant(table: Key, others: tuple[Key, ...], question: str, keys: Iterable[str] = ()) -> bool:
    """Whether the question has a word of the table's name, or of its columns ``keys``, that no other table has in its
    name: the students who have ``president_vote``.
    """
    own = {word for name in (table[1], *keys) for word in words(name)} - STOP - _KEYS
    own -= {word for other in others for word in words(other[1])}
    asked = words(question)
    return any(alike(word, other) or _shortens(word, other) for word in own for other in asked)


def _shortens(short: str, word: str) -> bool:
    """Whether ``lndng`` may stand for ``lending``: its letters in their order, without vowels."""
    if len(short) < 3 or short[0] != word[0] or _VOWELS & set(short[1:]):
        return False
    letters = iter(word)
    return all(letter in letters for letter in short)


_VOWELS = frozenset("aeiou")


_KEYS = frozenset({"id", "no", "number", "code", "key", "name"})
"""What a key is called, whatever it is the key of."""
