"""Templates: a statement's text without the literals that cannot change what is decided about it.

``cut`` takes a text apart at its plain literals, by one regular expression: integers, decimals and ``'…'`` strings, no
other form. It may be wrong about what is a literal (in a comment, say), and need not be right: ``Template.learn`` is
told what the server's own scanner and grammar say about one text, and refuses it where the two disagree. Why this then
holds for every other text with the same pieces between its literals, and literals of the same classes:

* The scanner reaches each literal in its initial state and leaves it so, whatever the digits or the string are. What
  stands around a literal cannot join it: ``LITERAL`` looks at the character on both sides. So the tokens are the same.
* A token's code depends on the class alone: at most nine digits are always an ICONST, eleven to eighteen never are
  (scan.l, process_integer_literal). So the trees are the same but for the values of the constants.
* Free are only the constants whose value nothing looks at: ``_marked`` lists where they may stand. All others belong to
  the template: a text with another value there is another template.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nlsql_gateway.sql.grammar import COMMENTS, Node, Token, TokenCode, scan
from nlsql_gateway.sql.kinds import Kind
from nlsql_gateway.sql.statement import Batch
from nlsql_gateway.sql.survey import strings

LONGEST: Final = 4096
"""Characters of a text that can have a template. It keeps all of ``limits``' squares below their bound: a string of
operator characters may not be let through where its text would have been refused."""

MOST: Final = 32
"""Literals in such a text."""

_WORDLIKE = r"\w$.'\"\\\x80-\U0010ffff"  # to the scanner every character beyond ASCII is a letter (scan.l, ident_start)
_PLAIN = r"^'\\\0\ud800-\udfff"  # what cannot be encoded is refused (grammar.encoded)
LITERAL: Final = rf"""[0-9'](?:
        (?<=[0-9])(?<![{_WORDLIKE}][0-9]) [0-9]*+ (?:\.[0-9]++)?+ (?![{_WORDLIKE}])
      | (?<=')(?<![{_WORDLIKE}&]') [{_PLAIN}]*+ (?:''[{_PLAIN}]*+)*+ '
    )"""
"""One literal, for re.ASCII and re.VERBOSE. Its first character is in front so that a search runs on fast."""
_LITERAL: Final = re.compile(f"({LITERAL})", re.ASCII | re.VERBOSE)

_CLASSES: Final = (  # of a literal; the first that fits
    r"0|[1-9][0-9]{0,8}",
    r"[1-9][0-9]{10,17}",
    r"[0-9]+\.[0-9]+",
    r"'[^\\\0]*'",
)
_NEGATED: Final = r"[1-9][0-9]{0,8}"  # the grammar makes one number of the minus and these; -0 would lose its minus
_SENTINELS: Final = ("97310{:04}", "97310{:04}973101", "97310{:04}.97310", "'nlsql 97310{:04}'")
_SENTINEL: Final = re.compile(r"97310[0-9]{4}973101|97310[0-9]{4}\.97310|'nlsql 97310[0-9]{4}'|97310[0-9]{4}")

cut: Final = _LITERAL.split
"""The pieces of a text: what stands between its literals and, at the odd indexes, the literals as they are written."""


@dataclass(frozen=True, slots=True)
class Template:
    """What is known of the literals of one text, and of all others that ``matches``."""

    pieces: tuple[str, ...]
    "Of ``cut``."
    free: tuple[int, ...]
    "Which of the literals may have any value of their class."
    matches: Any
    "Call it with the literals joined by NUL: not None when they fit this template."
    sample: str
    "The text with a value of its own in each free place: for ``places``."

    @property
    def literals(self) -> tuple[str, ...]:
        return self.pieces[1::2]

    def places(self, sql: str) -> tuple[str | int, ...]:
        """``sql``, made of ``sample``, taken apart: text, and for each literal of the sample which one it was."""
        found: list[str | int] = []
        at = 0
        for match in _SENTINEL.finditer(sql):
            number = int(match[0].lstrip("'nlsq ")[5:9])
            found += [sql[at : match.start()], number]
            at = match.end()
        return (*found, sql[at:])


def learn(batch: Batch, *, all_free: bool = False) -> Template | None:
    """The template of a text that was read already; None when it has none. ``all_free``: nobody looks at any value."""
    text = batch.text
    pieces = cut(text)
    count = len(pieces) // 2
    if not 0 < count <= MOST or len(text) > LONGEST or "97310" in text or len(batch.statements) != 1:
        return None
    (statement,) = batch.statements
    if statement.kind is not Kind.SELECT and not (all_free and statement.kind is Kind.WRITE):
        return None
    tokens = scan(text)
    if tokens[0].code in COMMENTS:
        return None  # could be a question; nearly every text of a client's own begins with a word
    numbered = _numbered(pieces, tokens)
    if numbered is None:
        return None
    marked = frozenset(start for start, _ in numbered) if all_free else _marked(statement.node)
    patterns: list[str] = []
    free: list[int] = []
    sample = list(pieces)
    for number, (start, minus) in enumerate(numbered):
        value = pieces[2 * number + 1]
        fits = [index for index, one in enumerate(_CLASSES) if re.fullmatch(one, value)]
        if fits and start in marked:
            patterns.append(_CLASSES[fits[0]])
        elif fits == [0] and minus in marked and value != "0":
            patterns.append(_NEGATED)
        else:
            patterns.append(re.escape(value))
            continue
        free.append(number)
        sample[2 * number + 1] = _SENTINELS[fits[0]].format(number)
    if not free:
        return None
    matches = re.compile("\0".join(f"(?:{pattern})" for pattern in patterns)).fullmatch
    return Template(tuple(pieces), tuple(free), matches, "".join(sample))


def _numbered(pieces: Sequence[str], tokens: Sequence[Token]) -> list[tuple[int, int]] | None:
    """Of each literal its byte, and that of a minus right before it or -1; None where the scanner sees it otherwise."""
    words = [token for token in tokens if token.code not in COMMENTS]
    indexes = {(word.start, word.end): index for index, word in enumerate(words) if word.code in _CONSTANTS}
    found: list[tuple[int, int]] = []
    at = 0
    for number, piece in enumerate(pieces):
        end = at + len(piece.encode())
        if number % 2:
            index = indexes.get((at, end))
            if index is None:
                return None
            minus = words[index - 1] if index else None
            found.append((at, minus.start if minus is not None and minus.code == ord("-") else -1))
        at = end
    return found


_CONSTANTS: Final = frozenset({TokenCode.ICONST, TokenCode.FCONST, TokenCode.SCONST})

_OPERATORS: Final = frozenset(
    {
        "=",
        "<>",
        "<",
        "<=",
        ">",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "||",
        "~~",
        "!~~",
        "~~*",
        "!~~*",
        "BETWEEN",
        "NOT BETWEEN",
    }
)
_TYPES: Final = frozenset(
    {
        "bool",
        "date",
        "int2",
        "int4",
        "int8",
        "float4",
        "float8",
        "numeric",
        "text",
        "timestamp",
        "timestamptz",
        "varchar",
    }
)


def _marked(node: Node) -> frozenset[int]:
    """The bytes of the constants whose value neither the decision nor the plan's meaning depends on."""
    found: set[int] = set()
    top = [target["ResTarget"].get("val", {}) for target in node.get("SelectStmt", {}).get("targetList", [])]
    found.update(_bytes(top))
    stack: list[Any] = [node, *top]
    while stack:
        item = stack.pop()
        if type(item) is list:
            stack.extend(item)
        elif type(item) is dict:
            for tag, body in item.items():
                if tag == "ResTarget" and not body.get("name"):
                    continue  # sqlglot may take a constant in it for the column's name, which outer queries see
                if tag in _HOLDERS and type(body) is dict:
                    found.update(_bytes(_operands(tag, body)))
                elif tag in ("limitCount", "limitOffset"):
                    found.update(_bytes([body]))
                stack.append(body)
    return frozenset(found)


