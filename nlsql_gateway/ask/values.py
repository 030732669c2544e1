"""What goes in and out of asking: frozen values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a candidate cannot run, in words fit for the model and for the person."""

    message: str
    "One line; names only what this person may see or the candidate itself wrote."
    position: int | None = None
    "Character offset from 1 in the candidate's text, where known."
    unknown: bool = False
    "A table or column that is not there: when no repair helps, the question asks for what this person does not see."


VERIFIED: Final = "verified"
"""The model of an answer that a person has verified."""


@dataclass(frozen=True, slots=True)
class Answer:
    """SQL that passed the check. It is still untrusted text: admission decides on it like on any other."""

    sql: str
    model: str
    version: str
    attempts: int
    "Completions asked of the model, from 1; 0: it was not asked."
    confidence: float | None = None
    "0 to 1; None: not estimated."
    cached: bool = False
    "The model gave it for an earlier question."
    goes_on: bool = False
    "The question was taken for one that goes on from the session's last."
    doubt: str = ""
    "Why it is less sure than wanted, where it is given all the same; empty otherwise."
    wording: str = ""
    "Of the verified question that it answers; then the model is VERIFIED, and the version says by whom and when."


Check = Callable[[str], Awaitable[Problem | None]]
"""Parse, policy and EXPLAIN of one candidate: None when it may run. Given by admission; may raise UpstreamError."""
