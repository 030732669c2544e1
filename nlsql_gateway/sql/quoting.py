"""Names as SQL text."""

from __future__ import annotations

from functools import lru_cache

from nlsql_gateway.sql import grammar


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
