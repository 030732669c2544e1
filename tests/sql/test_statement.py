"""How texts are taken apart: number, kind, place and name of statements."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlsql_gateway.errors import LimitError, StatementError
from nlsql_gateway.sql import Batch, Kind, Question, classify
from nlsql_gateway.sql.limits import Limits


def batch(text: str) -> Batch:
    found = classify(text)
    assert isinstance(found, Batch)
    return found


KINDS = [
    ("SELECT 1", Kind.SELECT, ""),
    ("VALUES (1)", Kind.SELECT, ""),
    ("TABLE t", Kind.SELECT, ""),
    ("WITH a AS (DELETE FROM t RETURNING 1) SELECT * FROM a", Kind.SELECT, ""),
    ("(SELECT 1) UNION SELECT 2", Kind.SELECT, ""),
    ("EXPLAIN SELECT 1", Kind.EXPLAIN, ""),
    ("SHOW ALL", Kind.SHOW, ""),
    ("SHOW timezone", Kind.SHOW, "timezone"),
    ("SHOW TRANSACTION ISOLATION LEVEL", Kind.SHOW, "transaction_isolation"),
    ("SET a.b = 1", Kind.SET, "a.b"),
    ("SET ROLE NONE", Kind.SET, "role"),
    ("SET NAMES 'utf8'", Kind.SET, "client_encoding"),
    ("SET TIME ZONE 'UTC'", Kind.SET, "timezone"),
    ("SET TRANSACTION READ ONLY", Kind.SET, "TRANSACTION"),
    ("RESET ALL", Kind.RESET, ""),
    ("RESET timezone", Kind.RESET, "timezone"),
    ("BEGIN", Kind.BEGIN, ""),
    ("START TRANSACTION READ ONLY", Kind.BEGIN, ""),
    ("COMMIT", Kind.COMMIT, ""),
    ("END", Kind.COMMIT, ""),
    ("ROLLBACK", Kind.ROLLBACK, ""),
    ("ABORT", Kind.ROLLBACK, ""),
    ("SAVEPOINT a", Kind.SAVEPOINT, ""),
    ("RELEASE a", Kind.RELEASE, ""),
    ("ROLLBACK TO a", Kind.ROLLBACK_TO, ""),
    ("PREPARE TRANSACTION 'x'", Kind.TWO_PHASE, ""),
    ("COMMIT PREPARED 'x'", Kind.TWO_PHASE, ""),
    ("DECLARE c CURSOR FOR SELECT 1", Kind.DECLARE, "c"),
    ("FETCH ALL FROM c", Kind.FETCH, "c"),
    ("MOVE 1 IN c", Kind.FETCH, "c"),
    ("CLOSE c", Kind.CLOSE, "c"),
    ("CLOSE ALL", Kind.CLOSE, ""),
    ("PREPARE p AS SELECT 1", Kind.PREPARE, "p"),
    ("EXECUTE p", Kind.EXECUTE, "p"),
    ("DEALLOCATE p", Kind.DEALLOCATE, "p"),
    ("DEALLOCATE ALL", Kind.DEALLOCATE, ""),
    ("DISCARD ALL", Kind.DISCARD, ""),
    ("LISTEN c", Kind.LISTEN, ""),
    ("UNLISTEN *", Kind.UNLISTEN, ""),
    ("NOTIFY c", Kind.NOTIFY, ""),
    ("COPY t TO STDOUT", Kind.COPY_TO, ""),
    ("COPY t FROM STDIN", Kind.COPY_FROM, ""),
    ("INSERT INTO t VALUES (1)", Kind.WRITE, ""),
    ("UPDATE t SET a = 1", Kind.WRITE, ""),
    ("DELETE FROM t", Kind.WRITE, ""),
    ("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE", Kind.WRITE, ""),
    ("TRUNCATE t", Kind.WRITE, ""),
    ("CREATE TABLE t ()", Kind.DDL, ""),
    ("CREATE TABLE t AS SELECT 1", Kind.DDL, ""),
    ("CREATE VIEW v AS SELECT 1", Kind.DDL, ""),
    ("CREATE INDEX ON t (a)", Kind.DDL, ""),
    ("ALTER TABLE t RENAME TO u", Kind.DDL, ""),
    ("DROP TABLE t", Kind.DDL, ""),
    ("GRANT SELECT ON t TO x", Kind.DDL, ""),
    ("COMMENT ON TABLE t IS 'x'", Kind.DDL, ""),
    ("ALTER SYSTEM SET work_mem = 1", Kind.DDL, ""),
    ("DO $$$$", Kind.DO, ""),
    ("CALL f()", Kind.CALL, ""),
    ("VACUUM", Kind.MAINTENANCE, ""),
    ("ANALYZE", Kind.MAINTENANCE, ""),
    ("CHECKPOINT", Kind.MAINTENANCE, ""),
    ("LOAD 'x'", Kind.OTHER, ""),
    ("LOCK t", Kind.OTHER, ""),
    ("SET CONSTRAINTS ALL DEFERRED", Kind.OTHER, ""),
]


@pytest.mark.parametrize(("text", "kind", "name"), KINDS)
def test_kind(text: str, kind: Kind, name: str) -> None:
    (statement,) = batch(text).statements
    assert (statement.text, statement.kind, statement.name) == (text, kind, name)


INNER = [
    ("EXPLAIN SELECT 1", "SELECT 1", Kind.SELECT),
    ("EXPLAIN ANALYZE VERBOSE SELECT 1", "SELECT 1", Kind.SELECT),
    ("EXPLAIN (ANALYZE, FORMAT json) /* é */ SELECT 'é'", "SELECT 'é'", Kind.SELECT),
    ("EXPLAIN (SELECT 1)", "(SELECT 1)", Kind.SELECT),
    ("EXPLAIN ((SELECT 1) UNION SELECT 2)", "((SELECT 1) UNION SELECT 2)", Kind.SELECT),
    ("EXPLAIN (COSTS off) (SELECT 1)", "(SELECT 1)", Kind.SELECT),
    ("EXPLAIN EXECUTE p(1)", "EXECUTE p(1)", Kind.EXECUTE),
    ("EXPLAIN DELETE FROM t", "DELETE FROM t", Kind.WRITE),
    ("EXPLAIN CREATE TABLE x AS SELECT 1", "CREATE TABLE x AS SELECT 1", Kind.DDL),
    ("PREPARE p (int, numeric(3, 1)) AS SELECT $1", "SELECT $1", Kind.SELECT),
    ("PREPARE p AS DELETE FROM t", "DELETE FROM t", Kind.WRITE),
    ('DECLARE "for" CURSOR WITH HOLD FOR SELECT 1 AS "for"', 'SELECT 1 AS "for"', Kind.SELECT),
    ("COPY (SELECT (1)) TO STDOUT (FORMAT csv)", "SELECT (1)", Kind.SELECT),
    ("COPY (DELETE FROM t RETURNING 1) TO STDOUT", "DELETE FROM t RETURNING 1", Kind.WRITE),
]


@pytest.mark.parametrize(("text", "query", "kind"), INNER)
def test_inner_query(text: str, query: str, kind: Kind) -> None:
    (statement,) = batch(f"SELECT 'é';\n{text} ;").statements[1:]
    assert statement.inner is not None
    assert (statement.inner.text, statement.inner.kind) == (query, kind)
    assert statement.with_inner("SELECT 'ü'") == text.replace(query, "SELECT 'ü'")


def test_separators_are_kept() -> None:
    text = "/* a */ SELECT 'é' -- b\n;; /* c */ ;TABLE t -- d"
    found = batch(text)
    assert [statement.text for statement in found.statements] == ["SELECT 'é'", "TABLE t"]
    assert found.replace({}) == text
    assert found.replace({1: "SELECT 'ü'"}) == "/* a */ SELECT 'é' -- b\n;; /* c */ ;SELECT 'ü' -- d"
    assert found.replace({0: "x", 1: "y"}) == "/* a */ x -- b\n;; /* c */ ;y -- d"


@pytest.mark.parametrize("text", ["", " \n", ";", "-- nothing", "/* /* */ */"])
def test_nothing(text: str) -> None:
    assert batch(text).statements == ()


def test_a_carriage_return_ends_a_comment() -> None:
    assert len(batch("SELECT 1 -- x\r; DELETE FROM t").statements) == 2


@pytest.mark.parametrize(
    ("text", "position"),
    [("SELECT 'éé😀' FORM t", 19), ("SELECT 'éé' 'x", 13), ("SELEC 1", 1)],
)
def test_errors_have_the_position_in_characters(text: str, position: int) -> None:
    with pytest.raises(StatementError) as caught:
        classify(text)
    assert caught.value.sqlstate == "42601"
    assert caught.value.position is not None
    assert caught.value.position == position


def test_nul_and_surrogates() -> None:
    for text in ("SELECT 1\0; DELETE FROM t", "SELECT '\ud800'"):
        with pytest.raises(StatementError) as caught:
            classify(text)
        assert caught.value.sqlstate == "22021"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT '" + "x" * 1024 * 1024 + "'",
        "SELECT " + "(" * 101 + "1" + ")" * 101,
        "SELECT " + "CASE WHEN true THEN " * 101 + "1" + " END" * 101,
        "SELECT " + "ARRAY[" * 101 + "1" + "]" * 101,
        "SELECT " + "+".join(["1"] * 1000),
        "SELECT " + "NOT " * 1000 + "true",
        "SELECT " + "- " * 1000 + "1",
        " UNION ".join(["SELECT 1"] * 1000),
        "SELECT * FROM t" + " JOIN t USING (a)" * 1000,
        "SELECT 1" + "::int" * 1000,
        "SELECT " + ",".join(["1"] * 100_001),
    ],
    ids=lambda text: text[:30],
)
def test_limits(text: str) -> None:
    with pytest.raises(LimitError) as caught:
        classify(text)
    assert caught.value.sqlstate == "54000"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT " + ",".join(["1"] * 20_000),
        "SELECT 1 WHERE 1 IN (" + ",".join(["1"] * 20_000) + ")",
        "SELECT 1 WHERE " + " OR ".join(["a = 1 AND b = 2"] * 2000),
        "SELECT CASE " + " ".join(f"WHEN a = {n} THEN {n}" for n in range(1000)) + " END FROM t",
        "SELECT " + "||".join(["a"] * 150) + " FROM t",
        " UNION ALL ".join(["SELECT 1"] * 100),
        "VALUES " + ",".join(["(1, 'a')"] * 5000),
        "SELECT * FROM (" * 25 + "SELECT 1" + ") x" * 25,
    ],
    ids=lambda text: text[:30],
)
def test_what_tools_generate_is_within_the_limits(text: str) -> None:
    assert len(batch(text).statements) == 1


def test_limits_can_be_set() -> None:
    with pytest.raises(LimitError, match="tokens"):
        classify("SELECT 1, 2, 3", Limits(tokens=3))


PIECES = st.sampled_from(
    """SELECT FROM t WHERE a = 1 'x' "y" $1 $$ $tag$ ' " -- /* */ ; ( ) , . * ask: ASK -- ask: E'\\' U&"\\0061" \n \r \t
    COPY TO STDOUT EXPLAIN PREPARE p AS DECLARE c CURSOR FOR UNION CASE WHEN END é 😀 \0 \\ :: [ ] + - BEGIN ONLY TABLE
    WITH UESCAPE '!' 1e9 0x1F x'1F' B'1' N'x'""".split(" ")  # noqa: SIM905
)


@settings(max_examples=1500, deadline=None)
@given(st.one_of(st.text(), st.lists(PIECES, max_size=25).map(" ".join), st.lists(PIECES, max_size=25).map("".join)))
def test_any_text_gives_a_value_or_a_documented_error(text: str) -> None:
    try:
        found = classify(text)
    except (StatementError, LimitError):
        return
    if isinstance(found, Question):
        assert found.words.strip()
        return
    assert found.replace({}) == text
    for statement in found.statements:
        assert statement.text in text
        json.dumps(statement.node)
