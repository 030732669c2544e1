"""The server's own grammar, libpg_query through postgast: the only place that calls it.

libpg_query reads a NUL-terminated C string, so a NUL byte would hide the rest of the text from it: ``encoded``
refuses that. Every offset it gives is a byte of the UTF-8 text, never a character.

The tree is taken as JSON, not as protobuf: protobuf stops at 100 levels (a sum of 50 terms), and lifting that limit is
process-wide and ends in a crash at some 10,000; msgspec's reader raises RecursionError instead. It is also three times
faster to walk. In the tree a node is ``{"SelectStmt": {…}}``, a field of its default value is left out, and a field
that can only hold one type (``withClause``, ``larg``, ``typeName``) holds the bare contents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
import postgast
from postgast.errors import check_error
from postgast.native import lib
from postgast.pg_query_pb2 import DESCRIPTOR
from postgast.pg_query_pb2 import Token as _TokenCode

from nlsql_gateway.errors import LimitError, StatementError

Node: TypeAlias = dict[str, Any]
"""One node of libpg_query's JSON tree: heterogeneous by nature, read only."""


@dataclass(frozen=True, slots=True)
class RawStatement:
    node: Node
    start: int
    "Byte offset, as the parser says: may stand before white space and comments."
    end: int
    "Byte offset behind the last byte, the semicolon excluded; may stand behind white space and comments."


class Token(NamedTuple):  # a tuple: a statement has hundreds, and this is the cheapest to make
    code: int
    "A member of postgast's Token enumeration; a single character is its ASCII code."
    start: int
    end: int
    keyword: int
    "0: no keyword; 1: one that may be a name anywhere (unreserved); more: one that may not."


TokenCode: Final = _TokenCode
"""The codes of tokens; a single character is its ASCII code."""

COMMENTS: Final = frozenset({TokenCode.SQL_COMMENT, TokenCode.C_COMMENT})
"""The codes of the two kinds of comment."""


_DECODER: Final = msgspec.json.Decoder()
"""Twice as fast as ``json``, and as careful with what is nested too deeply."""


def encoded(text: str) -> bytes:
    """``text`` as UTF-8. Raises StatementError (22021) for NUL and for lone surrogates."""
    if "\0" in text:
        raise StatementError(
            "a statement cannot contain a NUL character", sqlstate="22021", position=text.index("\0") + 1
        )
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise StatementError("the text is not valid Unicode", sqlstate="22021", position=error.start + 1) from error


def parse(source: bytes) -> list[RawStatement]:
    """The statements of ``source`` (from ``encoded``). Raises StatementError with the position, LimitError."""
    result = lib.pg_query_parse(source)
    try:
        check_error(result)
        tree: str | bytes = result.parse_tree
    except postgast.PgQueryError as error:
        raise _syntax_error(error) from error
    finally:
        lib.pg_query_free_parse_result(result)
    try:
        raw = _DECODER.decode(tree)["stmts"]
    except RecursionError as error:
        raise LimitError("the statement is nested too deeply", hint="split it into several statements") from error
    return [
        RawStatement(
            item["stmt"],
            start := item.get("stmt_location", 0),
            start + item["stmt_len"] if item.get("stmt_len") else len(source),
        )
        for item in raw
    ]


def scan(text: str) -> list[Token]:
    """All tokens of ``text``, comments included; ``encoded`` must have passed it. Raises StatementError."""
    try:
        tokens = postgast.scan(text).tokens
    except postgast.PgQueryError as error:
        raise _syntax_error(error) from error
    new = tuple.__new__  # what Token() calls in the end, at a third of the time
    return [new(Token, (token.token, token.start, token.end, token.keyword_kind)) for token in tokens]


def _syntax_error(error: postgast.PgQueryError) -> StatementError:
    # cursorpos counts characters from 1, as the server's does (manual, "Error and Notice Message Fields"); postgast's
    # own documentation says bytes, which a test shows to be wrong.
    return StatementError(error.message, position=error.cursorpos if error.cursorpos > 0 else None)


def fields_of(node: str) -> frozenset[str]:
    """The names that the fields of a kind of node have in the JSON tree."""
    message = DESCRIPTOR.message_types_by_name[node]
    return frozenset(field.json_name for field in message.fields)
