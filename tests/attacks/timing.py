"""``python -m tests.attacks.timing [ROUNDS]``: does the time of a statement tell of rows that the person may not see?

Measured, not asserted: two databases in which eva sees the same thousand rows, with no others in the one and a million
others in the other; and in the second, values that a hidden row has and values that none has. Each statement goes to
both in turn, through the gateway and past it to the same table with row security.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TypeAlias

import psycopg

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.server import users
from tests.e2e import harness

Asked: TypeAlias = tuple[psycopg.Connection[Any], str]

SCHEMA = """
CREATE TABLE items (id integer PRIMARY KEY, tenant integer NOT NULL, code integer NOT NULL, word text NOT NULL);
CREATE TABLE loose (LIKE items);
INSERT INTO items SELECT n, 1, n * 7, md5(n::text) FROM generate_series(1, 1000) n;
INSERT INTO items SELECT n, 2, n * 7, md5(n::text) FROM generate_series(1001, 1000 + {hidden}) n;
INSERT INTO loose TABLE items;
CREATE INDEX ON items (tenant, code); CREATE INDEX ON items (code); CREATE INDEX ON items (word);
CREATE INDEX ON loose (code);
CREATE ROLE_GRANTS;
ANALYZE;
"""
GRANTS = """ALTER TABLE items ENABLE ROW LEVEL SECURITY; ALTER TABLE loose ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON items FOR SELECT TO native USING (tenant = 1);
CREATE POLICY p ON loose FOR SELECT TO native USING (tenant = 1);
CREATE POLICY q ON items FOR SELECT TO timing USING (true); CREATE POLICY q ON loose FOR SELECT TO timing USING (true);
GRANT SELECT ON items, loose TO timing, native"""

POLICY = """
version: 1
name: timing
users: {eva: {roles: [r]}}
roles:
  r:
    read: [public.items, public.loose]
    rows: [{tables: [public.items, public.loose], using: tenant = 1}]
