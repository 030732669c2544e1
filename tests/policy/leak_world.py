"""Tables for ``leak_search``: in rows that a filter hides, whatever can fail on a value fails; in others nothing.

Three databases have the same tables, pages and statistics: with all hidden rows, with half of them, and with none. A
fourth, ``clean``, never had any, and its statistics know of none.
"""

from __future__ import annotations

from typing import Final

PEOPLE: Final = ("inn", "cmp", "exi", "fun", "orr")
"""One for each kind of filter: the planner orders conditions by their cost."""

_COLUMNS: Final = """
    id integer NOT NULL, n integer, wide bigint, small smallint, note text, tag character varying(9), kind character(3),
    pat text, day date, at timestamp, num numeric, f double precision, arr integer[], doc text, flag boolean, key uuid,
    ran int4range, lo integer, c text COLLATE "C", p text COLLATE "POSIX", code amount, pair couple, place integer
"""

TABLES: Final = f"""
CREATE DOMAIN amount AS integer CHECK (VALUE < 1000);
CREATE TYPE couple AS (x integer, y text);
CREATE FUNCTION mine(place integer) RETURNS boolean LANGUAGE plpgsql STABLE COST 5000 AS 'BEGIN RETURN place = 1; END';
CREATE TABLE places (place integer PRIMARY KEY, who text);
CREATE TABLE many ({_COLUMNS}, PRIMARY KEY (id));
CREATE INDEX ON many (n);
CREATE INDEX ON many (place);
CREATE TABLE parts ({_COLUMNS}) PARTITION BY RANGE (id);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM (0) TO (20);
CREATE TABLE parts_b PARTITION OF parts FOR VALUES FROM (20) TO (9000);
CREATE INDEX ON parts (id);
CREATE TABLE kin ({_COLUMNS});
CREATE TABLE kin_child () INHERITS (kin);
CREATE INDEX ON kin (id);
CREATE TABLE other (id integer PRIMARY KEY, n integer, wide bigint, z integer, note text, f double precision);
CREATE INDEX ON other (n);
CREATE VIEW bad AS SELECT id, n FROM other WHERE 1 / (n - n) = 1;
CREATE VIEW worse AS SELECT id, 1 / (n - n) AS n FROM other;
"""


FILTERED: Final = ("many", "parts", "kin", "kin_child")

_SEEN: Final = (
    "SELECT i, 1, i, i % 7, '1', 'a', 'a', 'a', date '2024-01-01' + i, timestamp '2024-01-01', i, i, ARRAY[1, i],"
    " '{\"a\": 1}', true, '00000000-0000-0000-0000-000000000001'::uuid, '[1,2]'::int4range, 1, 'a', 'a', 5,"
    " ROW(1, '1')::couple, 1 FROM generate_series(1, 59, 2) i"
)
_HIDDEN: Final = (
    r"SELECT i, 0, 9223372036854775807, 32767, '(\', '(\', '(', '(\', 'infinity', '294276-01-01',"
    " 'NaN', 1e308, ARRAY[]::integer[], 'x', false, '00000000-0000-0000-0000-000000000002'::uuid,"
    " '[5,9]'::int4range, 9, 'b', 'c', 999, ROW(0, '(')::couple, 2 FROM generate_series(2, 120, 2) i"
)

VISIBLE: Final = "\n".join(
    [
        "INSERT INTO places VALUES (1, 'inn'), (1000, 'x'), (2, 'tim');",
        "INSERT INTO places SELECT 10 + i, 'y' FROM generate_series(1, 40) i;",
        "INSERT INTO other SELECT i, i % 3, i, i % 5, i::text, i FROM generate_series(1, 30) i;",
        *(f"INSERT INTO {table} {_SEEN};" for table in FILTERED),
    ]
)
HIDDEN: Final = "\n".join(f"INSERT INTO {table} {_HIDDEN};" for table in FILTERED)
"""Rows with an even ``id``."""

LESS: Final[dict[str, str]] = {
    "full": "",
    "half": " ".join(f"DELETE FROM {table} WHERE place = 2 AND id % 4 = 0;" for table in FILTERED),
    "none": " ".join(f"DELETE FROM {table} WHERE place = 2;" for table in FILTERED),
}
"""What makes the worlds out of one: they keep its pages and statistics, so that the same plans are chosen."""

FILTERS: Final = {
    "inn": "place IN (SELECT p.place FROM public.places AS p WHERE p.who = 'inn')",
    "cmp": "place = 1",
    "exi": "EXISTS (SELECT 1 FROM public.places AS p WHERE p.place = {t}.place AND p.who = 'inn')",
    "fun": "public.mine(place)",
    "orr": "place = 1 OR place > 5000 OR (place + 0) * 1 = 1",
}


def policy() -> str:
    filtered = ("many", "parts", "kin")
    lines = ["version: 1", "name: leaks", "users:"]
    lines += [f"  {person}: {{roles: [{person}]}}" for person in PEOPLE]
    lines.append("roles:")
    for person in PEOPLE:
        lines += [f"  {person}:", "    read: [public.many, public.parts, public.kin, public.other, public.bad,"]
        lines += ["      public.worse]", "    rows:"]
        lines += [
            f'      - {{tables: public.{table}, using: "{FILTERS[person].format(t=table)}"}}' for table in filtered
        ]
    return "\n".join(lines) + "\n"
