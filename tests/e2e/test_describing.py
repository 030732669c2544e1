"""Describe before Execute: a rewritten statement has the parameters and columns that the client's own would have.

The same table without a policy and, through the gateway, with masks or a row filter; compared field by field.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.wire.messages import message, parse_fault
from tests.e2e import harness
from tests.e2e.harness import PASSWORDS, RunningGateway
from tests.server.raw import SYNC, Raw, Reply, describe, execute, query

ROLE, DATABASE = "describing_gateway", "describing"

TABLES = """
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE plain (id int PRIMARY KEY, label text);
CREATE TABLE thing (
  id int PRIMARY KEY, code varchar(8), fixed char(5), label text, price numeric(9,2), loose numeric, tiny smallint,
  big bigint, ratio real, share float8, born date, seen timestamp(3), seen_at timestamptz(0), clock time(2),
  span interval day to second, flags bit(3), loose_flags varbit(7), ip inet, raw bytea, doc jsonb, many int[],
  names varchar(4)[], kind mood, cash money, rank positive, uid uuid, owner name, yes bool
);
INSERT INTO plain VALUES (1, 'one'), (2, 'two');
INSERT INTO thing VALUES (1, 'abcdefgh', 'abcde', 'label', 1.25, 2.5, 3, 4, 5.5, 6.5, '2026-01-02',
  '2026-01-02 03:04:05.678', '2026-01-02 03:04:05+00', '03:04:05.67', '1 day 02:03:04', B'101', B'1010', '127.0.0.1',
  '\\x0102', '{"a": 1}', '{1,2}', '{a,b}', 'glad', 7, 8, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'me', true);
INSERT INTO thing (id, label, price) VALUES (2, 'hidden', 5);
"""

POLICY = """
version: 1
name: describing
users:
  ada:  {roles: free}
  emil: {roles: masked}
  nora: {roles: filtered}
  petra: {roles: both}
roles:
  free:
    read: [public.*]
  masked: &masked
    read: [public.*]
    masks: &masks
      - {columns: [public.thing.code, public.thing.fixed, public.thing.label], with: {partial: {first: 1}}}
      - {columns: [public.thing.price, public.thing.loose, public.thing.tiny, public.thing.big], with: {round: {to: 2}}}
      - {columns: [public.thing.ratio, public.thing.share], with: {round: {to: 2}}}
      - {columns: [public.thing.born, public.thing.seen, public.thing.seen_at], with: year}
      - columns: [public.thing.clock, public.thing.span, public.thing.flags, public.thing.loose_flags, public.thing.ip,
                  public.thing.raw, public.thing.doc, public.thing.many, public.thing.names, public.thing.kind,
                  public.thing.cash, public.thing.rank, public.thing.uid, public.thing.owner, public.thing.yes]
        with: "null"
  filtered:
    read: [public.*]
    rows: &rows
      - {tables: public.thing, using: "label <> 'hidden'"}
  both:
    read: [public.*]
    rows: *rows
    masks: *masks
