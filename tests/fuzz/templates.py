"""Templates: what is remembered of one text holds for every text that fits it, whatever the literals are."""

from __future__ import annotations

from typing import Any, Final

from nlsql_gateway.errors import GatewayError
from nlsql_gateway.sql import Batch, classify
from nlsql_gateway.sql.grammar import scan
from nlsql_gateway.sql.template import cut, learn
from tests.admission.test_remembered import OPEN, STATEMENTS, client, gate, known, learned, seen
from tests.fuzz.cursor import Cursor
from tests.fuzz.statements import WORDS
from tests.policy.company import policy

LITERALS: Final = (
    "0", "1", "2", "7", "00", "-1", "123456789", "1234567890", "2147483648", "99999999999", "9999999999999999999999",
    "1.5", ".5", "5.", "1e5", "0x1F", "1_000", "$1", "''", "'x'", "'it''s'", "'a' 'b'", "'a'\n'b'", "E'a\\''", "$$x$$",
    "'\\'", "'--'", "'/*'", "'ssn'", "'orders'", "'pg_authid'", "'search_path'", "'é'", "'\u00a0'", "x'1F'", "97310",
    "'-- ask: x'", "true", "NULL",
)  # fmt: skip

SELECTS: Final = (
    "*", "id, 5", "id, 5 AS x, 'y' AS z", "-5, - 6 AS n", "CASE WHEN id = 5 THEN 'a' ELSE 'b' END AS c", "1 + 2 * 3",
    "coalesce(name, 'x'), 2.5 * id", "upper('x')", "(SELECT 'ssn')", "(SELECT ssn FROM (SELECT 'ssn') x LIMIT 1)",
    "date '2020-01-01', interval '1 day'", "ARRAY[1, 2]", "'orders'::regclass", "name::varchar(5)", "'t'::text AS t",
    "count(*) FILTER (WHERE id > 3) OVER (PARTITION BY 1)", "ssn", "DISTINCT name",
)  # fmt: skip
FROMS: Final = (
    "customers", "orders o", "staff", "customers c JOIN orders o ON o.customer_id = c.id AND o.id > 7",
    "(SELECT id, 'x' AS name FROM customers WHERE id > 1 LIMIT 3) AS customers", "customers TABLESAMPLE system (5)",
)  # fmt: skip
WHERES: Final = (
    "true", "id = 5", "region = 'x' AND id = 7 AND id <> -3", "name LIKE 'a%' OR id IN (1, 2, 3)", "id @-1",
    "id BETWEEN 1 AND 10", "id = ANY(ARRAY[1, 2])", "(id, name) = (1, 'x')", "id::text = '5' AND 1 = 1",
    "id > 5 /* 6 */",
    "tenant_id = 7 -- it's 5\n", "EXISTS (SELECT 1 FROM orders WHERE id = 9)", 'id = 5 AND "id" > 6',
    "id=5and name='x'",
)  # fmt: skip
ENDS: Final = (
    "",
    "ORDER BY 1",
    "ORDER BY 1, 2 LIMIT 10 OFFSET 5",
    "GROUP BY 1",
    "FETCH FIRST 5 ROWS ONLY",
    ";",
    "; SELECT 5",
)


def _select(cursor: Cursor) -> str:
    chosen = [options[cursor.byte() % len(options)] for options in (SELECTS, FROMS, WHERES, ENDS)]
    return "SELECT {} FROM {} WHERE {} {}".format(*chosen)


def _others(cursor: Cursor, pieces: list[str]) -> str:
    """The text with other literals: of the table, or any characters."""
    changed = list(pieces)
    for index in range(1, len(pieces), 2):
        order = cursor.byte()
        if order >= 250:
            changed[index] = cursor.part().decode("utf-8", "replace")
        elif order >= 128:
            changed[index] = LITERALS[order % len(LITERALS)]
        elif order >= 64:
            changed[index] = "'" + cursor.part().decode("utf-8", "replace") + "'"
    return "".join(changed)


def template(data: bytes) -> None:
    """The server's scanner and grammar see the same in each text that matches, but for the values of constants."""
    cursor = Cursor(data)
    shape = cursor.byte()
    if shape % 3 == 0:
        text = cursor.part().decode("utf-8", "replace")
    elif shape % 3 == 1:
        text = "SELECT " + " ".join(WORDS[byte % len(WORDS)] for byte in cursor.part())
    else:
        text = _select(cursor)
    try:
        batch = classify(text)
    except GatewayError:
        return
    if not isinstance(batch, Batch):
        return
    found = learn(batch, all_free=bool(shape & 128))
    if found is None:
        return
    other = _others(cursor, list(found.pieces))
    for same in (other, found.sample):
        pieces = cut(same)
        assert "".join(pieces) == same
        if pieces[::2] != list(found.pieces[::2]) or found.matches("\0".join(pieces[1::2])) is None:
            assert same != found.sample
            continue
        again = classify(same)
        assert isinstance(again, Batch)
        assert [token.code for token in scan(same)] == [token.code for token in scan(text)]
        assert [_shape(one.node) for one in again.statements] == [_shape(one.node) for one in batch.statements]


def _shape(node: Any) -> Any:
    """A tree without the values of its constants, and without where anything stands."""
    if isinstance(node, list):
        return [_shape(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: sorted(value) if key == "A_Const" else _shape(value)
        for key, value in node.items()
        if not key.endswith(("location", "_start", "_end", "stmt_len"))
    }


def remembered(data: bytes) -> None:
    """What the gate remembers of a text is what it would decide afresh."""
    cursor = Cursor(data)
    shape = cursor.byte()
    rules = OPEN if shape & 1 else policy()
    if shape & 2:
        text, user = STATEMENTS[(cursor.byte() * 256 + cursor.byte()) % len(STATEMENTS)]
    else:
        text, user = _select(cursor), ("eva", "clara", "tim", "boss")[shape // 4 % 4]
    admission, who = gate(rules), client(user)
    pieces = cut(text)
    learned(admission, who, text, _others(cursor, pieces))
    learned(admission, who, *[_others(cursor, pieces) for _ in range(2)])
    for _ in range(3):
        other = _others(cursor, pieces)
        found = known(admission, other, who)
        if found is not None:
            assert seen(found) == seen(gate(rules)._judge_now(other, who, final=True))
