"""Mutations of attacks: other spellings of the same, other places for it, and what comes of mixing them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Final

import yaml

from tests.attacks.test_cases import OWN
from tests.policy.company import FIXTURES

PLAIN: Final = [
    "SELECT secret FROM canary",
    "SELECT * FROM canary WHERE id = 1",
    "TABLE canary",
    "SELECT count(*) FROM canary",
    "SELECT ssn FROM customers",
    "SELECT name, email, salary FROM customers WHERE region = 'US'",
    "SELECT extra FROM customers_child",
    "SELECT what FROM events_us",
    "SELECT phone, pay FROM staff",
    "SELECT max(pay) FROM staff GROUP BY name",
    "SELECT employee, amount FROM hr_salaries",
    "SELECT secret FROM v_canary",
    "SELECT secret FROM mv_canary",
    "SELECT ssn FROM mv_customers",
    "SELECT canary_of(1)",
    "SELECT x.canary_of FROM generate_series(1, 3) x, orders",
    "SELECT (all_customers()).ssn",
    "SELECT peek(2)",
    "SELECT query_to_xml('SELECT secret FROM canary LIMIT 3', true, false, '')",
    "SELECT table_to_xml('canary', true, false, '')",
    "SELECT * FROM ts_stat('SELECT to_tsvector(secret) FROM canary')",
    "SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE tablename = 'canary'",
    "SELECT reltuples FROM pg_class WHERE relname = 'canary'",
    "EXPLAIN SELECT * FROM canary",
    "EXPLAIN SELECT * FROM customers",
    "COPY canary TO STDOUT",
    "COPY staff TO STDOUT",
    "SELECT c FROM customers c",
    "SELECT to_jsonb(s) FROM staff s",
    "SELECT region LIKE '%U\\' FROM customers",
    "SELECT name::int FROM customers",
    "INSERT INTO twin VALUES (5, 'x')",
    "UPDATE twin SET seen = 'x'",
    "DELETE FROM twin",
    "TRUNCATE twin",
    "WITH d AS (DELETE FROM twin RETURNING *) SELECT * FROM d",
    "SELECT touch()",
    "SELECT nextval('twin_seq')",
    "SELECT setval('seq1', 7)",
    "SELECT lo_create(0)",
    "SELECT pg_notify('c', 'x')",
    "SELECT pg_advisory_lock(1)",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SET transaction_read_only = off",
    "SET standard_conforming_strings = off",
    "CREATE TABLE t AS SELECT 1 AS a",
    "CREATE TEMP TABLE t (a int)",
    "DO $$BEGIN DELETE FROM twin; END$$",
    "COPY (SELECT 1) TO PROGRAM 'touch nlsql_attack'",
    "COPY twin FROM PROGRAM 'echo 5'",
    "SELECT pg_read_file('PG_VERSION')",
    "NOTIFY x",
]
"""Each gives a secret or changes something, if nothing stops it."""

SEEDS: Final = PLAIN * 6 + [
    case["sql"]
    for path in (FIXTURES / "attacks.yaml", *OWN)
    for case in yaml.safe_load(path.read_text())
    if not re.search("k4n4ry|4827|sleep", case["sql"], re.IGNORECASE)
]

_TOKEN: Final = re.compile(r"""\$\w*\$.*?\$\w*\$|[EeUuNn]&?'(?:[^'])*'|'(?:[^']|'')*'|"[^"]*"|\w+|\s+|.""", re.DOTALL)
_SPACES: Final = [
    *(" ", "\t", "\n", "\r", "\f", "\v", "\r\n", "  ", "/**/", "/* /* x */ */", "--\n", "--'\n", "-- $$\r", "/*'*/"),
    *("\u00a0", "\u3000", "\u200b", "\ufeff", "\u2028", "\u0085", "\u180e", '/*"*/', "/*;*/", "--\u2028;\n"),
]
_TABLES: Final = [
    *("canary", "customers", "staff", "hr_salaries", "events", "events_us", "customers_child", "v_canary", "twin"),
    *("mv_canary", "orders", "pg_stats", "pg_statistic", "v_customers", "s2.customers", "pg_class", "pg_settings"),
]
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)
_KEYWORDS: Final = frozenset(
    """select from where table group by order having limit with as values copy to stdout explain set insert into update
    delete create temp do begin end and or not null like in is on join left natural using true false program returning
    only distinct case when then else union all exists lateral cross full prepare execute declare cursor for fetch
    count max min cast array row truncate notify listen show reset between generate_series any""".split()  # noqa: SIM905
)


