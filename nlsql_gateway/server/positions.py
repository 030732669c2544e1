"""Where an error stands in the client's own text, when what was sent upstream was rewritten.

psql's caret and the messages of tools need it. What rewriting left alone at the beginning and the end of the text is
the client's; an error between them has no place there, and its position is left out.
"""

from __future__ import annotations

from typing import Final

from nlsql_gateway.admission import Admitted

Texts = tuple[str, str]
"""The client's, and the one sent upstream."""

NOWHERE: Final[Texts] = ("", "")
"""No position fits the client's text."""


def texts(admitted: Admitted, text: str) -> Texts | None:
    """Of a ``text`` that was admitted; None: it was sent as it is, and positions are right."""
    if not admitted.rewritten:
        return None
    return (text, admitted.sql) if admitted.source == text else NOWHERE  # a question's SQL is not the client's text


def nowhere(admitted: Admitted) -> Texts | None:
    """Of a message that names a statement and has no text of its own."""
    return NOWHERE if admitted.rewritten else None


def in_the_clients(given: Texts, position: str) -> str | None:
    """``position``: an error's field P, from 1 in characters (manual, "Error and Notice Message Fields")."""
    own, sent = given
    at = int(position) - 1 if position.isdecimal() else -1
    if at < 0:
        return None
    if at < _common(own, sent):
        return position
    behind = len(sent) - at
    if 0 < behind <= _common(own[::-1], sent[::-1]):
        return str(len(own) - behind + 1)
    return None


def _common(one: str, other: str) -> int:
    """How many characters they begin with alike."""
    shorter = min(len(one), len(other))
    return next((at for at in range(shorter) if one[at] != other[at]), shorter)
