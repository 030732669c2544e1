"""A gold's text and the queries that it stands for. Pure.

``;`` separates queries of which each is right. ``{a, b}`` in a select list stands for any non-empty subset of those
columns, and ``{}`` behind GROUP BY for the same subset. Neither means anything inside quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, combinations, product
from typing import Final

from nlsql_gateway.errors import ConfigError

LARGEST: Final = 6
"""Columns in one pair of braces: their subsets are all run."""
MANY: Final = 256
"""Queries that one gold may stand for."""

_QUOTED = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$"
_PIECE = re.compile(rf"(?:{_QUOTED}|\{{(?P<inside>[^{{}}]*)\}}|(?P<end>;)|.)", re.DOTALL)
_ALIAS = re.compile(r"\s+AS\s+(?:\w+|\"(?:[^\"]|\"\")*\")\s*$", re.IGNORECASE)

_MOST = "highest|lowest|largest|smallest|longest|shortest|newest|oldest|latest|earliest|best|worst|biggest|cheapest"
_WAY = r"alphabetic(?:al(?:ly)?)?|chronological(?:ly)?|ascending|descending|increasing|decreasing"
# Of `order`, `sort` and `first` only what cannot be a purchase, a kind or a name.
_ASKS = re.compile(
    rf"""\b(?:
      sorted | sorting | sort (?!\s+of\b) | alphabetically | chronologically | ascending | descending
    | (?:ordered|arranged?|order)\s+(?:by|{_WAY})
    | order\s+(?:them|it|the\s+(?:results?|rows|list|output|answers?)|(?:results?|rows)\s+by)
    | in\s+(?:\w+\s+){{0,2}}(?:{_WAY}|reverse|numerical)\s+order | in\s+order\s+of
    | (?:rank|ranked)\s+(?:the|all|them|each|every|by|from)
    | from\s+(?:the\s+)?(?:\w+\s+){{1,3}}to\s+(?:the\s+)?(?:most|least|{_MOST})
    | starting\s+(?:from|with)\s+the\s+(?:most|least|first|last|{_MOST})
    | (?:{_MOST}|(?:most|least)\s+\w+)\s+(?:\w+\s+)?first (?=\s*(?:[.,;:?!)]|$))
    )(?!\w)""",
    re.IGNORECASE | re.VERBOSE,
)


def asks_for_order(question: str) -> bool:
    """Whether the words ask for an order of the rows. "The top 5" asks which rows, not for an order among them."""
    return _ASKS.search(question) is not None


def expand(gold: str) -> tuple[tuple[str, ...], ...]:
    """The queries of each gold in ``gold``, those with the fewest columns first.

    Raises ConfigError when there is none, or it stands for too many.
    """
    golds = tuple(tuple(_variants(pieces)) for pieces in _split(gold) if "".join(piece for piece, _ in pieces).strip())
    if not golds:
        raise ConfigError("the gold is empty", hint="leave it out where the right answer is a refusal")
    return golds


def _split(gold: str) -> list[list[tuple[str, str | None]]]:
    """The pieces of each gold: its text, and what is inside when it is a pair of braces."""
    golds: list[list[tuple[str, str | None]]] = [[]]
    for match in _PIECE.finditer(gold):
        if match["end"]:
            golds.append([])
        else:
            golds[-1].append((match[0], match["inside"]))
    return golds


def _variants(pieces: Sequence[tuple[str, str | None]]) -> Iterator[str]:
    choices = []
    for _, inside in pieces:
        if inside is not None and inside.strip():
            columns = _listed(inside)
            if len(columns) > LARGEST:
                raise ConfigError(f"{{{inside}}}: more than {LARGEST} columns in braces")
            choices.append(list(chain.from_iterable(combinations(columns, n) for n in range(1, len(columns) + 1))))
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > MANY:
        raise ConfigError(f"a gold stands for {count} queries, more than {MANY}")
    for chosen in product(*choices):
        yield _written(pieces, chosen)


def _written(pieces: Sequence[tuple[str, str | None]], chosen: Sequence[tuple[str, ...]]) -> str:
    """``{}`` is what the last braces before it stand for, without the names given to them."""
    left, last, parts = iter(chosen), "", []
    for text, inside in pieces:
        if inside is None:
            parts.append(text)
        elif inside.strip():
            columns = next(left)
            last = ", ".join(_ALIAS.sub("", column) for column in columns)
            parts.append(", ".join(columns))
        elif last:
            parts.append(last)
        else:
            raise ConfigError("{} stands in front of the braces that it refers to")
    return "".join(parts).strip()


def _listed(inside: str) -> list[str]:
    """The columns between braces: commas inside parentheses or quotes separate nothing."""
    columns, depth = [""], 0
    for match in re.finditer(rf"{_QUOTED}|.", inside, re.DOTALL):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if match[0] == "," and depth == 0:
            columns.append("")
        else:
            columns[-1] += match[0]
    return [column.strip() for column in columns if column.strip()]
