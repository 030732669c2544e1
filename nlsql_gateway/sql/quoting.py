"""Names as SQL text."""

from __future__ import annotations

import string
from functools import lru_cache

from nlsql_gateway.sql import grammar

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def folded(name: str) -> str:
    """A name written without quotes, as PostgreSQL reads it where a database's encoding has characters of more than
    one byte, UTF-8 among them: only A to Z become small (scansup.c, downcase_identifier). libpg_query does so too.
    """
    return name.lower() if name.isascii() else name.translate(_LOWER)


@lru_cache(maxsize=4096)
def identifier(name: str) -> str:
    """``name`` as SQL reads it back: bare where that is safe, quoted otherwise (manual, 4.1.1)."""
    if name.isascii() and name.isidentifier() and name == name.lower():
        (token,) = grammar.scan(name)
        if token.keyword <= 1:
            return name
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    return f"{identifier(schema)}.{identifier(name)}"