"""

COLUMNS = (
    "id, code, fixed, label, price, loose, tiny, big, ratio, share, born, seen, seen_at, clock, span, flags,"
    " loose_flags, ip, raw, doc, many, names, kind, cash, rank, uid, owner, yes"
)

QUERIES = [
    "SELECT * FROM thing",
    "TABLE thing",
    f"SELECT {COLUMNS} FROM thing AS t",
    "SELECT t.*, p.label FROM thing t JOIN plain p USING (id)",
    "SELECT label, upper(label), label || $1, length(code) AS length FROM thing",
    "SELECT * FROM thing WHERE id = $1",
    "SELECT * FROM thing WHERE $1 = id AND label = $2",
    "SELECT id FROM thing WHERE id IN ($1, $2, $3)",
    "SELECT id FROM thing WHERE id BETWEEN $1 AND $2 AND price > $3",
    "SELECT id FROM thing WHERE abs(price) > $1 AND id = $1",
    "SELECT id FROM thing WHERE id = $1 AND abs(price) > $1",
    "SELECT id FROM thing WHERE big = $1 AND id = $1",
    "SELECT id FROM thing WHERE tiny = $1 AND big = $1 AND id = $1",
    "SELECT id FROM thing WHERE label = $1 AND code = $1 AND fixed = $1",
    "SELECT id FROM thing WHERE born > $1 AND seen > $1",
    "SELECT id FROM thing WHERE born > $1::date AND seen > $2",
    "SELECT id FROM thing WHERE uid = $1 AND many = $2 AND kind = $3 AND yes = $4",
    "SELECT id FROM thing WHERE id = ANY($1) AND label LIKE $2",
    "SELECT $1, id FROM thing WHERE id = $1",
    "SELECT $1, $2 FROM thing WHERE id = $2::int",
    "SELECT $1 + id FROM thing WHERE id = $1",
    "SELECT $1::numeric, id FROM thing WHERE id = $1",
    "SELECT p.id FROM plain p, thing t WHERE p.label = $1 AND t.label = $2 AND t.id = p.id",
    "SELECT p.id FROM plain p WHERE p.id = $1 AND EXISTS (SELECT FROM thing t WHERE t.id = $2 AND t.big = $1)",
    "SELECT count(*), sum(price), min(label) FROM thing WHERE price < $1 GROUP BY kind HAVING count(*) > $2",
    "SELECT id FROM thing ORDER BY id LIMIT $1 OFFSET $2",
    'SELECT id AS first, label AS "Second" FROM thing UNION ALL SELECT id, label FROM plain WHERE id = $1',
    "WITH t AS (SELECT * FROM thing WHERE id = $1) SELECT * FROM t WHERE label = $2",
    "SELECT (SELECT label FROM thing WHERE id = $1), coalesce(label, $2), CASE WHEN id > $3 THEN $4 END FROM thing",
    "SELECT thing.label FROM thing WHERE thing IS NOT NULL",
    "SELECT $3, id FROM thing WHERE id = $1",
    "SELECT id FROM thing WHERE id = $1 OR $1 IS NULL",
    "SELECT id FROM thing WHERE ($1::int IS NULL OR id = $1)",
    "",
    "BEGIN",
]


class Column(NamedTuple):
    name: str
    table: int
    attribute: int
    type: int
    size: int
    modifier: int
    format: int


def columns(body: bytes) -> list[Column]:
    """Of a RowDescription."""
    (count,) = struct.unpack_from("!h", body)
    position, found = 2, []
    for _ in range(count):
        end = body.index(0, position)
        found.append(Column(body[position:end].decode(), *struct.unpack_from("!ihihih", body, end + 1)))
        position = end + 19
    return found


@pytest.fixture(scope="module")
def described(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    postgres.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE}'")
    postgres.execute(f"CREATE DATABASE {DATABASE}")
    postgres.execute(TABLES, database=DATABASE)
    postgres.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {ROLE}", database=DATABASE)
    folder = tmp_path_factory.mktemp("describing")
    (folder / "policy.yaml").write_text(POLICY)
    with harness.gateway(
        folder, postgres, database=DATABASE, policy=folder / "policy.yaml", role=ROLE, password=ROLE
    ) as running:
        yield running
    postgres.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    postgres.execute(f"DROP ROLE {ROLE}")


def direct(postgres: EmbeddedPostgres) -> Raw:
    return Raw(postgres.host, postgres.port).login(ROLE, ROLE, DATABASE)


def through(gateway: RunningGateway, user: str) -> Raw:
    return Raw("127.0.0.1", gateway.port).login(user, PASSWORDS[user], DATABASE)


def prepared(raw: Raw, text: str, types: tuple[int, ...] = ()) -> tuple[object, ...]:
    """What Describe says of a statement: an error, or the parameters and the columns."""
    declared = struct.pack(f"!h{len(types)}i", len(types), *types)
    raw.send(message(b"P", b"\0" + text.encode() + b"\0" + declared), describe("S", ""), SYNC)
    replies = dict(raw.until("Z"))
    if "E" in replies:
        return (parse_fault(replies["E"]).sqlstate,)
    parameters = struct.unpack(f"!{(len(replies['t']) - 2) // 4}i", replies["t"][2:])
    return parameters, columns(replies["T"]) if "T" in replies else None


@pytest.mark.parametrize("user", ["ada", "emil", "nora", "petra"])
@pytest.mark.parametrize("text", QUERIES)
def test_a_described_statement_is_what_the_client_wrote(
    described: RunningGateway, postgres: EmbeddedPostgres, user: str, text: str
) -> None:
    """Checklist: rewritten statement keeps $n and declared OIDs; RowDescription: same names, types, typmod."""
    with direct(postgres) as one, through(described, user) as other:
        expected, found = prepared(one, text), prepared(other, text)
    if len(expected) == 1 or len(found) == 1:
        assert found == expected
        return
    assert found[0] == expected[0], "parameters"
    assert without_origin(found[1]) == without_origin(expected[1])


def without_origin(described: object) -> object:
    if described is None:
        return None
    assert isinstance(described, list)
    return [column._replace(table=0, attribute=0) for column in described]


def test_the_origin_of_a_column_is_told_unless_it_is_masked(
    described: RunningGateway, postgres: EmbeddedPostgres
) -> None:
    """Checklist: tableOID/attnum become 0 for masked/derived columns; others keep theirs, filtered or not."""
    text = "SELECT id, label, price, upper(label) FROM thing"
    with direct(postgres) as raw:
        _, expected = prepared(raw, text)
    for user, masked in (("nora", ()), ("emil", ("label", "price")), ("petra", ("label", "price"))):
        with through(described, user) as raw:
            _, found = prepared(raw, text)
        assert isinstance(found, list)
        assert isinstance(expected, list)
        for column, own in zip(found, expected, strict=True):
            origin = (0, 0) if column.name in masked else (own.table, own.attribute)
            assert (column.table, column.attribute) == origin, (user, column)


def test_declared_types_stay(described: RunningGateway, postgres: EmbeddedPostgres) -> None:
    """Checklist: rewritten statement must keep declared OIDs; 0 leaves one to PostgreSQL."""
    for text, types in (
        ("SELECT id FROM thing WHERE id = $1 AND price > $2", (20, 0)),
        ("SELECT id FROM thing WHERE id = $1", (1700,)),
        ("SELECT label FROM thing WHERE label = $2 AND id = $1", (0, 1043)),
        ("SELECT $1, label FROM thing WHERE id = $2", (1700, 21)),
    ):
        with direct(postgres) as one, through(described, "petra") as other:
            assert prepared(other, text, types)[0] == prepared(one, text, types)[0]


def fetched(raw: Raw, text: str, formats: tuple[int, ...], *values: bytes) -> list[Reply]:
    """Parse, Bind, Describe the portal, Execute."""
    bound = b"\0\0" + struct.pack("!hh", 0, len(values))
    bound += b"".join(struct.pack("!i", len(value)) + value for value in values)
    bound += struct.pack(f"!h{len(formats)}h", len(formats), *formats)
    raw.send(
        message(b"P", b"\0" + text.encode() + b"\0\0\0"), message(b"B", bound), describe("P", ""), execute(""), SYNC
    )
    return raw.until("Z")


@pytest.mark.parametrize("formats", [(), (0,), (1,), (1, 0, 1, 0)], ids=["none", "text", "binary", "mixed"])
def test_a_described_portal_and_its_rows(
    described: RunningGateway, postgres: EmbeddedPostgres, formats: tuple[int, ...]
) -> None:
    """Checklist: format codes: 0, 1, or n entries; masking must encode the column's own type."""
    text = "SELECT id, label, price, uid FROM thing WHERE id = $1 AND label = $2 ORDER BY id"
    same = "SELECT id, 'l***'::text AS label, {}::numeric(9,2) AS price, NULL::uuid AS uid FROM thing WHERE id = $1"
    with direct(postgres) as one, through(described, "nora") as other:
        assert fetched(other, text, formats, b"1", b"label") == fetched(one, text, formats, b"1", b"label")
    with direct(postgres) as one, through(described, "petra") as other:
        found = fetched(other, text.replace(" AND label = $2", ""), formats, b"1")
        expected = fetched(one, same.format("0.00"), formats, b"1")
    assert [kind for kind, _ in found] == list("12TDCZ")
    bodies, wanted = dict(found), dict(expected)
    assert without_origin(columns(bodies["T"])) == without_origin(columns(wanted["T"]))
    assert bodies["D"] == wanted["D"]


