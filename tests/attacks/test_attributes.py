"""A function called by a dot, ``x.peek`` for ``peek(x)``, in every place and every spelling.

Found here: sqlglot reads ``x.U&"pe\\0065k"`` as a column u and an operator, so the second parser's finding was of
another column than the one that PostgreSQL sees, and the call of a function that nobody allowed went through.
"""

from __future__ import annotations

import pytest

from tests.attacks.house import House

SPELLINGS = ["peek", '"peek"', "PEEK", 'U&"pe\\0065k"', "U&\"pe!0065k\" UESCAPE '!'", 'U&"p\\+000065ek"', "/**/peek"]
FROM = "FROM orders o, unnest(ARRAY[2]) x"
PLACES = [
    f"SELECT x.{{}} {FROM}",
    f"SELECT 1 {FROM} WHERE x.{{}} IS NULL",
    f"SELECT count(*) {FROM} GROUP BY x.{{}}",
    f"SELECT count(*) {FROM} GROUP BY GROUPING SETS ((x.{{}}), CUBE (o.id))",
    f"SELECT count(*) {FROM} HAVING max(x.{{}}) > ''",
    f"SELECT 1 {FROM} ORDER BY x.{{}}",
    f"SELECT DISTINCT ON (x.{{}}) 1 {FROM}",
    f"SELECT count(*) OVER (PARTITION BY x.{{}}) {FROM}",
    f"SELECT count(*) OVER w {FROM} WINDOW w AS (ORDER BY x.{{}})",
    f"SELECT count(*) FILTER (WHERE x.{{}} > '') {FROM}",
    f"SELECT string_agg('a', ',' ORDER BY x.{{}}) {FROM}",
    f"SELECT mode() WITHIN GROUP (ORDER BY x.{{}}) {FROM}",
    f"SELECT (SELECT x.{{}}) {FROM}",
    f"SELECT (ARRAY[x.{{}}])[1], ROW(x.{{}}), x.{{}}::text, CASE x.{{}} WHEN '' THEN 1 END {FROM}",
    f"SELECT JSON_OBJECT('a': x.{{}}) {FROM}",
    f"SELECT XMLELEMENT(name a, x.{{}}) {FROM}",
    f"SELECT f.* {FROM}, LATERAL upper(x.{{}}) f",
    f"SELECT f.* {FROM}, unnest(ARRAY[x.{{}}]) f",
    f"SELECT f.* {FROM}, ROWS FROM (upper(x.{{}}), lower('A')) f",
    f"SELECT f.* {FROM}, LATERAL (VALUES (x.{{}})) f",
    f"SELECT f.* {FROM}, LATERAL (SELECT x.{{}} UNION ALL SELECT '') f",
    f"SELECT f.* {FROM}, LATERAL (WITH w AS (SELECT x.{{}}) TABLE w) f",
    f"SELECT f.* {FROM}, JSON_TABLE(to_jsonb(x.{{}}), '$' COLUMNS (a text PATH '$')) f",
    f"SELECT f.* {FROM}, XMLTABLE('/a' PASSING xmlelement(name a, x.{{}}) COLUMNS a text PATH '.') f",
    f"SELECT 1 {FROM} JOIN orders p ON x.{{}} IS NOT NULL",
    f"SELECT 1 {FROM} JOIN customers c ON c.name = x.{{}}",
    f"SELECT 1 {FROM} LIMIT (SELECT length(x.{{}}) FROM unnest(ARRAY[2]) x)",
    "SELECT x.{} FROM customers c, generate_series(1, 3) x",
    "SELECT x.{} FROM customers c CROSS JOIN LATERAL generate_series(1, c.id) AS x",
    "SELECT c.id, x.a, x.{} FROM orders c, unnest(ARRAY[2]) WITH ORDINALITY AS x(a, b)",
    "WITH o AS (SELECT * FROM orders) SELECT x.{} FROM o, unnest(ARRAY[2]) x",
    "COPY (SELECT x.{} FROM orders, unnest(ARRAY[2]) x) TO STDOUT",
    "DECLARE c CURSOR WITH HOLD FOR SELECT x.{} FROM orders, unnest(ARRAY[2]) x",
    "SELECT x.{} FROM unnest(ARRAY[2]) x, pg_class",
    "SELECT x.{} FROM unnest(ARRAY[2]) x",
    "SELECT (x).{} FROM unnest(ARRAY[2]) x, orders",
    "SELECT (2).{} FROM orders",
    "SELECT (o.id).{} FROM orders o",
    "SELECT o.{} FROM orders o",
    "SELECT public.orders.{} FROM public.orders",
    "SELECT company.public.orders.{} FROM public.orders",
    "SELECT (o).{} FROM orders o",
    "SELECT (o.*).{} FROM orders o",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_call_goes_through(house: House, spelling: str) -> None:
    through = []
    with house.client("eva") as wire:
        for place in PLACES:
            answer = wire.simple(place.replace("{}", spelling))
            if not answer.ours:
                through.append((place, answer.states))
            assert b"HIDDEN-2" not in answer.raw
    assert not [one for one in through if one[1] != ["42601"]]
