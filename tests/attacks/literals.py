"""Literals that could change a decision, in the places where the gate remembers what it decided of another literal.

What is found in the store must be what is decided afresh: ``hits`` counts how often that was compared.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Final

from nlsql_gateway.policy import Policy
from nlsql_gateway.sql import template
from tests.admission.test_remembered import STATEMENTS, client, gate, known, learned, seen
from tests.policy.company import policy

TELLING: Final = [
    *("'hr_salaries'", "'public.hr_salaries'", "'customers'", "'ssn'", "'pay'", "'id'", "'name'", "'id, ssn'", "'*'"),
    *(
        "'search_path'",
        "'role'",
        "'transaction_read_only'",
        "'off'",
        "'on'",
        "'work_mem'",
        "'timezone'",
        "'0'",
        "'1us'",
    ),
    *("'nlsql_gateway.hash_key'", "'select'", "'year'", "'1 day'", "'now'", "'2020-01-01'", "'x''; DELETE'", "'$1'"),
    *("'-- ask: x'", "'/* ask: x */'", "'%U'", "'a%'", "'%'", "'_'", "'('", "'$.a'", "'{}'", "'{1,2}'", "'\u00e9'"),
    *("0", "1", "2", "3", "7", "10", "100", "999999999", "1234567890", "2147483648", "99999999999", "12345678901234"),
    *("9223372036854775808", "1.5", "0.0", "00", "0x1F", "1_000", "1e5", "1e400", ".5", "5.", "-1", "- 1", "+1", "$1"),
    *("E'ssn'", "E'\\x73sn'", "U&'\\0073sn'", "$$ssn$$", "$x$ssn$x$", "B'101'", "X'1F'", "N'x'", "'a' 'b'", "'a'\n'b'"),
    *("NULL", "true", "interval '1'", "date '2020-01-01'", "'x'::text", "'5'::int", "'x'::varchar(1)", "''"),
]

PLACES: Final = [
    "SELECT id, name FROM customers WHERE id = {0} ORDER BY {1}",
    "SELECT name, id FROM customers GROUP BY {0}, {1}",
    "SELECT DISTINCT ON ({0}) id FROM customers WHERE id > {1}",
    "SELECT id FROM customers ORDER BY {0} LIMIT {1} OFFSET {2}",
    "SELECT id FROM orders WHERE id = {0} FETCH FIRST {1} ROWS ONLY",
    "SELECT current_setting({0}) FROM orders WHERE id = {1}",
    "SELECT set_config({0}, {1}, true) FROM orders WHERE id > {2}",
    "SELECT has_table_privilege({0}, {1}) FROM orders WHERE id > {2}",
    "SELECT {0}::regclass FROM orders WHERE id > {1}",
    "SELECT CAST({0} AS regclass)::oid FROM orders WHERE id > {1}",
    "SELECT regclass {0} FROM orders WHERE id = {1}",
    "SELECT to_regclass({0}), id FROM orders WHERE id = {1}",
    'SELECT name COLLATE "C" FROM customers WHERE name = {0}',
    "SELECT name FROM customers WHERE name LIKE {0} AND id > {1}",
    "SELECT name FROM customers WHERE name LIKE {0} ESCAPE {1}",
    "SELECT id FROM customers WHERE region = {0} AND id IN ({1}, {2})",
    "SELECT id FROM customers WHERE id BETWEEN {0} AND {1}",
    "SELECT id FROM customers WHERE id = -{0} AND tenant_id = - {1}",
    "SELECT name::varchar({0}) FROM customers WHERE id = {1}",
    "SELECT total::numeric({0}, {1}) FROM orders WHERE id = {2}",
    "SELECT ordered_at + interval {0} FROM orders WHERE id = {1}",
    "SELECT ordered_at FROM orders WHERE ordered_at > date {0} AND id < {1}",
    "SELECT EXTRACT({0} FROM ordered_at) FROM orders WHERE id = {1}",
    "SELECT {0} AS ssn, id FROM customers WHERE id = {1}",
    "SELECT x.ssn FROM (SELECT {0} AS ssn, id FROM orders) x WHERE x.id = {1}",
    "SELECT (SELECT {0}), {1} FROM staff",
    "SELECT pay FROM (SELECT {0} AS pay) staff WHERE pay = {1}",
    "SELECT CASE WHEN id = {0} THEN {1} ELSE {2} END FROM customers",
    "SELECT COALESCE({0}, {1})::regclass FROM orders WHERE id = {2}",
    "SELECT (ARRAY[{0}, {1}])[{2}] FROM customers",
    "SELECT id FROM customers TABLESAMPLE bernoulli ({0}) WHERE id = {1}",
    "SELECT id FROM orders TABLESAMPLE bernoulli ({0}) REPEATABLE ({1}) WHERE id = {2}",
    "SELECT nth_value(id, {0}) OVER (ORDER BY {1} ROWS {2} PRECEDING) FROM orders",
    "SELECT JSON_VALUE('{{}}', {0}) FROM orders WHERE id = {1}",
    "SELECT xpath({0}, '<a/>') FROM orders WHERE id = {1}",
    "SELECT generate_series({0}, {1}) FROM orders WHERE id = {2}",
    "SELECT id FROM customers WHERE {0} = {1} AND ssn = {2}",
    "SELECT count(*) FROM pg_class WHERE relname = {0} AND oid = {1}::regclass",
    "SELECT name FROM customers WHERE id = {0} -- {1}\n AND tenant_id = {2}",
    "SELECT name /* {0} */ FROM customers WHERE id = {1}",
    'SELECT name AS "{0}" FROM customers WHERE id = {1}',
    "SELECT $tag${0}$tag$, id FROM customers WHERE id = {1}",
    "VALUES ({0}, {1})",
    "WITH x AS (SELECT {0} AS id) SELECT * FROM x, customers c WHERE c.id = {1} AND x.id = c.id",
    "SELECT id FROM customers WHERE id = {0} UNION ALL SELECT {1} ORDER BY {2}",
    "SELECT EXISTS (SELECT {0} FROM staff WHERE phone = {1} AND hired > {2})",
]

PEOPLE: Final = ("eva", "clara", "tim", "boss", "nobody")


@dataclass
class Literals:
    rules: Policy = field(default_factory=policy)
    hits: int = 0
    texts: int = 0

    def round(self, seed: int) -> None:
        """One shape with a few dozen literals. Raises AssertionError where the store says something else."""
        at = random.Random(seed)
        if at.random() < 0.75:
            shape, user = at.choice(PLACES), at.choice(PEOPLE)

            def text() -> str:
                return shape.format(*(at.choice(TELLING) for _ in range(3)))
        else:
            base, user = at.choice(STATEMENTS)
            pieces = template.cut(base)

            def text() -> str:
                return "".join(at.choice(TELLING) if index % 2 else piece for index, piece in enumerate(pieces))

        admission, who = gate(self.rules), client(user)
        for _ in range(24):
            one = text()
            found = known(admission, one, who)
            self.texts += 1
            if found is None:
                learned(admission, who, one)
                continue
            self.hits += 1
            afresh = seen(gate(self.rules)._judge_now(one, who, final=True))
            assert seen(found) == afresh, (seed, user, one, found, afresh)