def _split(text: str) -> list[str]:
    found: list[str] = _TOKEN.findall(text)
    return found


def _cases(at: random.Random, text: str) -> str:
    return "".join(
        part if part[0] in "'\"$" else at.choice([str.upper, str.lower, str.title, str.swapcase])(part)
        for part in _split(text)
    )


def _spaces(at: random.Random, text: str) -> str:
    return "".join(
        at.choice(_SPACES)
        if part.isspace() and at.random() < 0.5
        else part + (at.choice(_SPACES) * (at.random() < 0.1))
        for part in _split(text)
    )


def _escaped(at: random.Random, name: str, sign: str) -> str:
    out = ""
    for letter in name:
        chance = at.random()
        out += f"{sign}{ord(letter):04x}" if chance < 0.25 else f"{sign}+{ord(letter):06X}" if chance < 0.35 else letter
    return out


def _names(at: random.Random, text: str) -> str:
    parts = _split(text)
    for index, part in enumerate(parts):
        if _NAME.fullmatch(part) and part.lower() not in _KEYWORDS and at.random() < 0.5:
            low = part.lower()
            parts[index] = at.choice(
                [
                    f'"{low}"',
                    f'U&"{_escaped(at, low, chr(92))}"',
                    f"U&\"{_escaped(at, low, '!')}\" UESCAPE '!'",
                    f"public.{low}",
                    f"company.public.{low}",
                    f"pg_catalog.{low}",
                    f'"public" . "{low}"',
                    f'"{part.title()}"',
                    part + at.choice(["\u200b", "\u0301", "$"]),
                ]
            )
    return "".join(parts)


def _strings(at: random.Random, text: str) -> str:
    parts = _split(text)
    for index, part in enumerate(parts):
        if len(part) > 1 and part[0] == "'" == part[-1]:
            value = part[1:-1]
            middle = len(value) // 2
            tag = at.choice(["", "x", "é", "_1"])
            parts[index] = at.choice(
                [
                    f"${tag}${value}${tag}$",
                    "E'" + "".join(f"\\x{ord(letter):02x}" if ord(letter) < 128 else letter for letter in value) + "'",
                    "E'" + "".join(f"\\u{ord(letter):04x}" for letter in value if letter < "\uffff") + "'",
                    f"U&'{_escaped(at, value.replace(chr(92), chr(92) * 2), chr(92))}'",
                    f"'{value[:middle]}'\n'{value[middle:]}'",
                    f"('{value[:middle]}' || '{value[middle:]}')",
                    f"'{value}'::text",
                    f"'{value}x'::varchar({max(len(value), 1)})",
                    f"CAST('{value}' AS name)",
                    f"'{value}\\'",
                    f"N'{value}'",
                ]
            )
    return "".join(parts)


def _tables(at: random.Random, text: str) -> str:
    return re.sub(
        r"\b(canary|customers|staff|orders|hr_salaries|events_us|twin)\b",
        lambda found: at.choice(
            [found[0], at.choice(_TABLES), f"ONLY {found[0]}", f"{found[0]} *", f"ONLY ({found[0]})"]
        ),
        text,
    )


