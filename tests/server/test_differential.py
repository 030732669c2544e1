"""The same messages to PostgreSQL and through the gateway: the same replies, whatever the messages are.

A refused statement has to behave like one that PostgreSQL finds a syntax error in; so PostgreSQL is sent one.
"""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.wire.messages import message, parse_fault
from tests.server.conftest import Served, Server
from tests.server.raw import FLUSH, SYNC, Raw, Reply, bind, close, describe, execute, parse, query

REFUSED = "SELECT 'forbidden'"
WRONG = "SELEKT 'forbidden'"
"""What PostgreSQL gets in the place of REFUSED; as long as that."""

TEXTS = [
    "SELECT 1",
    "SELECT generate_series(1, 5)",
    "SELECT 1/0",
    "SELECT nothing",
    "SELEC",
    "",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "SET application_name = 'renamed'",
    "DEALLOCATE a",
    "DEALLOCATE ALL",
    "DISCARD ALL",
    "SELECT 1; SELECT 2",
    "SELECT 1; SELECT 1/0; SELECT 2",
    "BEGIN; SELECT 1; COMMIT",
    "DO $$BEGIN RAISE NOTICE 'hello'; END$$",
    "COPY (SELECT generate_series(1, 3)) TO STDOUT",
    REFUSED,
    f"SELECT 1; {REFUSED}",
]

texts = st.sampled_from(TEXTS)
statements = st.sampled_from(["", "a", "b"])
portals = st.sampled_from(["", "p"])

messages = st.one_of(
    st.builds(query, texts),
    st.builds(parse, statements, texts),
    st.builds(parse, statements, st.just("SELECT $1::int + generate_series(1, 4)")),
    st.builds(bind, portals, statements),
    st.builds(bind, portals, statements, st.sampled_from(["7", "x"])),
    st.builds(describe, st.just("S"), statements),
    st.builds(describe, st.just("P"), portals),
    st.builds(execute, portals, st.sampled_from([0, 2])),
    st.builds(close, st.just("S"), statements),
    st.builds(close, st.just("P"), portals),
    st.just(FLUSH),
    st.just(SYNC),
    st.builds(message, st.sampled_from([b"d", b"c"])),  # left over from a COPY, for PostgreSQL to ignore
)
likely = st.builds(
    lambda name, text, portal, limit, end: [parse(name, text), bind(portal, name), execute(portal, limit), *end],
    statements,
    texts,
    portals,
    st.sampled_from([0, 2]),
    st.sampled_from([[], [SYNC], [SYNC], [FLUSH]]),
)
scripts = st.lists(st.one_of(messages.map(lambda one: [one]), likely), max_size=12).map(
    lambda parts: [message for part in parts for message in part]
)

END = query("SELECT 'the end'")


def replies(raw: Raw, script: list[bytes]) -> list[Reply]:
    """All that comes back, the errors without what only their texts differ in."""
    raw.send(*script, SYNC, query("ROLLBACK"), END)
    found: list[Reply] = []
    while not found or b"the end" not in found[-1][1]:
        found.append(raw.reply())
    found.extend(raw.until("Z"))
    return [comparable(*reply) for reply in found]


def comparable(kind: str, body: bytes) -> Reply:
    if kind != "E":
        return kind, body
    fault = parse_fault(body)
    if "SELEKT" in fault.text or fault.text == "not for you":
        return kind, b"refused"
    return kind, repr((fault.sqlstate, fault.text, fault.fields.get("P"))).encode()


