"""Statement text -> a Batch of statements, or a Question. The first step of the gate.

libpg_query, the server's own grammar, is the authority on how many statements there are, of what kind, and where.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nlsql_gateway.sql import grammar, limits
from nlsql_gateway.sql.grammar import COMMENTS, Node, Token, TokenCode
from nlsql_gateway.sql.kinds import Kind, kind_of
from nlsql_gateway.sql.question import Question, question


@dataclass(frozen=True, slots=True)
class Statement:
    text: str
    "Its own slice of the client's text: no semicolon, no comments in front of or behind it."
    kind: Kind
    node: Node = field(compare=False, hash=False, repr=False)
    "libpg_query's JSON tree; ``location`` in it minus ``origin`` is a byte of ``text``."
    name: str = ""
    "The prepared statement, cursor or setting that is concerned; '' when none or ALL."
    origin: int = 0
    "Byte offset of ``text`` in the text that was parsed."
    inner: Statement | None = None
    "EXPLAIN, PREPARE, DECLARE … FOR, COPY (query): the query inside, whose text is a slice of this one's."
    words: Sequence[Token] = field(default=(), compare=False, hash=False, repr=False)
    "Its tokens without comments; their offsets are in the text that was parsed."

    def with_inner(self, sql: str) -> str:
        """This statement's text with ``sql`` in the place of the inner query's. Only where there is an inner one."""
        assert self.inner is not None
        source = self.text.encode()
        start = self.inner.origin - self.origin
        end = start + len(self.inner.text.encode())
        return (source[:start] + sql.encode() + source[end:]).decode()


@dataclass(frozen=True, slots=True)
class Batch:
    """All statements of one text; none for an empty text."""

    text: str
    statements: tuple[Statement, ...]

    def replace(self, changed: Mapping[int, str]) -> str:
        """The text with the statements at the indexes given replaced, byte for byte the same otherwise."""
        source = self.text.encode()
        parts: list[bytes] = []
        at = 0
        for index, statement in enumerate(self.statements):
            if index in changed:
                parts += [source[at : statement.origin], changed[index].encode()]
                at = statement.origin + len(statement.text.encode())
        return b"".join([*parts, source[at:]]).decode()


_INNER: Mapping[str, str] = {
    "ExplainStmt": "query",
    "PrepareStmt": "query",
    "DeclareCursorStmt": "query",
    "CopyStmt": "query",
}


def classify(text: str, within: limits.Limits = limits.DEFAULT) -> Batch | Question:
    """What ``text`` is. Raises StatementError (42601, 0A000, 22021; position set where known), LimitError."""
    source = grammar.encoded(text)
    limits.check_bytes(source, within)
    asked = question(text)
    if asked is not None:
        return asked
    tokens = grammar.scan(text)
    limits.check_tokens(tokens, within)
    words = [token for token in tokens if token.code not in COMMENTS]
    return Batch(text, tuple(_statements(source, words)))


def _statements(source: bytes, words: Sequence[Token]) -> Iterator[Statement]:
    at = 0
    for raw in grammar.parse(source):
        while words[at].start < raw.start or words[at].code == ord(";"):
            at += 1
        first = at
        while at < len(words) and words[at].end <= raw.end:
            at += 1
        yield _statement(source, raw.node, words[first:at])


def _statement(source: bytes, node: Node, words: Sequence[Token]) -> Statement:
    ((tag, body),) = node.items()
    kind, name = kind_of(node)
    inner = None
    if body.get(_INNER.get(tag, "")):
        inner = _statement(source, body[_INNER[tag]], _inner_words(tag, words))
    start, end = words[0].start, words[-1].end
    return Statement(source[start:end].decode(), kind, node, name, start, inner, words)


def _inner_words(tag: str, words: Sequence[Token]) -> Sequence[Token]:
    """The tokens of the query inside ``words`` (gram.y: ExplainStmt, PrepareStmt, DeclareCursorStmt, CopyStmt)."""
    codes = [word.code for word in words]
    if tag == "CopyStmt":  # COPY ( query ) TO …
        opening = codes.index(ord("("))
        return words[opening + 1 : _closing(codes, opening)]
    if tag == "PrepareStmt":  # PREPARE name [ ( types ) ] AS query
        return words[codes.index(TokenCode.AS) + 1 :]
    if tag == "DeclareCursorStmt":  # DECLARE name … CURSOR … FOR query
        return words[codes.index(TokenCode.FOR) + 1 :]
    # EXPLAIN [ ( option … ) | [ANALYZE] [VERBOSE] ] query; the query itself may begin with a parenthesis
    at = 1
    if codes[at] == ord("(") and codes[at + 1] not in _QUERY_BEGINS:
        at = _closing(codes, at) + 1
    while codes[at] in (TokenCode.ANALYZE, TokenCode.ANALYSE, TokenCode.VERBOSE):
        at += 1
    return words[at:]


_QUERY_BEGINS = frozenset(
    {ord("("), TokenCode.SELECT, TokenCode.VALUES, TokenCode.TABLE, TokenCode.WITH, TokenCode.WITH_LA}
)


def _closing(codes: Sequence[int], opening: int) -> int:
    depth = 0
    for at in range(opening, len(codes)):
        depth += {ord("("): 1, ord(")"): -1}.get(codes[at], 0)
        if depth == 0:
            return at
    raise AssertionError("the parser accepted unbalanced parentheses")
