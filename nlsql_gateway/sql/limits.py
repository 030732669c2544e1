"""Limits on statement text, checked before anything is parsed: a parser that recurses must not be led too deep."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nlsql_gateway.errors import LimitError
from nlsql_gateway.sql.grammar import Token, TokenCode


@dataclass(frozen=True, slots=True)
class Limits:
    bytes: int = 1024 * 1024
    tokens: int = 100_000
    "A list of 50,000 keys behind IN still fits."
    depth: int = 100
    "Open parentheses, brackets and CASEs at once."
    operators: int = 20_000_000
    "Sum of the squares of the lengths of operator runs: the scanner's time for them grows so (0.1 s)."
    chain: int = 400
    "Operators and keywords that may nest without parentheses: a || b || c, NOT NOT a, UNION after UNION."


DEFAULT = Limits()

_OPERATORS = re.compile(rb"[~!@#^&|`?+\-*/%<>=]{2,}")

_OPEN = frozenset({ord("("), ord("["), TokenCode.CASE})
_CLOSE = frozenset({ord(")"), ord("]"), TokenCode.END_P})
_LEAF = frozenset(
    {
        *(ord("."), ord(":"), TokenCode.IDENT, TokenCode.UIDENT, TokenCode.SCONST, TokenCode.USCONST, TokenCode.BCONST),
        *(TokenCode.XCONST, TokenCode.ICONST, TokenCode.FCONST, TokenCode.PARAM),
        *(TokenCode.SQL_COMMENT, TokenCode.C_COMMENT),
    }
)
# The parser makes a flat list of what these separate (makeAndExpr and makeOrExpr in PostgreSQL's gram.y).
_SEPARATOR = frozenset(
    {
        *(ord(","), ord(";"), TokenCode.AND, TokenCode.OR, TokenCode.WHEN, TokenCode.THEN, TokenCode.ELSE),
        *(TokenCode.ON, TokenCode.FROM, TokenCode.WHERE),
    }
)
# These nest to the left across any separator.
_LINK = frozenset({TokenCode.UNION, TokenCode.INTERSECT, TokenCode.EXCEPT, TokenCode.JOIN})


def check_bytes(source: bytes, limits: Limits) -> None:
    """Raises LimitError."""
    if len(source) > limits.bytes:
        raise LimitError(
            f"the statement has {len(source)} bytes, the limit is {limits.bytes}", hint="send it in several parts"
        )
    if sum((run.end() - run.start()) ** 2 for run in _OPERATORS.finditer(source)) > limits.operators:
        raise LimitError("the statement has too long a run of operator characters", hint="send it in several parts")


def check_tokens(tokens: Iterable[Token], limits: Limits) -> None:
    """Raises LimitError. The bound on the parse tree's depth is conservative: it never says too little."""
    links = chain = outer = count = 0
    open_chains: list[int] = []
    for token in tokens:
        code = token.code
        count += 1
        if code in _LEAF:
            continue
        if code in _SEPARATOR:
            chain = 0
        elif code in _LINK:
            links += 1
        elif code in _OPEN:
            open_chains.append(chain)
            outer += chain
            chain = 0
        elif code in _CLOSE and open_chains:
            chain = open_chains.pop()
            outer -= chain
        else:
            chain += 1
        if len(open_chains) > limits.depth or chain + outer + links > limits.chain:
            raise LimitError(
                "the statement is nested too deeply", hint="split it with WITH, or into several statements"
            )
        if count > limits.tokens:
            raise LimitError(f"the statement has more than {limits.tokens} tokens", hint="send it in several parts")