def test_all_types_come_in_binary(described: RunningGateway, postgres: EmbeddedPostgres) -> None:
    """Checklist: all-binary (asyncpg, npgsql, tokio): every type, masked or not."""
    with direct(postgres) as one, through(described, "petra") as other, through(described, "nora") as filtered:
        text = "SELECT * FROM thing WHERE id = 1"
        assert fetched(filtered, text, (1,)) == fetched(one, text, (1,))
        masked = dict(fetched(other, text, (1,)))
        assert [column.format for column in columns(masked["T"])] == [1] * 28
        assert struct.unpack_from("!hii", masked["D"]) == (28, 4, 1)


@pytest.mark.parametrize("form", ["text", "csv, header", "binary"])
def test_copy_to_stdout_has_only_what_the_person_may_see(
    described: RunningGateway, postgres: EmbeddedPostgres, form: str
) -> None:
    """Checklist: COPY OUT: H, d*, c, C; COPY t TO STDOUT rewritten to COPY (SELECT ...) TO STDOUT, in every format."""
    shown = "SELECT id, label, price, born FROM thing WHERE label <> 'hidden' ORDER BY id"
    masked = "SELECT id, 'l***'::text AS label, 0.00::numeric(9,2) AS price, '2026-01-01'::date AS born FROM thing"
    expected = {"nora": shown, "petra": f"{masked} WHERE id = 1"}
    for user, same in expected.items():
        for copied in (
            "thing (id, label, price, born)",
            "(SELECT id, label, price, born FROM thing)",
            "(TABLE thing)" if user == "nora" else "(SELECT id, label, price, born FROM public.thing t)",
        ):
            own = same if "TABLE" not in copied else "SELECT * FROM thing WHERE label <> 'hidden'"
            with direct(postgres) as one, through(described, user) as other:
                one.send(query(f"COPY ({own}) TO STDOUT WITH (FORMAT {form})"))
                other.send(query(f"COPY {copied} TO STDOUT WITH (FORMAT {form})"))
                found = other.until("Z")
                assert found == one.until("Z"), (user, copied)
                assert "".join(kind for kind, _ in found).replace("d", "") == "HcCZ"


def test_copy_in_and_listen_are_refused_in_step(described: RunningGateway) -> None:
    """Checklist: COPY IN refused BEFORE G is sent; LISTEN where the policy allows it only."""
    with through(described, "nora") as raw:
        data = [message(b"d", b"1\tx\n"), message(b"c")]
        raw.send(query("COPY plain FROM STDIN"), *data, query("LISTEN news"), query("SELECT 1"))
        replies = [raw.until("Z") for _ in range(3)]
        assert ["".join(kind for kind, _ in found) for found in replies] == ["EZ", "EZ", "TDCZ"]
        assert [parse_fault(found[0][1]).sqlstate for found in replies[:2]] == ["25006", "42501"]
