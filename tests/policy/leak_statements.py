"""Random SELECTs for ``leak_search``: conditions that fail on hidden rows, or only when a row asks for them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

_POISON: Final = (
    "1 / {a}.n = 1",
    "{a}.note::integer = 1",
    "{a}.wide + 1000 > 0",
    "{a}.small + 1::smallint > 0",
    "1 % {a}.n = 0",
    "'x' ~ {a}.pat",
    "'x' LIKE {a}.note",
    "{a}.doc::jsonb IS NOT NULL",
    "{a}.num::integer > 0",
    "sqrt(1 - {a}.lo) = 0",
    "{a}.f * 1e10 > 0",
    "exp({a}.f) > -1",
    "{a}.at + interval '99999 years' > {a}.at",
    "{a}.tag::date IS NULL",
    "({a}.code + 1)::amount > 0",
    "{a}.n IN (2, 1 / {a}.n)",
    "5 BETWEEN 1 AND 9 / {a}.n",
    "{a}.wide::integer > 0",
    "NULLIF(1 / {a}.n, 3) = 1",
    "COALESCE(NULL, 1 / {a}.n) = 1",
    "CASE WHEN {a}.id > 0 THEN 1 / {a}.n END = 1",
    "{a}.c = {a}.p",
    "{a}.c < {a}.p",
    "({a}.pair).x / ({a}.pair).x = 1",
    "to_char({a}.at, 'YYYY')::integer > 0",
    "lpad('x', ({a}.wide / 10000000000)::integer) = ''",
    "chr({a}.n) = 'a'",
    "({a}.id, 1 / {a}.n) = ({a}.id, 1)",
    "(ARRAY[1, 2])[1 / {a}.n] = 1",
    "{a}.arr[1] / {a}.arr[1] = 1",
    "mod(5, {a}.n) = 0",
    "log({a}.n) = 0",
    "(SELECT 1 / {a}.n) = 1",
    "EXISTS (SELECT 1 FROM other x WHERE x.id = 1 / {a}.n)",
    "ln({a}.n) = 0",
    "{a}.n NOT IN (SELECT x.n / {a}.n FROM other x)",
    "{a}.id = ANY (ARRAY[1 / {a}.n, 3])",
    "{a}.kind::integer > 0",
    "{a}.id = (SELECT count(*) / {a}.n FROM other x)",
    "(1 / {a}.n > 0) IS NOT FALSE",
    "(1 / {a}.n) IS NOT NULL",
    "repeat('x', {a}.id) ~ {a}.pat",
    "{a}.id IN (SELECT y.id FROM many y WHERE 1 / y.n = 1)",
    "{a}.note = {a}.c",
)
"""Fail on hidden rows of {a}, and only there; mostly true on others."""

_LAZY: Final = (
    "(SELECT x.n FROM other x)",
    "(SELECT x.n FROM other x WHERE 1 / (x.n - x.n) = 1)",
    "1 / floor(random())::integer",
    "(SELECT v.n FROM bad v)",
    "(SELECT max(v.n) FROM bad v)",
    "(SELECT max(v.n) FROM worse v)",
    "{p}::integer",
    "{p}::bigint",
    "(SELECT max(w.n) FROM w)",
    "(SELECT w.n FROM w LIMIT 1)",
    "(SELECT sum(x.f * 1e308)::integer FROM other x)",
    "(SELECT min(x.n) FROM other x WHERE x.id = 1 / (x.n - x.n))",
    "(random() * 0 + {p}::text::integer)::integer",
    "(SELECT x.n FROM other x UNION SELECT 7)",
    "(SELECT (x.n, x.n)::text::integer FROM other x LIMIT 1)",
)
"""Values without a column of a filtered table; they fail when they are computed."""

_LAZY_CONDITIONS: Final = (
    "{c} NOT IN (SELECT v.n FROM bad v)",
    "{c} NOT IN (SELECT w.n FROM w)",
    "{c} = ANY (SELECT v.n FROM worse v)",
    "{c} NOT IN (SELECT x.n FROM other x WHERE 1 / (x.n - x.n) = 1)",
    "NOT EXISTS (SELECT 1 FROM bad)",
    "({i} = 7 OR {c} IN (SELECT w.n FROM w))",
    "({i} = 7 OR EXISTS (SELECT 1 FROM w))",
    "{c} > ALL (SELECT n FROM bad)",
    "({i} = 7 OR {l} = 1)",
    "({i} = 7 OR {l} IS NULL)",
    "NOT ({i} <> 7 AND {l} = 1)",
    "{c} = {l}",
    "{l} = 1",
    "{c} IN (5, {l})",
    "{i} BETWEEN 0 AND {l}",
    "COALESCE({c}, {l}) = 1",
    "CASE WHEN {i} = 7 THEN true ELSE {l} = 1 END",
    "({i} = 7 OR {s}.q = 1)",
    "{c} = {s}.q",
    "NOT ({i} <> 7 AND {s}.q = 1)",
    "({c} = 5) IS DISTINCT FROM ({l} = 1)",
    "({i} = 7 OR 1 / {o}.z = 1)",
    "{c} = 1 / {o}.z",
    "NOT ({i} <> 7 AND 1 / {o}.z = 1)",
    "{o}.n = {l}",
    "{o}.n = 1 / {o}.z",
    "({i} = 7 OR {o}.note::date IS NULL)",
    "{c} = {o}.n AND {o}.n = 1 / {o}.z",
    "{c} = {o}.n AND {o}.n = {l}",
    "({i} = 7 OR {c} NOT IN (SELECT y.n FROM other y WHERE 1 / {o}.z = y.z))",
    "{c} = {o}.n AND {o}.n = {s}.q",
    "({i} = 7 OR ({i} = 9 AND {l} = 2) OR {i} = 3)",
    "({l} = 1) IS NOT TRUE",
    "({i} = 7) = ({l} = 1)",
    "{c} = {o}.n AND {o}.n = (SELECT y.n FROM other y WHERE y.id < {o}.id + 3)",
)
"""{i}: id of a filtered table, {c}: another integer of it, {l}: of _LAZY, {s}.q: may be lazy, {o}: unfiltered."""

_CALM: Final = (
    "{a}.id = {h}",
    "{a}.id IN ({h}, 4)",
    "{a}.id < 3 AND {a}.id > 1",
    "{a}.wide > 9000000000000000000",
    "{a}.lo = 9",
    "{a}.note <> '1'",
    "{a}.day = 'infinity'",
    "NOT {a}.flag",
    "{a}.id = {o}.id AND {o}.id = {h}",
    "{a}.n = 0",
    "{a}.kind = '('",
    "{a}.wide = {r}",
    "{a}.id = 2 AND {a}.wide = {r}",
    "{a}.note = {p}",
    "{a}.id = {h}::bigint",
    "{a}.flag IS FALSE",
    "{a}.id BETWEEN 2 AND 2",
    "NOT ({a}.id <> {h})",
)
"""True on hidden rows only."""

_SEEN: Final = (
    "{a}.id > 0",
    "{a}.n = 1",
    "{a}.flag",
    "{a}.id < 20",
    "{a}.id = {o}.id",
    "true",
    "{a}.day > '2000-01-01'",
)

_TABLES: Final = ("many", "many", "many", "parts", "kin", "ONLY kin", "parts_all")
_DERIVED: Final = (
    "(SELECT *, {l} AS q FROM {t})",
    "(SELECT * , 1 AS q FROM {t})",
    "(SELECT *, 1 / n AS q FROM {t})",
    "(SELECT *, 1 AS q FROM {t} UNION ALL SELECT *, 2 FROM many)",
    "(SELECT DISTINCT ON (id) *, 1 AS q FROM {t})",
    "(SELECT *, 1 AS q FROM {t} WHERE id = {h})",
    "(SELECT *, count(*) OVER () AS q FROM {t})",
    "cte",
    "flat",
    "(SELECT *, CASE WHEN id > 0 THEN {l} END AS q FROM {t})",
    "(SELECT *, note::integer AS q FROM {t})",
    "(SELECT *, 1 AS q FROM {t} WHERE {k})",
    "(SELECT m.*, u.z AS q FROM {t} m, other u WHERE u.id = m.id)",
    "(SELECT m.*, u.z AS q FROM {t} m LEFT JOIN other u ON u.id = m.id AND 1 / (u.z + 1) > 0)",
    "(SELECT m.*, s.q FROM {t} m, (SELECT {l} AS q) s)",
    "(SELECT m.*, s.q FROM {t} m, (VALUES (1)) s (q))",
)

_FROMS: Final = (
    "{S} s",
    "{S} s",
    "{S} s JOIN other o ON o.id = s.id",
    "{S} s JOIN other o ON {C}",
    "other o LEFT JOIN {S} s ON {C}",
    "{S} s LEFT JOIN other o ON {C}",
    "{S} s JOIN other o USING (id)",
    "{S} s FULL JOIN other o ON o.id = s.id",
    "{S} s, other o",
    "{S} s, LATERAL (SELECT * FROM other r WHERE r.id = s.id AND {L}) o",
    "{S} s CROSS JOIN other o",
    "other o, LATERAL (SELECT *, 1 AS q FROM {T} r WHERE r.id = o.id AND 1 / o.z = 1) s",
    "{S} s JOIN {T} t USING (id, n)",
    "{S} s RIGHT JOIN other o ON {C}",
    "{S} s JOIN {T} t ON t.id = s.id AND {D}",
    "other o JOIN ({S} s JOIN {T} t ON {D}) ON {C}",
    "{S} s JOIN (SELECT * FROM other WHERE n = 1 / z) o ON o.n = s.n",
    "{S} s NATURAL JOIN (SELECT id, z FROM other) o",
    "{S} s JOIN (SELECT *, {l} AS k FROM other) o ON o.k = s.n",
    "{S} s JOIN (SELECT * FROM other WHERE n = {l}) o ON o.n = s.n",
    "{S} s JOIN LATERAL (SELECT o.* FROM other o WHERE o.n = s.n) o ON {C}",
    "{S} s, generate_series(1, 2) g",
)

_SHAPES: Final = (
    "SELECT s.id FROM {F} WHERE {W}",
    "SELECT count(*) FROM {F} WHERE {W}",
    "SELECT s.id FROM {F} WHERE {W} ORDER BY 1 / s.n",
    "SELECT 1 / s.n, s.note::integer FROM {F} WHERE {W}",
    "SELECT DISTINCT s.n FROM {F} WHERE {W}",
    "SELECT s.n, count(*) FILTER (WHERE 1 / s.n > 0) FROM {F} WHERE {W} GROUP BY s.n",
    "SELECT max(s.id) FROM {F} WHERE {W}",
    "SELECT s.n FROM {F} WHERE {W} GROUP BY GROUPING SETS ((s.n), ())",
    "SELECT sum(1 / s.n) OVER (ORDER BY s.id) FROM {F} WHERE {W}",
    "SELECT s.id, s.n FROM {F} GROUP BY s.id, s.n, s.lo HAVING {H}",
    "SELECT u.id FROM other u WHERE EXISTS (SELECT 1 FROM {F} WHERE {W})",
    "SELECT u.id FROM other u WHERE u.id IN (SELECT s.id FROM {F} WHERE {W})",
    "SELECT (SELECT count(*) FROM {F} WHERE {W})",
    "SELECT u.id, (SELECT count(*) FROM {F} WHERE s.id = u.id + 1 AND (s.id = 7 OR 1 / u.z = 1)) FROM other u",
    "SELECT u.id, (SELECT max(s.n) FROM {F} WHERE s.id = u.id AND {W}) FROM other u",
    "SELECT u.id FROM other u WHERE u.n <= (SELECT count(*) FROM {F} WHERE {c} = u.wide AND u.n = {i} AND {W})",
    "SELECT u.id FROM other u WHERE u.id NOT IN (SELECT s.id FROM {F} WHERE {W})",
    "SELECT id FROM other UNION SELECT s.id FROM {F} WHERE {W}",
    "SELECT u.id FROM other u WHERE NOT EXISTS (SELECT 1 FROM {F} WHERE s.id = u.id AND {W})",
    "SELECT min(s.n), min(1 / s.n) FROM {F} WHERE {W}",
    "SELECT e.id FROM (SELECT s.id, s.n, s.lo FROM {F} WHERE {W}) e WHERE (e.id = 7 OR 1 / e.n = 1)",
    "SELECT s.id FROM {F} WHERE {W} EXCEPT SELECT 1",
    "SELECT u.id FROM other u ORDER BY (SELECT count(*) FROM {F} WHERE s.id = u.id AND {W}), 1",
    "SELECT array_agg(s.id ORDER BY 1 / s.n, s.id) FROM {F} WHERE {W}",
    "SELECT count(DISTINCT s.n) FROM {F} WHERE {W} HAVING count(*) > 0",
    "SELECT s.id, CASE WHEN {W} THEN 1 END FROM {F} WHERE {W}",
    "SELECT u.id FROM other u WHERE u.n = 5 OR u.id = (SELECT max(s.id) FROM {F} WHERE {W})",
    "SELECT count(*) FROM ({F}) WHERE {W}",
    "SELECT u.id, x.n FROM other u, LATERAL (SELECT s.n FROM {F} WHERE s.id = u.id AND {W} ORDER BY s.id LIMIT 1) x",
    "SELECT u.id, x.n FROM other u LEFT JOIN LATERAL (SELECT max(s.n) AS n FROM {F} WHERE {c} = u.n AND {W}) x ON true",
    "SELECT u.id FROM many u, LATERAL (SELECT count(*) AS n FROM {F} WHERE s.id = u.id AND {W}) x WHERE x.n / u.n = 1",
    "SELECT u.id FROM other u WHERE u.n NOT IN (SELECT s.n FROM {F} WHERE s.id = u.id AND {W})",
    "SELECT u.id FROM many u WHERE u.id = 7 OR u.n = ANY (SELECT s.n FROM {F} WHERE s.id = u.id AND {W})",
    "SELECT u.id FROM other u WHERE u.n <= ALL (SELECT s.n FROM {F} WHERE {c} = u.n AND {W} UNION SELECT 1)",
)

_CTES: Final = {
    "w": "w AS {m}(SELECT x.n FROM other x WHERE 1 / (x.n - x.n) = 1)",
    "cte": "cte AS {m}(SELECT *, 1 AS q FROM many)",
    "flat": "flat AS {m}(SELECT *, {l} AS q FROM parts)",
    "parts_all": "parts_all AS {m}(SELECT * FROM parts)",
}


_DECLARED: Final = (
    *(("text", "'x'"), ("numeric", "1e30"), ("numeric", "'NaN'"), ("double precision", "1e300"), ("real", "3")),
    *(("bigint", "9223372036854775807"), ("oid", "7"), ("smallint", "2"), ("integer", "0"), ("name", "'x'")),
)


@dataclass(frozen=True)
class Statement:
    sql: str
    parameters: tuple[tuple[str, str], ...]
    "Declared types and values, as SQL."


def statement(chance: random.Random) -> Statement:
    """One SELECT; some are no SQL, which does no harm."""
    lazy = chance.random() < 0.7
    parameters: list[tuple[str, str]] = []
    filled = chance.choice(_FROMS)
    other, second = ("o" if re.search(r"\bo\b", filled) else "s"), ("t" if re.search(r"\{T\} t\b", filled) else "s")

    def condition(calm: float = 0.8) -> str:
        found = [chance.choice(_CALM if chance.random() < calm else _SEEN)]
        if chance.random() < 0.3:
            found.append(chance.choice(_SEEN))
        if chance.random() < 0.8:
            found.append(chance.choice(_LAZY_CONDITIONS if lazy and chance.random() < 0.8 else _POISON))
        chance.shuffle(found)
        return " AND ".join(found)

    def parameter(kinds: Sequence[tuple[str, str]]) -> str:
        parameters.append(chance.choice(kinds))
        return f"${len(parameters)}"

    makers: dict[str, Callable[[], str]] = {
        "F": lambda: filled,
        "S": lambda: chance.choice(_TABLES if chance.random() < 0.5 else _DERIVED),
        "T": lambda: chance.choice(_TABLES),
        "W": condition,
        "H": lambda: re.sub(r"\{a\}\.(?!id|n\b|lo)\w+", "s.lo", condition()),
        "C": lambda: condition(0.6),
        "D": lambda: condition(0.4),
        "L": lambda: condition(0.4),
        "k": lambda: chance.choice(_POISON[:4]).replace("{a}.", ""),
        "t": lambda: chance.choice(("many", "parts", "kin")),
        "l": lambda: chance.choice(_LAZY),
        "h": lambda: chance.choice(("2", "2", "4", "40")),
        "a": lambda: chance.choice(("s", second)),
        "s": lambda: "s",
        "o": lambda: other,
        "i": lambda: chance.choice(("s.id", "s.id", "s.wide", f"{second}.id")),
        "c": lambda: chance.choice(("s.n", "s.n", "s.lo", "s.id", f"{second}.n")),
        "p": lambda: parameter(_DECLARED[:1]),
        "r": lambda: parameter(_DECLARED),
        "m": lambda: chance.choice(("", "MATERIALIZED ", "NOT MATERIALIZED ")),
    }
    text = _fill(chance.choice(_SHAPES), makers)
    if other == "s":
        text = re.sub(r"\bs\.z\b", chance.choice(("(s.n - s.n)", "s.n")), text)
    ctes = [_fill(query, makers) for name, query in _CTES.items() if re.search(rf"\b(FROM|JOIN|,) \(*{name}\b", text)]
    if any(re.search(r"FROM w\b", query) for query in ctes) and not any(query.startswith("w ") for query in ctes):
        ctes.insert(0, _fill(_CTES["w"], makers))
    return Statement(f"WITH {', '.join(ctes)} {text}" if ctes else text, tuple(parameters))


def _fill(text: str, makers: dict[str, Callable[[], str]]) -> str:
    while found := re.search(r"\{(\w)\}", text):
        text = text[: found.start()] + makers[found[1]]() + text[found.end() :]
    return text
