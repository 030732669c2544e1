"""From a question that was asked and its SQL to a verified question, with values made parameters (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from nlsql_gateway.ask.followups import goes_on
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.sql import grammar

_STRING: Final = int(grammar.TokenCode.SCONST)
_NUMBERS: Final = frozenset({int(grammar.TokenCode.ICONST), int(grammar.TokenCode.FCONST)})


def entry(question: str, sql: str, parameters: Mapping[str, str], on: date) -> dict[str, Any]:
    """The keys of the file's entry, but for who verifies it.

    ``parameters``: name -> the value that stands in question and SQL. Raises ConfigError for a value that is not in
    both, and for a question that cannot be understood by itself.
    """
    words = " ".join(question.split())
    if goes_on(words, frozenset):
        raise ConfigError(
            f"this question goes on from one before it: {words}", hint="say it as a whole question with --wording"
        )
    words = words.replace("{", "(").replace("}", ")")
    sql = "\n".join(line.rstrip() for line in sql.strip().removesuffix(";").strip().splitlines())
    types: dict[str, str] = {}
    for name, value in parameters.items():
        words = _in_question(words, name, value)
        sql, types[name] = _in_sql(sql, name, value)
    found: dict[str, Any] = {"question": words, "sql": sql}
    if types:
        found["parameters"] = types
    return {**found, "verified_by": "", "verified_on": on}


def _in_question(words: str, name: str, value: str) -> str:
    quoted = re.escape(value)
    place = re.compile(rf"""'{quoted}'|"{quoted}"|(?<![\w.]){quoted}(?![\w]|\.\d)""", re.IGNORECASE)
    found = place.findall(words)
    if len(found) != 1:
        raise ConfigError(f"{value} stands {len(found)} times in the question, not once: {words}")
    return place.sub(f"{{{name}}}", words)


def _in_sql(sql: str, name: str, value: str) -> tuple[str, str]:
    """The SQL with ``:name`` for each constant that is ``value``, and the parameter's type."""
    source = sql.encode()
    parts: list[bytes] = []
    at, of = 0, ""
    for token in grammar.scan(sql):
        written = source[token.start : token.end].decode()
        if token.code == _STRING and written[0] == "'" and written[1:-1].replace("''", "'").lower() == value.lower():
            kind = "text"
        elif token.code in _NUMBERS and written == value:
            kind = "integer" if written.isdigit() else "number"
        else:
            continue
        if of not in ("", kind):
            raise ConfigError(f"{value} stands in the SQL both as text and as a number", hint="write the entry by hand")
        of = kind
        parts += [source[at : token.start], f":{name}".encode()]
        at = token.end
    if not of:
        raise ConfigError(f"the SQL has no constant {value}", hint="write the entry by hand")
    return b"".join([*parts, source[at:]]).decode(), of
