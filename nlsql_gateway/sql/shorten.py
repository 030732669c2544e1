"""Shortening: a long list of literals, ``IN (1, 2, …)``, with its middle left out while the statement is read.

Reading 30,000 literals takes a second, in which nobody else is served, and tells nothing that the first hundred do not.
So the text is read with a few of them, and what was left out is put back into what comes out. The last but one of those
that stay is a marker. That the text without the rest is the same statement with a shorter list follows from what
``shorten`` verifies: the server's scanner sees the marker as one constant, and its grammar as one item of a list. The
scanner then is in its initial state behind it, where any number of ``, literal`` can stand (``template`` says why a
plain literal is a literal everywhere); and a list may have any number of items.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from nlsql_gateway.errors import GatewayError
from nlsql_gateway.sql import grammar, limits
from nlsql_gateway.sql.grammar import TokenCode, scan
from nlsql_gateway.sql.statement import Batch, classify
from nlsql_gateway.sql.template import LITERAL

STAY: Final = 128
"""Literals of a list that are read. Nothing may look at how many there are beyond that."""

_SPACE: Final = r"[ \t\n\r\f\v]*+"
_ITEM: Final = rf"(?:{_SPACE},{_SPACE}(?:{LITERAL}))"
_HEAD: Final = rf"[(\[]{_SPACE}(?:{LITERAL}){_ITEM}{{{STAY - 3}}}"
_LIST: Final = re.compile(rf"(?P<head>{_HEAD}){_ITEM}(?P<last>{_ITEM})++", re.ASCII | re.VERBOSE)
_MARKER: Final = "864209753108"
"""Long enough to be in nobody's list by chance; with four digits more it is a number that fits bigint."""


@dataclass(frozen=True, slots=True)
class _Gap:
    marker: str
    "What stands in the short text in the place of ``left_out``."
    left_out: str
    at: int
    "Characters of the short text in front of the marker."


@dataclass(frozen=True, slots=True)
class Shortened:
    batch: Batch
    "Of the short text."
    gaps: tuple[_Gap, ...]

    def whole(self, sql: str) -> str:
        """``sql``, a part of the short text or made of it, with what was left out."""
        for gap in self.gaps:
            sql = sql.replace(gap.marker, gap.left_out)
        return sql

    def complete(self, sql: str) -> bool:
        """Whether each list is in ``sql`` once."""
        return sql.count(_MARKER) == len(self.gaps) and all(gap.marker in sql for gap in self.gaps)

    def position(self, position: int) -> int:
        """The place in the whole of the only statement of one in the short one; both count characters from 1."""
        start = len(self.batch.text.encode()[: self.batch.statements[0].origin].decode())
        before = (gap for gap in self.gaps if gap.at < start + position - 1)
        return position + sum(len(gap.left_out) - len(gap.marker) for gap in before)


def shorten(text: str, within: limits.Limits = limits.DEFAULT) -> Shortened | None:
    """``text`` read without the middle of its long lists; None when it has none, or has to be read as it is."""
    if len(text) < 2 * STAY or _MARKER in text:
        return None
    pieces: list[str] = []
    gaps: list[_Gap] = []
    at = length = tokens = 0
    for found in _LIST.finditer(text):
        start, end = found.end("head"), found.start("last")
        marker = f", {_MARKER}{len(gaps):04}"
        length += start - at
        gaps.append(_Gap(marker, text[start:end], length))
        pieces += [text[at:start], marker]
        length += len(marker)
        tokens += 2 * text.count(",", start, end)  # at least as many as there are
        at = end
    if not gaps:
        return None
    try:
        limits.check_bytes(grammar.encoded(text), within)
        batch = classify("".join([*pieces, text[at:]]), replace(within, tokens=within.tokens - tokens))
    except GatewayError:
        return None  # reading the whole text finds the same, and words it better
    if not isinstance(batch, Batch) or not _in_lists(batch, gaps):
        return None
    return Shortened(batch, tuple(gaps))


def _in_lists(batch: Batch, gaps: Sequence[_Gap]) -> bool:
    source = batch.text.encode()
    starts = {len(batch.text[: gap.at].encode()) + 2 for gap in gaps}
    constants = {token.start for token in scan(batch.text) if token.code == TokenCode.FCONST}
    assert all(source[start : start + len(_MARKER)] == _MARKER.encode() for start in starts)
    return starts <= constants and starts <= set(_items([statement.node for statement in batch.statements]))


def _items(nodes: list[Any]) -> Iterator[int]:
    """The bytes of the constants in the lists behind IN and in ARRAY[…]."""
    stack: list[Any] = nodes
    while stack:
        node = stack.pop()
        if type(node) is list:
            stack.extend(node)
        elif type(node) is dict:
            if node.get("kind") == "AEXPR_IN":
                yield from _constants(node.get("rexpr", {}).get("List", {}).get("items", []))
            yield from _constants(node.get("elements", []))
            stack.extend(node.values())


def _constants(items: list[Any]) -> Iterator[int]:
    for item in items:
        if "A_Const" in item:
            yield item["A_Const"].get("location", 0)
