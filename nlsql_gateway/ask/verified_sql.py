"""The parameters in a verified question's SQL: ``:name``, filled in as typed constants (pure).

PostgreSQL's own scanner says where they stand, so that a ``:name`` inside a string, a name or a comment is none, and a
cast (``x::date``) is one. A value becomes a constant, never a piece of SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Final

from nlsql_gateway.ask.semantics import Type
from nlsql_gateway.sql import grammar

MARK: Final = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
"""A parameter in a question."""

_PARAM: Final = int(grammar.TokenCode.PARAM)


def numbered(sql: str, names: Sequence[str]) -> str:
    """``sql`` with :name in the place of $1, $2 …, which count the parameters in the question's order.

    Raises ValueError for a number without a parameter, StatementError for what cannot be scanned.
    """
    source = sql.encode()
    parts, at = [], 0
    for token in grammar.scan(sql):
        if token.code == _PARAM:
            number = int(source[token.start + 1 : token.end])
            if not 0 < number <= len(names):
                raise ValueError(f"the question has no {number}. parameter for ${number}")
            parts += [source[at : token.start], f":{names[number - 1]}".encode()]
            at = token.end
    return b"".join([*parts, source[at:]]).decode()


def names_in(sql: str, names: Sequence[str]) -> set[str]:
    """Which of the parameters ``sql`` uses. Raises ValueError for one that is none of ``names``."""
    used = {name for _, _, name in _places(sql)}
    for name in sorted(used - set(names)):
        raise ValueError(f"the question has no {{{name}}} for :{name}")
    return used


def filled(sql: str, constants: Mapping[str, str]) -> str:
    """``sql`` with the constants in the places of the parameters."""
    source = sql.encode()
    parts, at = [], 0
    for start, end, name in _places(sql):
        parts += [source[at:start], constants[name].encode()]
        at = end
    return b"".join([*parts, source[at:]]).decode()


def constant(value: str, of: Type) -> str | None:
    """``value``, as somebody wrote it, as an SQL constant of that type; None when it is none."""
    match of:
        case "integer":
            return _signed(value) if re.fullmatch(r"-?\d{1,18}", value) else None
        case "number":
            try:
                number = Decimal(value)
            except InvalidOperation:
                return None
            return _signed(f"{number:f}") if number.is_finite() and len(value) < 40 else None
        case "boolean":
            return {"true": "true", "yes": "true", "false": "false", "no": "false"}.get(value.lower())
        case "date":
            try:
                return f"DATE '{date.fromisoformat(value).isoformat()}'"
            except ValueError:
                return None
        case "text":
            return _string(value) if value and "\0" not in value else None


def _signed(number: str) -> str:
    """``x-:n`` must not become the beginning of a comment."""
    return f"({number})" if number.startswith("-") else number


def _string(text: str) -> str:
    """A string constant, whatever standard_conforming_strings is (manual, 4.1.2.1 and 4.1.2.2)."""
    quoted = text.replace("'", "''")
    return f"E'{quoted.replace(chr(92), chr(92) * 2)}'" if "\\" in quoted else f"'{quoted}'"


def _places(sql: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, name) of each ``:name``, in bytes: a colon with a word right behind it."""
    source = sql.encode()
    tokens = grammar.scan(sql)
    for colon, word in pairwise(tokens):
        if colon.code == ord(":") and word.start == colon.end:
            name = source[word.start : word.end].decode()
            if re.fullmatch(r"[A-Za-z_]\w*", name):
                yield colon.start, word.end, name.lower()
