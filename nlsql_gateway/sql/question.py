"""Is this text a question in words? The forms of asking, told apart before any SQL parser sees the text.

A question is text, not SQL: ``ASK what is O'Brien's total`` has an odd apostrophe that no SQL scanner survives. So the
little that matters, leading white space and comments, is read here by the rules of PostgreSQL's scanner (manual, 4.1.5:
``--`` ends at a newline or a carriage return, ``/* */`` nests).

====================================== ===================================================================
``-- ask: words``                      the whole text is comments; more ``--`` lines behind it continue it
``/* ask: words */ ;``                 the same, as psql's prompt keeps it
``SELECT -- ask: words`` newline ``;`` nothing but the marker behind SELECT
``/* ask: words */ SELECT LIMIT 1001`` what Superset's SQL Lab makes of the line above
``ASK words``, ``ask: words``          no SQL statement begins with this word
``-- ask explain: …``, ``ASK EXPLAIN`` show what would run
``-- ask more: …``, ``ASK MORE: …``    it goes on from the session's last question
``-- ask reset``, ``ASK RESET``        forget the session's last question
``ASK VISIBLE``, ``-- ask: visible``   which tables and columns there are to ask about
``ASK VERDICT: statement``             what would become of a statement that somebody wrote; this form alone
``ASK PYTHON: {…}``                    code over the rows of an answer, of which JSON tells; this form alone
====================================== ===================================================================

Everywhere else a marker is just a comment: in front of SQL, inside it, in a literal, a dollar quote or a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import dropwhile

from nlsql_gateway.errors import LimitError, StatementError

LONGEST = 8000
"""Characters of the longest question."""

_HINT = "write the question behind the marker, such as: -- ask: top 5 customers by revenue"


@dataclass(frozen=True, slots=True)
class Question:
    words: str
    "As written, without the marker; never empty."
    explain: bool = False
    "Show the SQL, the verdict and the rewritten SQL; run nothing."
    more: bool = False
    "It goes on from the session's last question, whatever its words are."
    reset: bool = False
    "Forget the session's last question; there is nothing to answer."
    verdict: bool = False
    "``words`` are a statement, not a question: show what would become of it; run nothing."
    visible: bool = False
    "Show which tables and columns this person may read."
    python: bool = False
    "``words`` are JSON that says which code is wanted: suggest it; run nothing (``ask/python.py``)."

    @property
    def is_for_the_model(self) -> bool:
        """Its answer is SQL. The other forms are answered by rows that tell something."""
        return not (self.reset or self.verdict or self.visible or self.python)


@dataclass(frozen=True, slots=True)
class _Comment:
    body: str
    "Without its delimiters."
    line: bool
    "A ``--`` comment."
    end: int


_WORD = re.compile(r"ask(?=[\s:\uff1a]|$)", re.IGNORECASE | re.ASCII)
# \uff1a is the full-width colon, which is what an input method for Chinese or Japanese types.
_MARKER = re.compile(
    r"\s*ask(?P<explain>\s+explain)?(?P<more>\s+more)?\s*[:\uff1a](?P<words>.*)",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
_BARE = re.compile(
    r"ask\b(?P<explain>\s+explain\b)?(?P<more>\s+more(?=\s*[:\uff1a]))?\s*[:\uff1a]?(?P<words>.*)",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
# Without a colon more is a word of the question: ASK more orders than returns.
_RESET = re.compile(r"\s*ask\s+reset\s*;?\s*", re.IGNORECASE | re.ASCII)
_VERDICT = re.compile(r"ask\s+verdict\s*[:\uff1a](?P<words>.*)", re.IGNORECASE | re.ASCII | re.DOTALL)
_PYTHON = re.compile(r"ask\s+python\s*[:\uff1a](?P<words>\s*\{.*)", re.IGNORECASE | re.ASCII | re.DOTALL)
# Anything but an object is a question: ASK python: how many courses?
_SELECT = re.compile(r"select\s*(?=--)", re.IGNORECASE | re.ASCII)
_NOTHING = re.compile(r"select\s*(?:limit\s+\d+\s*)?[;\s]*", re.IGNORECASE | re.ASCII)
# Without a column: nobody writes this, and a tool's parser leaves it of SELECT with a comment behind it.
_SPACE = re.compile(r"[ \t\n\r\f\v]*")  # scan.l: space
_LINE = re.compile(r"--([^\n\r]*)")  # scan.l: comment
_BLOCK_EDGE = re.compile(r"/\*|\*/")

# What tools write into a -- line of their own in front of every query. Block comments are taken for a tool's anyway.
_TOOLS = re.compile(r"\s*(?:Metabase::|Looker Query Context|Hex query metadata|Sigma\b|\{)")


def question(text: str) -> Question | None:
    """The question that ``text`` is, or None when it is to be read as SQL.

    Raises StatementError when it is a question but an empty one, or one with a second statement behind it; LimitError
    when it is too long.
    """
    found = _read(text)
    # Read once more, not to the end: what is behind ASK VERDICT may be that again.
    if found is not None and found.verdict and (not found.words or _read(found.words) is not None):
        raise StatementError(
            "ASK VERDICT is about a statement of SQL",
            hint="write the statement behind the colon; ASK EXPLAIN shows what becomes of a question",
        )
    return found


def _read(text: str) -> Question | None:
    if re.search("ask", text, re.IGNORECASE | re.ASCII) is None:
        return None
    comments, rest = _leading_comments(text, 0)
    if rest == len(text):
        return _marked(comments)
    if comments and _NOTHING.fullmatch(text, rest) is not None:
        return _marked(comments)
    if (select := _SELECT.match(text, rest)) is not None:
        inner, end = _leading_comments(text, select.end())
        return _marked(inner) if end == len(text) and inner and _is_mine(inner[0]) else None
    if _WORD.match(text, rest) is not None:
        if (about := _VERDICT.match(text, rest)) is not None:
            return Question(about["words"].strip(), verdict=True)
        if (about := _PYTHON.match(text, rest)) is not None:
            return Question(about["words"].strip().rstrip(";"), python=True)
        match = _BARE.match(text, rest)
        assert match is not None
        return _asked(match, one_statement=True)
    return None


def _marked(comments: list[_Comment]) -> Question | None:
    """The question in text that is comments only: its first comment that is no tool's must be the marker."""
    mine = list(dropwhile(_is_tools, comments))
    if mine and _RESET.fullmatch(mine[0].body) is not None:
        return Question("reset", reset=True)
    if not mine or (match := _MARKER.match(mine[0].body)) is None:
        return None
    asked = _asked(match, one_statement=False)
    if not mine[0].line:
        return asked
    more = [comment.body.strip() for comment in _continuation(mine[1:])]
    return replace(asked, words=" ".join([asked.words, *more]), reset=False) if more else asked