_HOLDERS: Final = frozenset(
    {"A_Expr", "CaseExpr", "CaseWhen", "CoalesceExpr", "MinMaxExpr", "A_ArrayExpr", "ResTarget"}
)


def _operands(tag: str, body: Node) -> Iterator[Node]:
    """The expressions right below a node where a constant may have any value."""
    if tag == "A_Expr":
        name = strings(body.get("name", []))
        if name[-1:] and name[-1] in _OPERATORS:
            for side in (body.get("lexpr", {}), body.get("rexpr", {})):
                yield side
                yield from side.get("List", {}).get("items", [])
    elif tag == "ResTarget":
        yield body.get("val", {})
    elif tag in ("CoalesceExpr", "MinMaxExpr"):
        yield from body.get("args", [])
    elif tag == "A_ArrayExpr":
        yield from body.get("elements", [])
    else:
        for key in ("arg", "expr", "result", "defresult"):
            yield body.get(key, {})


def _bytes(expressions: Any) -> Iterator[int]:
    """Where those among ``expressions`` stand that are constants, also with a plain type: ``date '2020-01-01'``."""
    for node in expressions:
        cast = node.get("TypeCast")
        if cast is not None:
            names = strings(cast["typeName"].get("names", []))
            if names[:-1] in ((), ("pg_catalog",)) and names[-1:] and names[-1] in _TYPES:
                node = cast["arg"]
        constant = node.get("A_Const")
        if constant is not None:
            yield constant.get("location", 0)
