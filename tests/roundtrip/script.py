"""The statements of a psql script, as psql would send them: enough of psql for PostgreSQL's regression tests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nlsql_gateway.errors import StatementError
from nlsql_gateway.sql.grammar import scan

_SET = re.compile(r"\\set\s+(\w+)\s*(.*)")
_GETENV = re.compile(r"\\getenv\s+(\w+)\s+(\w+)")
_SEND = re.compile(r"\\(g|gx|gset|gexec|gdesc|crosstabview)\b[^\n]*$")
_COPY = re.compile(r"copy\b.*\bfrom\s+stdin", re.IGNORECASE | re.DOTALL)
_BODY = re.compile(r"\bbegin\s+atomic\b", re.IGNORECASE)
_MOST_LINES = 400
"""What is longer is a quote that the server itself will not find the end of."""


@dataclass(frozen=True, slots=True)
class Sent:
    text: str
    data: str | None = None
    "What follows COPY … FROM STDIN."


def statements(script: str, environment: Mapping[str, str]) -> Iterator[Sent]:
    """In order. Meta-commands other than \\set and \\getenv are left out, and so are their conditions."""
    variables: dict[str, str] = {}
    lines = iter(script.splitlines())
    waiting: list[str] = []
    for line in lines:
        if line.startswith("\\") and not "".join(waiting).strip():
            if found := _GETENV.match(line):
                variables[found[1]] = environment.get(found[2], "")
            elif found := _SET.match(line):
                variables[found[1]] = _words(found[2], variables)
            continue
        waiting.append(_SEND.sub(";", line))
        if ";" not in waiting[-1]:
            continue
        complete, rest = _split(_filled("\n".join(waiting), variables))
        waiting = [rest] if rest.strip() and len(waiting) < _MOST_LINES else []
        for text in complete:
            if _COPY.match(text):
                yield Sent(text, "".join(f"{row}\n" for row in iter(lines.__next__, "\\.")))
            else:
                yield Sent(text)


def _words(text: str, variables: Mapping[str, str]) -> str:
    """What \\set makes of its arguments: one after the other, without their quotes."""
    return re.sub(r":(\w+)|'([^']*)'|\s+", lambda found: variables.get(found[1] or "", found[2] or ""), text)


def _filled(text: str, variables: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[2]
        if name not in variables:
            return found[0]
        return f"'{variables[name]}'" if found[1] else variables[name]

    return re.sub(r"(?<!:):('?)(\w+)\1", value, text)


def _split(text: str) -> tuple[list[str], str]:
    """The complete statements, and what comes after the last semicolon outside parentheses."""
    try:
        tokens = scan(text)
    except StatementError:  # within a quote or a comment
        return [], text
    source = text.encode()
    found: list[str] = []
    start = depth = 0
    for token in tokens:
        depth += {ord("("): 1, ord(")"): -1}.get(token.code, 0)
        if token.code != ord(";") or depth > 0:
            continue
        one = source[start : token.start].decode()
        if _BODY.search(one) and not re.search(r"\bend\s*$", one, re.IGNORECASE):
            continue
        found.append(one.strip())
        start = token.end
    return [one for one in found if one], source[start:].decode()
