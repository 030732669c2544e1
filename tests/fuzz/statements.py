"""Statement text: any text is statements or a question or a documented error, and the slices are where they say."""

from __future__ import annotations

from typing import Final

from nlsql_gateway.errors import LimitError, StatementError
from nlsql_gateway.sql import Batch, Statement, classify

_SPELLED: Final = """
SELECT FROM WHERE GROUP BY ORDER LIMIT DISTINCT ALL UNION WITH RECURSIVE AS ( ) , ; . * = < + - / :: $1 $2 1 2.5 NULL
'a' E'\\x41' $$b$$ $q$c$q$ U&'d' B'01' "A" a b t x -- ask: how /* */ /* ask: why */ ASK EXPLAIN ANALYZE VERBOSE
(FORMAT JSON) PREPARE EXECUTE DEALLOCATE DECLARE CURSOR FOR HOLD FETCH CLOSE MOVE COPY TO STDIN STDOUT BEGIN COMMIT
ROLLBACK SAVEPOINT SET RESET SHOW LOCAL INSERT INTO VALUES RETURNING UPDATE DELETE CREATE TABLE CASE WHEN THEN END
IN EXISTS ARRAY[ ] JOIN LEFT ON USING LATERAL OVER PARTITION FILTER CAST int text AND OR NOT IS BETWEEN LIKE INTERVAL
"""
WORDS: Final = tuple(_SPELLED.split())
"""What the fuzzer would take long to spell."""


def sql(data: bytes) -> None:
    """Any characters."""
    _classified(data.decode("utf-8", "replace"))


def words(data: bytes) -> None:
    """A word for each byte, a space or a line feed behind it."""
    ends = (" ", " ", "\n")
    _classified("".join(WORDS[byte % len(WORDS)] + ends[byte // len(WORDS)] for byte in data))


def _classified(text: str) -> None:
    try:
        found = classify(text)
    except (StatementError, LimitError) as error:
        position = getattr(error, "position", None)
        assert position is None or 1 <= position <= len(text) + 1
        return
    if not isinstance(found, Batch):
        return
    assert found.replace({}) == text
    source = text.encode()
    end = 0
    for statement in found.statements:
        assert statement.origin >= end, "statements stand one behind the other"
        end = _stands(statement, source)
    assert found.replace({n: one.text for n, one in enumerate(found.statements)}) == text
    alone = [_alone(statement) for statement in found.statements]
    assert alone == [statement.kind for statement in found.statements]


def _stands(statement: Statement, source: bytes) -> int:
    """Where it ends."""
    own = statement.text.encode()
    end = statement.origin + len(own)
    assert source[statement.origin : end] == own
    if statement.inner is not None:
        assert statement.origin <= statement.inner.origin
        assert _stands(statement.inner, source) <= end
        assert statement.with_inner(statement.inner.text) == statement.text
    return end


def _alone(statement: Statement) -> object:
    """The kind of a statement that is sent by itself: what was decided on must be what runs."""
    again = classify(statement.text)
    assert isinstance(again, Batch)
    (only,) = again.statements
    return only.kind
