"""From a completion to one SQL string, or an AskError (pure).

What models wrap SQL in is taken off: code fences, a sentence before, an explanation behind, comments around it, an
EXPLAIN that nobody asked for. What is left is untrusted text: that it is one SELECT, and an allowed one, is not decided
here. Several statements are never cut down to one, for nobody could say which one answers the question.
"""

from __future__ import annotations

import re

from nlsql_gateway.ask.templates import REFUSAL
from nlsql_gateway.errors import NoValidSql, Unanswerable

MAX_COMPLETION = 16 * 1024
"""Characters of a completion that are looked at."""

_FENCE = re.compile(r"```[ \t]*(?:\w+)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
_REFUSAL = re.compile(rf"\b{REFUSAL}\b|\bI (?:do not|don't) know\b|\bcannot be answered\b", re.IGNORECASE)
_START = re.compile(r"^\s*\(*\s*(?:SELECT|WITH|VALUES|TABLE|EXPLAIN)\b", re.IGNORECASE | re.MULTILINE)
_STATEMENT = re.compile(
    r"\s*\(*\s*(?:SELECT|WITH|VALUES|TABLE|EXPLAIN|INSERT|UPDATE|DELETE|MERGE|DROP|CREATE|ALTER|TRUNCATE|GRANT|REVOKE|"
    r"COPY|SET|RESET|BEGIN|COMMIT|ROLLBACK|DO|CALL|EXECUTE|PREPARE|DECLARE|VACUUM|LOCK)\b",
    re.IGNORECASE,
)
_EXPLAIN = re.compile(r"\s*EXPLAIN\s*(?:\([^)]*\)\s*|(?:(?:ANALYZE|VERBOSE)\s+)*)", re.IGNORECASE)
_LEADING = re.compile(r"\s*(?:--[^\n]*(?:\n|\Z)|/\*.*?\*/)", re.DOTALL)
_TOKEN = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|(\$(?:[A-Za-z_]\w*)?\$).*?\1|;", re.DOTALL)
"""What a semicolon may hide in (PostgreSQL manual, 4.1), and the semicolon itself."""


def extract(completion: str) -> str:
    """The SQL in ``completion``, without semicolon. Raises Unanswerable (the model refuses), NoValidSql."""
    text = completion[:MAX_COMPLETION].replace("<|im_end|>", "").strip()
    fenced = _FENCE.search(text)
    # The prompt may have opened the fence: then the text before the first fence is the answer.
    body = fenced[1] if fenced is not None and not _begins(text) else text.split("```", 1)[0]
    if not _begins(body):
        if _REFUSAL.search(text):
            raise Unanswerable("the model says that the tables you may see do not answer this")
        start = _START.search(body)
        if start is None:
            raise NoValidSql("the model gave no SQL" if not text else "the model answered without SQL")
        body = body[start.start() :]
    first, rest = _split(_bare(body))
    if _REFUSAL.search(_literals_out(first)):
        raise Unanswerable("the model says that the tables you may see do not answer this")
    if _STATEMENT.match(_bare(rest)):
        raise NoValidSql("the model gave several statements")
    return _EXPLAIN.sub("", first, count=1).strip() if _EXPLAIN.match(first) else first.strip()


def _begins(text: str) -> bool:
    return _STATEMENT.match(_bare(text)) is not None


def _bare(text: str) -> str:
    """Without the comments before the first word."""
    while (comment := _LEADING.match(text)) is not None:
        text = text[comment.end() :]
    return text


def _split(text: str) -> tuple[str, str]:
    """Before and behind the first semicolon that ends a statement."""
    for token in _TOKEN.finditer(text):
        if token[0] == ";":
            return text[: token.start()], text[token.end() :]
    return text, ""


def _literals_out(text: str) -> str:
    return _TOKEN.sub(" ", text)