"""

STATEMENTS = {
    "EXPLAIN, refused": "EXPLAIN SELECT * FROM items WHERE code = 7",
    "a name that is not there": "SELECT nothing FROM items",
    "count, index on the filter": "SELECT count(*) FROM items",
    "count, filter not indexed": "SELECT count(*) FROM loose",
    "own function, filter not indexed": "SELECT count(*) FROM loose WHERE length(repeat(word, 20)) > 640",
    "max, index": "SELECT max(code) FROM items",
    "sort and limit, index": "SELECT code FROM items ORDER BY code DESC LIMIT 1",
    "condition that fits hidden rows, index": "SELECT count(*) FROM items WHERE code > 100000",
    "LIKE, index": "SELECT count(*) FROM items WHERE word LIKE 'abc%'",
    "planned only": "SELECT id FROM items WHERE code > 5 AND word > 'b' LIMIT 0",
    "planned only, statistics kept back": "SELECT id FROM items WHERE code > 5 AND word ~ 'a.*c' LIMIT 0",
    "LATERAL, a fence that is tied": "SELECT count(x.id) FROM generate_series(1, 200) g JOIN loose l ON l.id = g,"
    " LATERAL (SELECT i.id FROM items i WHERE i.code = l.code AND i.word ~ 'a' LIMIT 1) x",
}
"""Asked in the database without and in the one with hidden rows."""

PAIRS = {
    "primary key: no row, a hidden row": (
        "SELECT word FROM items WHERE id = {no}",
        "SELECT word FROM items WHERE id = {hidden}",
    ),
    "indexed column: no row, a hidden row": (
        "SELECT id FROM items WHERE code = {no}",
        "SELECT id FROM items WHERE code = {hidden}",
    ),
    "text, indexed: no row, a hidden row": (
        "SELECT id FROM items WHERE word = md5('{no}')",
        "SELECT id FROM items WHERE word = md5('{hidden}')",
    ),
    "range: none, 100,000 hidden rows": (
        "SELECT count(*) FROM items WHERE id BETWEEN 20000000 AND 20100000",
        "SELECT count(*) FROM items WHERE id BETWEEN 500000 AND 600000",
    ),
    "range, filter not indexed: none, 100,000": (
        "SELECT count(*) FROM loose WHERE code BETWEEN 20000000 AND 20700000",
        "SELECT count(*) FROM loose WHERE code BETWEEN 3500000 AND 4200000",
    ),
    "key, filter not indexed: no row, a hidden row": (
        "SELECT id FROM loose WHERE code = {no}",
        "SELECT id FROM loose WHERE code = {hidden}",
    ),
    "join on a key: no rows, 1,000 hidden ones": (
        "SELECT count(*) FROM generate_series({no}, {no} + 1000) g JOIN items ON items.id = g",
        "SELECT count(*) FROM generate_series(500000, 501000) g JOIN items ON items.id = g",
    ),
    "joined by an equal column: no row, a hidden row": (
        "SELECT l.id FROM loose l JOIN items i ON i.code = l.code AND i.word ~ 'a' WHERE l.code = {no}",
        "SELECT l.id FROM loose l JOIN items i ON i.code = l.code AND i.word ~ 'a' WHERE l.code = {hidden}",
    ),
    "planned only: a value that is not there, a hidden one": (
        "SELECT id FROM items WHERE word = md5('{no}') AND code > 5 LIMIT 0",
        "SELECT id FROM items WHERE word = md5('{hidden}') AND code > 5 LIMIT 0",
    ),
}
"""Asked in the database with hidden rows."""


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="nlsql-timing-") as name:
        folder = Path(name)
        with EmbeddedPostgres(folder / "postgres", durable=False, settings={"autovacuum": "off"}) as postgres:
            postgres.execute("CREATE ROLE timing LOGIN PASSWORD 'timing'; CREATE ROLE native LOGIN PASSWORD 'native'")
            for database, hidden in (("without", 0), ("with_hidden", 1_000_000)):
                postgres.execute(f"CREATE DATABASE {database}")
                script = SCHEMA.format(hidden=hidden).replace("CREATE ROLE_GRANTS", GRANTS)
                postgres.load([script.encode()], database)
            (folder / "gateway").mkdir()
            users.add(folder / "gateway" / "users.txt", "eva", "eva-secret")
            (folder / "policy.yaml").write_text(POLICY)
            with harness.gateway(
                folder / "gateway",
                postgres,
                database="without",
                policy=folder / "policy.yaml",
                role="timing",
                password="timing",
            ) as gateway:
                _measure(gateway.port, postgres, rounds)


def _measure(port: int, postgres: EmbeddedPostgres, rounds: int) -> None:
    through = f"host=127.0.0.1 port={port} user=eva password=eva-secret dbname="
    past = f"host={postgres.host} port={postgres.port} user=native password=native dbname="
    print(f"{'milliseconds, median (quartiles) of ' + str(rounds):60} {'without':>22} {'with hidden rows':>22}")
    for way, where in (("gateway", through), ("row security", past)):
        with (
            psycopg.connect(f"{where}without", autocommit=True) as one,
            psycopg.connect(f"{where}with_hidden", autocommit=True) as two,
        ):
            for name, text in STATEMENTS.items():
                _show(f"{way}: {name}", (one, text), (two, text), rounds)
            for name, (none, some) in PAIRS.items():
                texts = [text.format(no=20_000_000, hidden=777_777) for text in (none, some)]
                _show(f"{way}: {name}", (two, texts[0]), (two, texts[1]), rounds)


def _show(name: str, one: Asked, two: Asked, rounds: int) -> None:
    times: list[list[float]] = [[], []]
    for number in range(rounds + 3):
        for (connection, text), found in zip((one, two), times, strict=True):
            began = time.perf_counter()
            with contextlib.suppress(psycopg.Error):
                connection.execute(text.encode()).fetchall()
            if number >= 3:
                found.append((time.perf_counter() - began) * 1000)
    shown = []
    for found in times:
        low, middle, high = statistics.quantiles(found, n=4)
        shown.append(f"{middle:.2f} ({low:.2f}-{high:.2f})")
    print(f"{name:60} {shown[0]:>22} {shown[1]:>22}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
