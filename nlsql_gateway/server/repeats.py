"""Repeats: the texts that a connection has prepared before. Many drivers send the same Parse again before each run."""

from __future__ import annotations

from typing import Final

from nlsql_gateway.admission import Admitted

LONGEST: Final = 4096
"""Characters of a text that is remembered."""

TEXTS: Final = 16
"""So many are remembered: what an idle client costs stays small."""


class Repeats:
    """What was admitted and recorded, by text. A Parse runs nothing, so one record does for all; runs have their own.

    Not what a question became: it is to be asked again.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, Admitted] = {}

    def get(self, text: str) -> Admitted | None:
        """Who uses it must ask whether it still holds."""
        return self._known.get(text)

    def add(self, text: str, admitted: Admitted) -> None:
        if admitted.source != text or len(text) > LONGEST:
            return
        if len(self._known) == TEXTS:
            self._known.clear()
        self._known[text] = admitted

    def clear(self) -> None:
        """Their records may not have been kept."""
        self._known.clear()