def compare(served: Served, postgres: EmbeddedPostgres, script: list[bytes]) -> list[Reply]:
    with Raw(postgres.host, postgres.port) as direct, Raw("127.0.0.1", served.port) as through:
        direct.login("postgres", postgres.password)
        through.login()
        expected = replies(direct, [one.replace(REFUSED.encode(), WRONG.encode()) for one in script])
        found = replies(through, script)
    assert [kind for kind, _ in found] == [kind for kind, _ in expected]
    assert found == expected
    return found


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_any_messages_get_the_replies_that_postgresql_gives(
    server: Server, postgres: EmbeddedPostgres, loop: Literal["uvloop", "asyncio"]
) -> None:
    served = server.start(loop=loop)

    @settings(max_examples=150, deadline=None)
    @given(script=scripts)
    def check(script: list[bytes]) -> None:
        compare(served, postgres, script)
        assert served.gate.all_closed()

    check()


DATA = message(b"d", b"1\n2\n")
DONE = message(b"c")
FAIL = message(b"f", b"changed my mind\0")
TABLE = query("CREATE TEMP TABLE t (x int)")
COPY = "COPY t FROM STDIN"
COUNT = query("SELECT count(*) FROM t")


@pytest.mark.parametrize(
    "script",
    [
        [query(COPY), DATA, DONE, COUNT],
        [query(COPY), DATA, FAIL, COUNT],
        [query(COPY), message(b"d", b"not a number\n"), DATA, DONE, COUNT],
        [query(f"{COPY}; {COPY}"), DATA, DONE, DATA, DONE, COUNT],
        [parse("", COPY), bind("", ""), execute(""), SYNC, DATA, DONE, SYNC, COUNT],
        [parse("", COPY), bind("", ""), execute(""), DATA, DONE, SYNC, COUNT],
        [parse("", COPY), bind("", ""), execute(""), DATA, FAIL, SYNC, COUNT],
        [parse("", COPY), bind("", ""), execute(""), FLUSH, message(b"d", b"x\n"), DATA, DONE, SYNC, COUNT],
        [query("COPY (SELECT 1) TO STDOUT"), COUNT],
        [query(f"COPY t TO STDOUT; {COPY}; SELECT 1"), DATA, DONE, COUNT],
    ],
    ids=lambda script: " ".join(chr(one[0]) for one in script),
)
@pytest.mark.parametrize("patient", [True, False], ids=["waiting for CopyInResponse", "all at once"])
def test_copy(served: Served, postgres: EmbeddedPostgres, script: list[bytes], patient: bool) -> None:
    """The data may come ahead of the upstream's request for it: nothing is lost, nothing out of step."""
    answers = []
    for host, port, user, password in (
        (postgres.host, postgres.port, "postgres", postgres.password),
        ("127.0.0.1", served.port, "ada", "secret"),
    ):
        with Raw(host, port) as raw:
            raw.login(user, password)
            raw.send(TABLE)
            raw.until("Z")
            before: list[Reply] = []
            if patient:
                start = next((at for at, one in enumerate(script) if one[:1] == b"d"), 0)
                raw.send(*script[:start], FLUSH)
                before = raw.until("G") if start else []
                answers.append([comparable(*one) for one in before] + replies(raw, script[start:]))
            else:
                answers.append(replies(raw, script))
    assert answers[0] == answers[1]


def test_a_statement_prepared_by_sql_is_bound_by_the_protocol(served: Served, postgres: EmbeddedPostgres) -> None:
    with Raw(postgres.host, postgres.port) as direct, Raw("127.0.0.1", served.port) as through:
        direct.login("postgres", postgres.password)
        through.login()
        for script in (
            [query("PREPARE a AS SELECT 7; PREPARE b AS SELECT 8")],
            [bind("", "a"), execute("")],
            [query("PREPARE a AS SELECT 9")],
            [bind("", "a"), execute(""), bind("", "b"), execute("")],
            [query("DEALLOCATE a")],
            [bind("", "b"), execute(""), bind("", "a"), execute("")],
            [parse("", "PREPARE c AS SELECT 10"), bind("", ""), execute("")],
            [bind("", "c"), execute("")],
            [query("DISCARD ALL")],
            [bind("", "b"), execute("")],
        ):
            assert replies(through, script) == replies(direct, script)
