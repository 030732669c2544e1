"""The words of a question and of a verified wording, told apart so that they can be compared (pure).

A token is a parameter (in a wording), a quoted value, a date, a number, a word, a sign such as < or %, or a mark of
punctuation. Fillers and marks say nothing; every other token does, and negations are never fillers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

TokenKind = Literal["parameter", "quoted", "date", "number", "word", "sign", "mark"]


@dataclass(frozen=True, slots=True)
class Token:
    kind: TokenKind
    text: str
    "What is compared: words in small letters, numbers without thousands' commas, values without quotes."
    written: str
    "As in the question; a quoted value without the quotes, a number without commas."
    first: bool = False
    "Nothing but marks stands before it: its capital means nothing."
    filler: bool = False
    "The question asks the same without it."


_ANYWHERE: Final = frozenset("a an are did do does is please the there was were".split())  # noqa: SIM905
_OPENING: Final = frozenset(
    "can could display find get give i let me see show tell want we what what's would you".split()  # noqa: SIM905
)
"""Only before the first word that says something: 'display' may be a thing, and 'US' is no 'us'."""

FUNCTIONAL: Final = frozenset(
    """a about above after again ago all also among an and annual annually any are around as at average be because been
    before behind below beneath beside between beyond both but by can could count current currently daily day days did
    do does down during each either else every everyone everything except excluding few fewer first for from greater had
    has have having he her highest his how i if in including instead into is isn't it its last latest least less lowest
    many maximum me mean minimum month monthly months more most much my neither never next no non none nor not nothing
    now number of off on once one only or other others our out over own per please previous quarter quarterly quarters
    recent recently same she show since smallest so some such sum than that the their them then there these they this
    those though through till to today tomorrow top total under unless until up us versus vs was we week weekly weeks
    were what when where whether which while who whom whose why with within without would year yearly years yesterday
    yet you your january february march april may june july august september october november december monday tuesday
    wednesday thursday friday saturday sunday""".split()  # noqa: SIM905
)
"""Words that are no part of a value unless it is quoted: 'orders of Paris and Rome' asks for two."""

_NUMBERS: Final = {
    word: str(number)
    for number, word in enumerate("two three four five six seven eight nine ten eleven twelve".split(), start=2)  # noqa: SIM905
}
_APOSTROPHE: Final = "\u2019"
_MINUS: Final = "\u2212"
_TOKEN: Final = re.compile(
    r"""(?P<parameter>\{[a-z_][a-z0-9_]*\})
    |(?<!\w)(?P<quoted>'(?:[^']|''|'(?=\w))+'|"[^"]+"|\u201c[^\u201d]+\u201d|\u2018[^\u2019]+\u2019|\u00ab[^\u00bb]+\u00bb)
    |(?P<date>\d{4}-\d{2}-\d{2}(?!\w))
    |(?P<code>\d+[^\W\d_]\w*)
    |(?P<number>(?<![\w)])[-\u2212]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\w))
    |(?P<word>\w(?:\w|['\u2019.&/-](?=\w))*)
    |(?P<sign>[<>=]=?|<>|!=|[%$\u20ac\u00a3+*/\#@^~|-])
    |(?P<mark>[^\w\s])""",
    re.VERBOSE,
)
_PHRASES: Final = (
    (re.compile(r"\bhow\s+many\b", re.IGNORECASE), "number of"),
    (re.compile(r"\bper\b", re.IGNORECASE), "by"),
)


@lru_cache(maxsize=8192)
def tokens(text: str, *, near: bool = False) -> tuple[Token, ...]:
    """All tokens of ``text`` in their order; with ``near`` what can be said in two ways is said in one."""
    found: list[Token] = []
    opening = True
    for match in _TOKEN.finditer(text):
        token = _token(str(match.lastgroup), match[0])
        if token.kind == "mark":
            found.append(token)
            continue
        first = all(one.kind == "mark" for one in found)
        small = token.written.islower() or (first and len(token.written) > 1)
        filler = small and (token.text in _ANYWHERE or (opening and token.text in _OPENING))
        opening = opening and filler
        found.append(replace(token, first=first, filler=filler and token.kind == "word"))
    return tuple(_same_phrases(found) if near else found)


def alike(text: str) -> str:
    """``text`` with what can be said in two ways said in one, to see roughly which texts are alike."""
    for pattern, same in _PHRASES:
        text = pattern.sub(same, text)
    return text


def _token(kind: str, written: str) -> Token:
    match kind:
        case "parameter":
            return Token("parameter", written[1:-1], written)
        case "quoted":
            plain = written[1:-1].replace("''", "'") if written[0] == "'" else written[1:-1]
            return Token("quoted", plain, plain)
        case "number":
            plain = written.replace(",", "").replace(_MINUS, "-")
            return Token("number", plain, plain)
        case "word" | "code":
            written = written.replace(_APOSTROPHE, "'")
            folded = written.casefold()
            return Token("number", _NUMBERS[folded], written) if folded in _NUMBERS else Token("word", folded, written)
        case "date":
            return Token("date", written, written)
        case "sign":
            return Token("sign", written, written)
    return Token("mark", written, written)


def _same_phrases(found: list[Token]) -> list[Token]:
    """How many -> number of; per -> by. Values in quotes stay as they are."""
    same = [replace(token, text="by") if token.kind == "word" and token.text == "per" else token for token in found]
    for at in range(len(same) - 1):
        if [(token.kind, token.text) for token in same[at : at + 2]] == [("word", "how"), ("word", "many")]:
            same[at], same[at + 1] = replace(same[at], text="number"), replace(same[at + 1], text="of")
    return same
