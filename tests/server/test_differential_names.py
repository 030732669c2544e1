"""Names that SQL and the protocol share, to PostgreSQL and through the gateway: the same replies, the right record."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.server.conftest import Served, Server
from tests.server.raw import FLUSH, SYNC, Reply, bind, close, describe, execute, parse, query
from tests.server.test_differential import compare

S = parse("s", "SELECT 'a'")
RUN_S = [bind("", "s"), execute("")]
RUN = [bind("", ""), execute("")]


def row(value: str) -> bytes:
    """A DataRow of one text."""
    return b"\0\1" + len(value).to_bytes(4, "big") + value.encode()


def records_what_ran(served: Served, replies: list[Reply]) -> None:
    """Every row came from an Execute, and the execution's record has the text that gave it."""
    assert served.gate.all_closed()
    ran = [text for number, text in served.gate.ran.items() if served.gate.closed[number].rows]
    rows = [body for kind, body in replies if kind == "D"]
    assert rows[:-1] == [row(text.partition("'")[2].partition("'")[0]) for text in ran], ran


@pytest.mark.parametrize(
    "script",
    [
        [S, SYNC, query("DEALLOCATE s; PREPARE s AS SELECT 'b'"), *RUN_S],
        [S, SYNC, query("PREPARE s AS SELECT 'b'"), *RUN_S],
        [
            S,
            parse("", "DEALLOCATE s"),
            *[bind("", ""), execute("")],
            parse("", "PREPARE s AS SELECT 'b'"),
            bind("", ""),
            execute(""),
            *RUN_S,
        ],
        [parse("d", "DEALLOCATE s"), S, SYNC, query("EXECUTE d; PREPARE s AS SELECT 'b'"), *RUN_S],
        [S, SYNC, query("DISCARD ALL"), *RUN_S],
        [S, SYNC, query("DEALLOCATE ALL; PREPARE s AS SELECT 'b'; SELECT 1/0"), *RUN_S],
        [query("BEGIN; DECLARE c CURSOR FOR SELECT 'b'"), execute("c")],
        [query("BEGIN; DECLARE c CURSOR FOR SELECT 'b'"), S, bind("c", "s"), execute("c")],
        [query("BEGIN"), S, bind("c", "s"), query("DECLARE c CURSOR FOR SELECT 'b'"), execute("c")],
        [query("BEGIN"), S, bind("c", "s"), query("CLOSE c; DECLARE c CURSOR FOR SELECT 'b'"), execute("c")],
        [query("BEGIN"), S, bind("c", "s"), query("CLOSE ALL; DECLARE c CURSOR FOR SELECT 'b'"), execute("c")],
        [query("BEGIN; DECLARE c CURSOR FOR SELECT 'b'"), close("P", "c"), S, bind("c", "s"), execute("c")],
        [query("BEGIN; SAVEPOINT p; DECLARE c CURSOR FOR SELECT 'b'; ROLLBACK TO p"), execute("c")],
        [query("BEGIN; SAVEPOINT p; DECLARE c CURSOR FOR SELECT 'b'; ROLLBACK TO p"), S, bind("c", "s"), execute("c")],
        [query("BEGIN; DECLARE c CURSOR FOR SELECT 'b'; COMMIT"), execute("c")],
        [query("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 'b'; COMMIT"), execute("c"), describe("P", "c")],
        [query("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 'b'; ROLLBACK"), execute("c")],
        [query("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 'b'; COMMIT"), query("DISCARD ALL"), execute("c")],
        [query("BEGIN"), S, bind("p", "s"), SYNC, query("COMMIT"), execute("p")],
        [S, bind("p", "s"), SYNC, execute("p")],
        [query("BEGIN"), S, bind("p", "s"), query("CLOSE p"), execute("p")],
        [
            parse("s", "BEGIN"),
            *RUN_S,
            parse("", "DECLARE c CURSOR FOR SELECT 'b'"),
            bind("", ""),
            execute(""),
            execute("c"),
            FLUSH,
        ],
        [parse("S", "SELECT 'a'"), SYNC, query("DEALLOCATE S"), query('DEALLOCATE "S"'), bind("", "S"), execute("")],
        [parse("x" * 70, "SELECT 'a'"), SYNC, query(f"DEALLOCATE {'x' * 80}"), bind("", "x" * 63), execute("")],
        [S, SYNC, S, *RUN_S],
        [query("PREPARE s AS SELECT 'b'"), S, *RUN_S],
        [close("S", "unknown"), close("P", "unknown"), close("S", ""), close("P", "")],
    ],
    ids=lambda script: b" ".join(one[:1] + one[5:] for one in script).replace(b"\0", b"").decode()[:80],
)
def test_one_namespace(served: Served, postgres: EmbeddedPostgres, script: list[bytes]) -> None:
    """Checklist: SQL-level DEALLOCATE/PREPARE/EXECUTE share the namespace; portals die at txn end; Close of unknown."""
    records_what_ran(served, compare(served, postgres, script))


names = st.sampled_from(["a", "b"])
texts = st.one_of(
    st.builds("DEALLOCATE {}".format, names),
    st.builds("PREPARE {} AS SELECT '{}'".format, names, st.integers(0, 99)),
    st.builds("DECLARE {} CURSOR FOR SELECT '{}'".format, names, st.integers(100, 199)),
    st.builds("DECLARE {} CURSOR WITH HOLD FOR SELECT '{}'".format, names, st.integers(200, 299)),
    st.builds("CLOSE {}".format, names),
    st.sampled_from(
        ["CLOSE ALL", "DEALLOCATE ALL", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT p", "ROLLBACK TO p", "DISCARD ALL"]
    ),
)
steps = st.one_of(
    st.lists(texts, min_size=1, max_size=3).map(lambda parts: [query("; ".join(parts))]),
    st.builds(lambda name, text: [parse(name, text)], names, texts),
    st.builds(lambda name, value: [parse(name, f"SELECT '{value}'")], names, st.integers(300, 399)),
    st.builds(lambda portal, name: [bind(portal, name), execute(portal)], st.sampled_from(["", "a", "b"]), names),
    st.builds(lambda portal: [execute(portal)], names),
    st.builds(lambda name: [close("S", name)], names),
    st.builds(lambda name: [close("P", name)], names),
    st.just([SYNC]),
)


def test_the_record_always_has_the_text_that_runs(server: Server, postgres: EmbeddedPostgres) -> None:
    """Whatever is sent ahead of the answers to texts that change names."""
    served = server.start()

    @settings(max_examples=150, deadline=None)
    @given(st.lists(steps, max_size=12))
    def check(parts: list[list[bytes]]) -> None:
        served.gate.ran.clear()
        found = compare(served, postgres, [message for part in parts for message in part])
        records_what_ran(served, found)

    check()