_PLACES: Final = [
    *("SELECT * FROM ({}) x", "WITH x AS ({}) SELECT * FROM x", "WITH x AS MATERIALIZED ({}) TABLE x", "({})"),
    *("SELECT ({})", "SELECT EXISTS ({})", "SELECT ARRAY({})", "SELECT 1 WHERE 'x' IN ({})", "VALUES (({}))"),
    *("SELECT x FROM ({}) x", "SELECT row_to_json(x) FROM ({}) x", "SELECT x::text::int FROM ({}) x"),
    *("SELECT md5(x::text), reverse(x::text) FROM ({}) x", "SELECT encode(x::text::bytea, 'base64') FROM ({}) x"),
    *("SELECT string_agg(x::text, '')::int FROM ({}) x", "SELECT (x.*)::text::date FROM ({}) x", "{} UNION ALL {}"),
    *(
        "SELECT * FROM orders o LEFT JOIN LATERAL ({}) x ON true",
        "SELECT JSON_ARRAY({})",
        "SELECT * FROM orders, ({}) c",
    ),
    *("EXPLAIN {}", "EXPLAIN ANALYZE {}", "EXPLAIN (FORMAT json, VERBOSE) {}", "EXPLAIN (ANALYZE, COSTS) SELECT ({})"),
    *("PREPARE p AS {}; EXECUTE p; DEALLOCATE p", "PREPARE p AS {}", "DECLARE c CURSOR WITH HOLD FOR {}; FETCH ALL c"),
    *("DECLARE c SCROLL CURSOR WITH HOLD FOR {}", "COPY ({}) TO STDOUT", "COPY ({}) TO STDOUT (FORMAT csv, HEADER)"),
    *(
        "SELECT 1; {}",
        "BEGIN; {}; COMMIT",
        "BEGIN READ WRITE; {}; COMMIT",
        "COMMIT; {}",
        "{}; SELECT 1",
        "ROLLBACK; {}",
    ),
    *(
        "SET standard_conforming_strings = off; {}",
        "SET row_security = off; {}",
        "SELECT '\\'; {} --'",
        "RESET ALL; {}",
    ),
    *("/* {} */ {}", "SELECT $${}$$; {}", "-- {}\n{}", "SELECT 1 -- \r{}", "CREATE TEMP TABLE x AS {}", "DO $x${}$x$"),
    *(
        "SELECT query_to_xml($q${}$q$, true, true, '')",
        "INSERT INTO twin ({})",
        "EXECUTE p",
        "FETCH ALL FROM c",
        "{};;",
    ),
    *("WITH customers AS (SELECT 1 AS id) {}", "WITH canary AS (SELECT 1 AS id) SELECT * FROM ({}) x, canary"),
    *(
        "SELECT * FROM customers, ({}) x",
        "SELECT count(*) FROM customers WHERE EXISTS ({})",
        "SELECT max(x) FROM ({}) x",
    ),
    *("SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY({}))) x", "SELECT x.* FROM ({}) x (a, b, c)"),
    *(
        "SELECT 1 FROM orders ORDER BY ({})",
        "SELECT 1 LIMIT ({})",
        "SELECT CASE WHEN true THEN ({}) END",
        "EXPLAIN EXECUTE p",
    ),
    *("SELECT sum(1) OVER (ORDER BY ({})) FROM orders", "SELECT * FROM ({} LIMIT 1) x", "SELECT 1 GROUP BY ({})"),
]


def _places(at: random.Random, text: str) -> str:
    return at.choice(_PLACES).replace("{}", text.rstrip("; "))


def _mixed(at: random.Random, text: str) -> str:
    parts, others = _split(text), _split(at.choice(SEEDS))
    for _ in range(at.randint(1, 3)):
        place = at.randrange(len(parts) + 1)
        match at.randrange(4):
            case 0:
                parts[place:place] = [" ", at.choice(others), " "]
            case 1:
                del parts[place : place + at.randint(1, 3)]
            case 2 if place < len(parts):
                parts[place] = at.choice(others)
            case _:
                start = at.randrange(len(others))
                parts[place:place] = [" ", *others[start : start + at.randint(1, 8)], " "]
    return "".join(parts)


_KINDS: Final[list[Callable[[random.Random, str], str]]] = [
    *(_cases, _spaces, _names, _strings, _tables, _places, _places, _places, _mixed, _mixed),
]


def mutated(at: random.Random) -> str:
    text: str = at.choice(SEEDS)
    for _ in range(at.randint(1, 4)):
        text = at.choice(_KINDS)(at, text)
        if len(text) > 4000:
            break
    return text


_WRONG: Final = [
    *(b"\xff", b"\xc0\xa7", b"\xe0\x80\xa7", b"\xed\xa0\x80", b"\x81'", b"\xf8", b"\xbf\x5c", b"\xc3"),
]


def bytes_of(at: random.Random, text: str) -> bytes:
    """As it goes over the line: UTF-8, now and then with something that is none."""
    data = text.encode("utf-8", "surrogatepass").replace(b"\0", b"")
    if at.random() < 0.03:
        place = at.randrange(len(data) + 1)
        wrong = at.choice(
            [b"\xff", b"\xc0\xa7", b"\xe0\x80\xa7", b"\xed\xa0\x80", b"\x81'", b"\xf8", b"\xbf\x5c", b"\xc3"]
        )
        data = data[:place] + wrong + data[place:]
    return data
