"""A question with notes behind it: definitions and instructions that an operator, a tool or a person appends (pure).

"What is the ARPU of each region? ARPU = revenue / users. To get the churn, join …": a small model does what every note
says, whether it was asked for or not. So a definition stays only when the question uses its term, and an instruction
how to get something only when the question is about that. What is neither stays.
"""

from __future__ import annotations

import re

from nlsql_gateway.ask.linking import STOP, alike, words

MIN_SHARE = 0.5
"""Of the words that say what an instruction is for, so many must stand in the question."""

_BREAK = re.compile(
    r"\n+"
    r"|(?<=[.;?!])\s+(?=[A-Z`'\"(])"
    r"|(?<=[a-z0-9)])\s+(?=(?:To [a-z]+ |If |Always |Never |[A-Z][A-Za-z]*[A-Z][A-Za-z]* (?:\([^)]{1,60}\) )?= ))"
)
"""Between two sentences; people forget the full stop before a definition or an instruction."""
_DEFINITION = re.compile(r"(?P<term>[^=.,;?!]{1,80}?)\s*=(?!=)")
_INSTRUCTION = re.compile(r"(?:To|In order to|For)\s(?P<goal>[^,.?!]{3,160}),")
_ACRONYM = re.compile(r"\b[A-Z][A-Za-z]*[A-Z]\w*\b")
_DOING = frozenset(
    """get calculate compute determine analyze analyse analysis find perform derive identify assess evaluate obtain
    gauge total number over specific given certain period time""".split()  # noqa: SIM905
)


def concerning(text: str) -> str:
    """``text`` without the notes that do not concern its question, on one line."""
    parts = [part.strip() for part in _BREAK.split(text) if part.strip()]
    if len(parts) < 2:
        return " ".join(text.split())
    question = [part for number, part in enumerate(parts) if number == 0 or not _is_note(part)]
    kept = " ".join(question)
    asked, terms = words(kept), set(_ACRONYM.findall(kept))
    for _ in parts:  # a definition that stays may use another's term
        more = [part for part in parts if part in question or _concerns(part, asked, terms)]
        found = terms | {term for part in more for term in _ACRONYM.findall(part)}
        if found == terms:
            break
        terms = found
    return " ".join(" ".join(part.split()) for part in parts if part in more)


def _is_note(part: str) -> bool:
    return _DEFINITION.match(part) is not None or _INSTRUCTION.match(part) is not None


def _concerns(part: str, asked: list[str], terms: set[str]) -> bool:
    instruction = _INSTRUCTION.match(part)
    definition = _DEFINITION.match(part)
    about = instruction["goal"] if instruction is not None else definition["term"] if definition is not None else ""
    named = set(_ACRONYM.findall(about))
    if named & terms:
        return True
    if named and instruction is None:
        return False
    goal = [word for word in dict.fromkeys(words(about)) if word not in STOP and word not in _DOING]
    met = sum(any(alike(word, other) for other in asked) for word in goal)
    return bool(goal) and met >= (len(goal) if instruction is None else MIN_SHARE * len(goal))
