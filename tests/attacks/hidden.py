"""Random queries with an expression that divides by zero on hidden rows only: an error says that one was computed."""

from __future__ import annotations

import random
from typing import Final

_HIDDEN: Final = [
    "1/({a}.salary - 4827193)",
    "1/(CASE WHEN {a}.region = 'US' THEN 0 ELSE 1 END)",
    "CASE WHEN {a}.region <> 'EU' THEN {a}.id/({a}.id - {a}.id) ELSE {a}.id END",
    "mod({a}.id, CASE {a}.region WHEN 'EU' THEN 7 ELSE 0 END)",
    "(ARRAY[1, 2])[1/(CASE WHEN {a}.name LIKE 'K4%' THEN 0 ELSE 1 END)]",
    "length({a}.name)/(CASE WHEN {a}.email ~ 'k4n4ry|bert|dora' OR {a}.email IS NULL THEN 0 ELSE 1 END)",
    "COALESCE(1/NULLIF({a}.salary / 4827193 - 1, 5), 1)",
]
_CONDITIONS: Final = [
    *("{e} > 0", "{e} = 1", "{a}.id = {e}", "{e} IN (1, 2, 3)", "{e} IS NOT NULL", "{e} BETWEEN 1 AND {a}.id"),
    *("{a}.id = 1 OR {e} > 0", "NOT ({e} > 5)", "({a}.id, {e}) = (1, 1)", "(SELECT {e}) = 1", "{e} IS DISTINCT FROM 1"),
    "EXISTS (SELECT 1 FROM orders x WHERE x.id = {e})",
    "{e} = ANY (SELECT id FROM orders)",
    "{e} = ANY (ARRAY[1, 2])",
    "EXISTS (SELECT {e} FROM orders x WHERE x.id = {a}.id)",
    "{a}.id IN (SELECT {e} FROM orders x)",
    "({e} > 0) IS TRUE",
    *("EXISTS (SELECT 1 FROM orders x GROUP BY x.id HAVING max(x.id) > {e})", "CASE WHEN {e} > 0 THEN true END"),
    *("{a}.id = 1 AND {e} > 0", "{a}.id > 0 AND {a}.region = 'EU' AND {e} > 0", "{a}.region = 'US' AND {e} > 0"),
    *("{a}.id IN (SELECT y.id FROM customers y WHERE {f} > 0)", "{a}.id = (SELECT min({f}) FROM customers y)"),
    "{a}.id NOT IN (SELECT {f} FROM customers y)",
    "EXISTS (SELECT 1 FROM customers y WHERE y.id = {a}.id AND {f} > 0)",
    *("{a}.id > ALL (SELECT {f} FROM customers y WHERE y.id = {a}.id)", "{e}::bigint = {a}.id", "({e})::text = '1'"),
    *("{a}.tenant_id = {a}.id", "{a}.id = 101", "{a}.salary > 0", "{a}.region = 'EU'", "{a}.id < 500"),
]
_SOURCES: Final = [
    "customers {a}",
    "(SELECT * FROM customers) {a}",
    "(TABLE customers) {a}",
    "customers_child {a}",
    "ONLY customers {a}",
    *("(SELECT *, 5 AS five FROM customers WHERE id > 0) {a}", "(SELECT * FROM customers ORDER BY id LIMIT 50) {a}"),
    *("(SELECT DISTINCT * FROM customers) {a}", "(SELECT * FROM customers UNION ALL SELECT * FROM customers) {a}"),
    *("(SELECT z.* FROM customers z JOIN orders USING (id)) {a}", "(SELECT * FROM customers OFFSET 0) {a}"),
    *("(SELECT id, name, email, region, salary, tenant_id, count(*) FROM customers GROUP BY 1, 2, 3, 4, 5, 6) {a}",),
    *("(SELECT *, row_number() OVER (PARTITION BY region) AS n FROM customers) {a}", "w {a}"),
]
_FROMS: Final = [
    *("{s}", "{s} JOIN orders o ON {a}.id = o.customer_id", "{s} LEFT JOIN orders o ON {a}.id = o.id AND {c}"),
    "orders o LEFT JOIN {s} ON {a}.id = o.customer_id",
    "orders o LEFT JOIN {s} ON {c}",
    "{s} FULL JOIN orders o ON {a}.id = o.id",
    *("{s} CROSS JOIN LATERAL (SELECT {e} AS e) l", "{s}, LATERAL (SELECT o.id FROM orders o WHERE o.id = {e}) l"),
    "{s}, unnest(ARRAY[{e}]) u",
    "{s}, generate_series(1, {e}) u",
    "orders o, LATERAL (SELECT * FROM {s} WHERE {c}) {a}",
    "{s} RIGHT JOIN orders o ON {c}",
    "{s} JOIN customers b ON {a}.id = b.id",
    "{s} LEFT JOIN customers b ON b.id = {e}",
    *("({s} JOIN orders o ON {c})", "{s} JOIN (SELECT id AS k, {g} AS e FROM customers d) d ON d.k = {a}.id"),
    *("{s} JOIN (SELECT id AS k, {g} AS e FROM customers d) d ON d.e = {a}.id", "{s} JOIN orders o USING (id)"),
]
_SHAPES: Final = [
    *("SELECT count(*) FROM {x} WHERE {c}", "SELECT {e} FROM {x}", "SELECT {a}.id FROM {x} WHERE {c} ORDER BY {e}"),
    *("SELECT {e}, count(*) FROM {x} GROUP BY 1", "SELECT max({e}) FROM {x}", "SELECT min({e}), min({a}.id) FROM {x}"),
    *("SELECT {a}.region, sum({e}) FROM {x} GROUP BY 1 HAVING min({e}) > 0", "SELECT DISTINCT ON ({e}) 1 FROM {x}"),
    *("SELECT {a}.id FROM {x} GROUP BY {a}.id, {a}.region, {a}.salary, {a}.name, {a}.email HAVING {c}",),
    *("SELECT count(*) FILTER (WHERE {c}) FROM {x}", "SELECT sum({a}.id) OVER (ORDER BY {e}) FROM {x}"),
    "SELECT (SELECT o.id FROM orders o WHERE o.id = {e}) FROM {x}",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM {x} WHERE {c})",
    "SELECT * FROM (SELECT {a}.id, {e} AS e FROM {x}) q WHERE q.e > 0",
    "SELECT * FROM (SELECT {a}.id AS e FROM {x}) q WHERE e = 1",
    *("SELECT count(*) FROM orders t WHERE t.id IN (SELECT {e} FROM {x})", "SELECT {a}.id FROM {x} WHERE {c} LIMIT 1"),
    "SELECT {e} FROM {x} LIMIT 1",
    "SELECT id FROM orders UNION SELECT {e} FROM {x} WHERE {c}",
    "SELECT CASE WHEN {c} THEN 1 END FROM {x}",
    "SELECT * FROM (SELECT {e} AS e FROM {x} UNION ALL SELECT id FROM orders) q WHERE e = 2",
    "SELECT {a} FROM {x} WHERE {c}",
    "SELECT * FROM (SELECT {e} AS e, rank() OVER (PARTITION BY {e}) FROM {x}) q WHERE e = 2",
    "SELECT generate_series(1, {e}) FROM {x}",
    "SELECT * FROM (SELECT {e} AS e, count(*) FROM {x} GROUP BY 1) q WHERE e = 2",
    "SELECT jsonb_agg({e}) FROM {x} WHERE {c}",
    *("SELECT * FROM (SELECT DISTINCT {e} AS e FROM {x}) q WHERE e = 2", "SELECT * FROM ({n}) q JOIN ({n}) r ON true"),
]
_WITHS: Final = ["", "MATERIALIZED ", "NOT MATERIALIZED "]


def query(at: random.Random) -> str:
    """One SELECT; many are no SQL, which does no harm."""
    text = at.choice(_SHAPES)
    alias = "c"
    for _ in range(6):
        if "{" not in text:
            break
        for key, options in (("{n}", _SHAPES[:6]), ("{x}", _FROMS), ("{s}", _SOURCES), ("{c}", _CONDITIONS)):
            while key in text:
                text = text.replace(key, at.choice(options), 1)
        for key, table in (("{e}", alias), ("{f}", "y"), ("{g}", "d")):
            while key in text:
                text = text.replace(key, at.choice(_HIDDEN).replace("{a}", table), 1)
        text = text.replace("{a}", alias)
    if " w " in text or "(w " in text:
        text = f"WITH w AS {at.choice(_WITHS)}(SELECT * FROM customers) {text}"
    return text
