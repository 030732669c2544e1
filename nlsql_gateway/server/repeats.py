"""Repeats: the texts that a connection has prepared before. Many drivers send the same Parse again before each run."""

from __future__ import annotations

from typing import Final

from nlsql_gateway.admission import Admitted
from nlsql_gateway.server.positions import Texts, texts
from nlsql_gateway.server.refusals import notices
from nlsql_gateway.wire.downstream import Parse

LONGEST: Final = 4096
"""Characters of a text that is remembered."""

TEXTS: Final = 16
"""So many are remembered: what an idle client costs stays small."""


class Prepared:
    """A Parse that was admitted, and what is made of it; the same for the same bytes."""

    __slots__ = ("admitted", "name", "notice", "rewritten", "sent", "text", "whole")

    def __init__(self, whole: bytes, parse: Parse, admitted: Admitted) -> None:
        self.whole = whole
        self.name = parse.name
        self.text = parse.text
        self.admitted = admitted
        self.sent = whole if admitted.sql == parse.text else parse.encode(admitted.sql)
        self.rewritten: Texts | None = texts(admitted, parse.text)
        self.notice = notices(admitted)


class Repeats:
    """What was admitted and recorded, by text. A Parse runs nothing, so one record does for all; runs have their own.

    Not what a question became: it is to be asked again.
    """

    __slots__ = ("_known", "_last")

    def __init__(self) -> None:
        self._known: dict[str, Admitted] = {}
        self._last: Prepared | None = None

    def get(self, text: str) -> Admitted | None:
        """Who uses it must ask whether it still holds."""
        return self._known.get(text)

    def add(self, text: str, admitted: Admitted) -> None:
        if admitted.source != text or len(text) > LONGEST:
            return
        if len(self._known) == TEXTS:
            self._known.clear()
        self._known[text] = admitted

    def last(self, whole: bytes) -> Prepared | None:
        """What the same message before this one was prepared as; otherwise as ``get``."""
        last = self._last
        return last if last is not None and last.whole == whole else None

    def keep(self, prepared: Prepared) -> None:
        """It is the last, if its text is one of these."""
        if self._known.get(prepared.text) is prepared.admitted:
            self._last = prepared

    def clear(self) -> None:
        """Their records may not have been kept."""
        self._known.clear()
        self._last = None