def _continuation(comments: list[_Comment]) -> Iterator[_Comment]:
    for comment in comments:
        if not comment.line or _TOOLS.match(comment.body):
            return
        yield comment


def _is_mine(comment: _Comment) -> bool:
    return _MARKER.match(comment.body) is not None or _RESET.fullmatch(comment.body) is not None


def _is_tools(comment: _Comment) -> bool:
    if comment.line:
        return _TOOLS.match(comment.body) is not None
    return not _is_mine(comment)


def _asked(match: re.Match[str], *, one_statement: bool) -> Question:
    words = match["words"]
    if len(words) > LONGEST:
        raise LimitError(f"the question is longer than {LONGEST} characters", hint="ask something shorter")
    words = _without_tail(words).strip()
    if not words:
        raise StatementError("the question is empty", hint=_HINT)
    if one_statement and ";" in words:
        raise StatementError(
            "a question must be the only statement",
            hint="leave out the semicolon inside the question, or send what follows it on its own",
            sqlstate="0A000",
        )
    if words.lower() in ("reset", "visible") and not match["more"] and not match["explain"]:
        return Question(words, reset=words.lower() == "reset", visible=words.lower() == "visible")
    return Question(words, match["explain"] is not None, match["more"] is not None)


def _without_tail(words: str) -> str:
    """Without the semicolon and the block comment (the trace context of an ORM) that may stand behind a question."""
    while True:
        words = words.rstrip()
        if words.endswith(";"):
            words = words[:-1]
        elif words.endswith("*/") and "/*" in words:
            words = words[: words.rindex("/*")]
        else:
            return words


def _leading_comments(text: str, start: int) -> tuple[list[_Comment], int]:
    """The comments at ``start`` and where the first other thing begins; white space and semicolons are passed over."""
    comments: list[_Comment] = []
    at = start
    while True:
        space = _SPACE.match(text, at)
        assert space is not None
        at = space.end()
        if text.startswith(";", at):
            at += 1
        elif (line := _LINE.match(text, at)) is not None:
            at = line.end()
            comments.append(_Comment(line[1], True, at))
        elif text.startswith("/*", at) and (end := _block_end(text, at)) is not None:
            comments.append(_Comment(text[at + 2 : end - 2], False, end))
            at = end
        else:
            return comments, at


def _block_end(text: str, start: int) -> int | None:
    """Behind the ``*/`` that ends the comment at ``start``; None when it is never closed."""
    depth = 0
    for edge in _BLOCK_EDGE.finditer(text, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return None
