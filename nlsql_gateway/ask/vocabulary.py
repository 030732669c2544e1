"""Vocabulary: the values that a person's columns hold, as far as they were read; which of them a question names (pure).

Bounded in size, immutable, of one schema as one person sees it. What goes in is for its reader to answer for
(``vocabulary_reading.py``): nothing here asks whose values they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rapidfuzz import fuzz, process

from nlsql_gateway.ask.confidence import GENERIC
from nlsql_gateway.ask.linking import STOP, words
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.names import quote

Key = tuple[str, str]
"(schema, name) of a relation."
Place = tuple[Key, str]
"A relation and one of its columns."
Overlap = tuple[Key, str, Key, str]
"As ``Catalog.overlaps``."

MAX_WORDS: Final = 6
"""Of a value that is looked for in a question."""
NEAR: Final = 90
"""Likeness (rapidfuzz, ratio, of 100) of what is taken for one word misspelt: a letter of seven, two of eleven."""
LEAST_NEAR: Final = 6
"""Letters of what may be misspelt: of shorter words too many are like others."""
VALUE_BYTES: Final = 600
"""What a value takes beside twice its characters, rather too much: its objects, its place and its words."""


@dataclass(frozen=True, slots=True)
class Held:
    """What was read of one column."""

    place: Place
    values: tuple[str, ...]
    unique: bool = False
    "No two rows share one, as far as was read."
    complete: bool = False
    "There are no others, but for long ones."
    listed: bool = False
    "Not read: an enumeration or a CHECK lists them."


@dataclass(frozen=True, slots=True)
class Met:
    """A value that a question names."""

    value: str
    "As it is stored."
    places: tuple[Place, ...]
    "In canonical order."
    exact: bool = True
    "Word by word, but for case and number; else nearly."
    listed: bool = False
    "The schema itself says so, by an enumeration or a CHECK."


class Vocabulary:
    """``columns`` as far as they go into ``most`` bytes, those first that come first."""

    def __init__(self, columns: Iterable[Held], schema: Catalog, most: int) -> None:
        self.size = 0
        "Bytes, about, rather too many."
        self.columns: dict[Place, Held] = {}
        self.overlaps: tuple[Overlap, ...] = ()
        "Joins that the values tell of: see ``overlaps.py``."
        self._values: dict[str, dict[str, list[Place]]] = {}
        self._alike: dict[tuple[str, int], list[str]] = {}
        names = [
            words(name)
            for relation in schema.relations.values()
            for name in (relation.name, *(column.name for column in relation.columns))
        ]
        self._names = {word for name in names for word in name}
        self._phrases = {" ".join(name) for name in names}
        for held in columns:
            size = sum(2 * len(value) + VALUE_BYTES for value in held.values)
            if self.size + size <= most:
                self.size += size
                self._add(held)

    def __len__(self) -> int:
        return len(self.columns)

    def _add(self, held: Held) -> None:
        self.columns[held.place] = held
        for value in held.values:
            forms = words(value)
            if not 0 < len(forms) <= MAX_WORDS or not value.isprintable():
                continue
            text = " ".join(forms)
            known = self._values.get(text)
            if known is None:
                known = self._values[text] = {}
                if len(text) >= LEAST_NEAR:
                    self._alike.setdefault((text[0], len(forms)), []).append(text)
            known.setdefault(value, []).append(held.place)

    def homes(self, text: str) -> dict[Place, str]:
        """The columns that hold ``text``, as it is but for its case, and how each has it; in canonical order."""
        known = self._values.get(" ".join(words(text)), {})
        same = {value: places for value, places in known.items() if value.casefold() == text.casefold()}
        found = {place: value for value in sorted(same) for place in same[value]}
        found |= dict.fromkeys(same.get(text, ()), text)
        return dict(sorted(found.items()))

    def named(self, question: str) -> tuple[Met, ...]:
        """The values in ``question``, in its order; of two that share a word the longer one."""
        tokens = _tokens(question)
        taken = [False] * len(tokens)
        found: list[tuple[int, Met]] = []
        for exact in (True, False):
            for length in range(min(MAX_WORDS, len(tokens)), 0, -1):
                for start in range(len(tokens) - length + 1):
                    part = tokens[start : start + length]
                    if any(taken[start : start + length]) or not self._may_name(part, exact=exact):
                        continue
                    met = self._met(part) if exact else self._nearly(part)
                    if met is not None:
                        taken[start : start + length] = [True] * length
                        found.append((start, met))
        return tuple(met for _, met in sorted(found, key=lambda one: one[0]))

    def _may_name(self, part: Sequence[_Token], *, exact: bool) -> bool:
        """Words that say how to answer, or what tables are called, name a value only where they look like a name."""
        dull = [token.form in STOP or token.form in GENERIC or token.form.isdigit() for token in part]
        if not exact:
            return not any(dull) and not any(token.form in self._names for token in part)
        if all(token.marked and not token.form.isdigit() for token in part):
            return True
        if len(part) == 1 and len(part[0].form) < 3:
            return False
        if len(part) > 1:
            return not all(dull) and " ".join(token.form for token in part) not in self._phrases
        return not dull[0] and part[0].form not in self._names

    def _met(self, part: Sequence[_Token]) -> Met | None:
        return self._told(" ".join(token.form for token in part), "".join(token.raw for token in part), exact=True)

    def _nearly(self, part: Sequence[_Token]) -> Met | None:
        text = " ".join(token.form for token in part)
        if len(text) < LEAST_NEAR:
            return None
        known = self._alike.get((text[0], len(part)), ())
        likest = process.extractOne(text, known, scorer=fuzz.ratio, score_cutoff=NEAR)
        if likest is None or re.findall(r"\d+", likest[0]) != re.findall(r"\d+", text):
            return None
        return self._told(likest[0], "", exact=False)

    def _told(self, text: str, raw: str, *, exact: bool) -> Met | None:
        known = self._values.get(text)
        if known is None:
            return None
        same = [value for value in known if "".join(re.findall(r"[^\W_]+", value)) == raw]
        value = same[0] if same else min(known, key=lambda one: (-len(known[one]), one))
        if len(raw) < 3 and exact and not same:
            return None  # "in" is not Indiana
        places = sorted({place for places in known.values() for place in places})
        return Met(value, tuple(places), exact, listed=any(self.columns[place].listed for place in places))


def hints(met: Iterable[Met], most: int) -> tuple[str, ...]:
    """At most ``most`` lines for a prompt: where each value is, as a condition that a model may copy.

    Of what is listed the prompt has the list. Nothing of what several columns hold: shown two of which either could be
    meant, a small model left the condition out.
    """
    lines: list[str] = []
    for one in met:
        if not one.listed and len(one.places) == 1 and len(lines) < most:
            (key, column), literal = one.places[0], one.value.replace("'", "''")
            lines.append(f"{quote(key[1])}.{quote(column)} = '{literal}'")
    return tuple(lines)


@dataclass(frozen=True, slots=True)
class _Token:
    form: str
    "As ``words`` gives it."
    raw: str
    marked: bool
    "It looks like a name: quoted, or with a capital behind the first word."


def _tokens(question: str) -> list[_Token]:
    quoted = [match.span() for match in re.finditer(r"(?<!\w)(['\"]).*?\1(?!\w)", question)]
    found: list[_Token] = []
    for match in re.finditer(r"[^\W_]+", question):
        raw = match[0]
        inside = any(start < match.start() < end for start, end in quoted)
        forms = words(raw)
        found += [
            _Token(form, raw if len(forms) == 1 else form, inside or (bool(found) and raw[0].isupper()))
            for form in forms
        ]
    return found
