"""Random queries over what a person sees: nearly all of them right, some of what is hidden.

The answer is determined: aggregates and windows do not depend on the order of equal rows, and what is limited is
ordered by all its columns.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.proof.ways import Query
from tests.proof.world import quoted

Columns = tuple[tuple[str, str], ...]


def family(type_: str) -> str:
    return {"integer": "int", "bigint": "int", "text": "text", "character varying(40)": "text", "date": "date"}.get(
        type_, type_.split("(")[0].split(" ")[0]
    )


@dataclass
class Writer:
    """Writes one query. ``tables``: name and columns of what it may read."""

    chance: random.Random
    tables: Sequence[tuple[str, Columns]]
    unsafe: bool = False
    "Expressions may fail."
    used: set[str] = field(default_factory=set)
    parameters: list[object] = field(default_factory=list)
    allow_parameters: bool = False
    number: int = 0

    def query(self) -> Query:
        self.allow_parameters = self.chance.random() < 0.15
        text, columns = self._select(2, [])
        if self.chance.random() < 0.12:
            text = self._united(text, columns)
        if self.chance.random() < 0.15:
            inner, outer = self._select(1, [])
            self.used.add("cte")
            names = ", ".join(name for name, _ in outer)
            kept = self.chance.choice(["", "MATERIALIZED ", "NOT MATERIALIZED "])
            text = f"WITH w AS {kept}({inner}) SELECT u.*, (SELECT count(*) FROM w) AS total FROM ({text}) AS u"
            if self.chance.random() < 0.5:
                text = text.replace("WITH w AS", f"WITH w ({names}) AS", 1)
            columns = (*columns, ("total", "bigint"))
        ordered = self.chance.random() < 0.35
        if ordered:
            self.used.add("limit")
            ways = ("", " DESC", " NULLS FIRST", " DESC NULLS LAST")
            keys = ", ".join(f"{place}{self.chance.choice(ways)}" for place in range(1, len(columns) + 1))
            text = f"SELECT * FROM ({text}) AS o ORDER BY {keys}"
            text += self.chance.choice(
                [
                    "",
                    f" LIMIT {self.chance.randint(0, 20)}",
                    " OFFSET 2",
                    " LIMIT 5 OFFSET 1",
                    " FETCH FIRST 3 ROWS ONLY",
                ]
            )
        cursor = not self.parameters and self.chance.random() < 0.05
        if cursor:
            self.used.add("cursor")
        if self.parameters:
            self.used.add("parameters")
        return Query(text, self.used, tuple(self.parameters), ordered, "cursor" if cursor else "")

    def _name(self) -> str:
        self.number += 1
        return f"{self.chance.choice('abcdefg')}{self.number}"

    def _pick(self, *ways: str) -> str:
        way = self.chance.choice(ways)
        self.used.add(way)
        return way

    # FROM

    def _source(self, depth: int, outer: list[tuple[str, Columns]]) -> tuple[str, str, Columns]:
        """Text, alias, columns."""
        alias = self._name()
        way = self.chance.random()
        if depth > 0 and way < 0.12:
            self.used.add("subquery in FROM")
            text, columns = self._select(depth - 1, [])
            return f"({text}) AS {alias}", alias, columns
        if way < 0.17:
            self.used.add("generate_series")
            return f"generate_series(1, {self.chance.randint(1, 6)}) AS {alias}(s)", alias, (("s", "integer"),)
        if way < 0.21:
            self.used.add("VALUES")
            return f"(VALUES (1, 'EU'), (2, NULL), (3, 'x')) AS {alias}(v, w)", alias, (("v", "integer"), ("w", "text"))
        name, columns = self.chance.choice(self.tables)
        return f"{quoted(name)} AS {alias}", alias, columns

    def _from(self, depth: int, outer: list[tuple[str, Columns]]) -> tuple[str, list[tuple[str, Columns]]]:
        text, alias, columns = self._source(depth, outer)
        scope = [(alias, columns)]
        for _ in range(self.chance.choice([0, 0, 0, 1, 1, 2])):
            if depth > 0 and self.chance.random() < 0.1:
                self.used.add("LATERAL")
                inner, columns = self._select(depth - 1, [*outer, *scope])
                alias = self._name()
                text += f" {self.chance.choice(['CROSS', 'LEFT'])} JOIN LATERAL ({inner}) AS {alias}"
                text += " ON true" if text.count("LEFT JOIN LATERAL (" + inner) else ""
                scope.append((alias, columns))
                continue
            more, alias, columns = self._source(depth, outer)
            left = {name for _, of in scope for name, _ in of}
            unique = [name for name, _ in columns if sum(name == n for _, of in scope for n, _ in of) == 1]
            join = self._pick("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", "USING", "NATURAL", "comma")
            if join == "USING" and unique:
                using = ", ".join(map(quoted, self.chance.sample(unique, min(len(unique), self.chance.randint(1, 2)))))
                text += f" {self.chance.choice(['', 'LEFT ', 'FULL '])}JOIN {more} USING ({using})"
            elif join == "NATURAL" and all(c in unique for c, _ in columns if c in left):
                text += f" NATURAL {self.chance.choice(['', 'LEFT '])}JOIN {more}"
            elif join == "CROSS JOIN":
                text += f" CROSS JOIN {more}"
            else:
                both = self._columns(scope, "int"), self._columns([(alias, columns)], "int")
                on = f"{self.chance.choice(both[0])} = {self.chance.choice(both[1])}" if all(both) else "true"
                if join in ("JOIN", "LEFT JOIN"):
                    scope.append((alias, columns))
                    on += f" AND {self._bool(scope, 0)}"
                    scope.pop()
                text += f" {join if join.endswith('JOIN') and on != 'true' else 'JOIN'} {more} ON {on}"
            scope.append((alias, columns))
        return text, scope

    # SELECT

    def _select(self, depth: int, outer: list[tuple[str, Columns]]) -> tuple[str, Columns]:
        """A query in which every column has a name of its own."""
        source, own = self._from(depth, outer)
        scope = [*outer, *own] if outer else own
        where = f" WHERE {self._bool(scope, depth)}" if self.chance.random() < 0.6 else ""
        way = self.chance.random()
        if way < 0.2:
            return self._grouped(source, where, scope)
        if way < 0.26:
            return self._windowed(source, where, scope)
        if way < 0.34 and len(own) == 1:
            self.used.add("star")
            star = self.chance.choice(["*", f"{own[0][0]}.*"])
            return f"SELECT {star} FROM {source}{where}", own[0][1]
        kinds = [
            self.chance.choice(["int", "text", "bool", "date", "numeric", "any"])
            for _ in range(self.chance.randint(1, 4))
        ]
        items, columns = [], []
        for place, kind in enumerate(kinds):
            text, type_ = self._item(scope, kind, depth)
            items.append(f"{text} AS k{place}")
            columns.append((f"k{place}", type_))
        distinct = ""
        if self.chance.random() < 0.15:
            distinct = self._pick("DISTINCT", "DISTINCT ON")
            tail = ", ".join(str(place + 1) for place in range(len(items)))
            if distinct == "DISTINCT ON":
                first = items[0].rsplit(" AS ", 1)[0]
                if not first.isdigit() and "$" not in first and not first.startswith("'"):
                    return (
                        f"SELECT DISTINCT ON ({first}) {', '.join(items)} FROM {source}{where} ORDER BY {tail}",
                        tuple(columns),
                    )
            distinct = "DISTINCT "
        return f"SELECT {distinct}{', '.join(items)} FROM {source}{where}", tuple(columns)

    def _item(self, scope: list[tuple[str, Columns]], kind: str, depth: int) -> tuple[str, str]:
        if kind == "any":
            if self.chance.random() < 0.2:
                self.used.add("whole row")
                alias = self.chance.choice(scope)[0]
                return self.chance.choice(
                    [f"{alias}::text", f"to_jsonb({alias})", f"row_to_json({alias})::text", f"({alias} IS NULL)::text"]
                ), "row"
            found = [(f"{alias}.{quoted(name)}", type_) for alias, of in scope for name, type_ in of]
            return self.chance.choice(found)
        types = {"int": "integer", "bool": "boolean"}
        return getattr(self, f"_{kind}")(scope, depth), types.get(kind, kind)

    def _grouped(self, source: str, where: str, scope: list[tuple[str, Columns]]) -> tuple[str, Columns]:
        found = [(f"{alias}.{quoted(name)}", type_) for alias, of in scope for name, type_ in of if type_ != "row"]
        keys = self.chance.sample(found, min(len(found), self.chance.randint(0, 2))) if found else []
        n, t, b = self._int(scope, 0), self._text(scope, 0), self._bool(scope, 0)
        options = (
            "count(*)",
            f"sum({n})",
            f"max({t})",
            f"min({n})",
            f"avg({n})",
            f"count(DISTINCT {t})",
            f"bool_or({b})",
            f"string_agg({t}, ',' ORDER BY {t})",
            f"array_agg({n} ORDER BY {n})",
            f"count(*) FILTER (WHERE {b})",
            f"sum({n}) FILTER (WHERE {b})",
            f"jsonb_agg({n} ORDER BY {n})",
        )
        picked = self.chance.sample(options, self.chance.randint(1, 3))
        self.used |= {"aggregate"} | {"FILTER" for one in picked if "FILTER" in one}
        items = [f"{text} AS k{place}" for place, (text, _) in enumerate(keys)]
        items += [f"{text} AS m{place}" for place, text in enumerate(picked)]
        columns = (
            *((f"k{place}", type_) for place, (_, type_) in enumerate(keys)),
            *((f"m{place}", "row") for place in range(len(picked))),
        )
        names = ", ".join(text for text, _ in keys)
        group = ""
        if keys:
            way = self._pick("GROUP BY", "GROUP BY", "GROUPING SETS", "ROLLUP", "CUBE")
            group = (
                f" GROUP BY {names}"
                if way == "GROUP BY"
                else f" GROUP BY {way} ({f'({names}), ()' if way == 'GROUPING SETS' else names})"
            )
        if self.chance.random() < 0.25:
            self.used.add("HAVING")
            group += f" HAVING count(*) > {self.chance.randint(0, 3)}"
        return f"SELECT {', '.join(items)} FROM {source}{where}{group}", columns

    def _windowed(self, source: str, where: str, scope: list[tuple[str, Columns]]) -> tuple[str, Columns]:
        self.used.add("window")
        n, t = self._int(scope, 0), self._text(scope, 0)
        window = self.chance.choice([f"PARTITION BY {t}", f"ORDER BY {n}", f"PARTITION BY {t} ORDER BY {n}", ""])
        function = self.chance.choice(["rank()", "dense_rank()", f"sum({n})", "count(*)", f"max({t})"])
        if self.chance.random() < 0.3:
            return f"SELECT {t} AS k0, {function} OVER w AS k1 FROM {source}{where} WINDOW w AS ({window})", (
                ("k0", "text"),
                ("k1", "row"),
            )
        return f"SELECT {n} AS k0, {function} OVER ({window}) AS k1 FROM {source}{where}", (
            ("k0", "integer"),
            ("k1", "row"),
        )

    def _united(self, text: str, columns: Columns) -> str:
        kinds = [family(type_) for _, type_ in columns]
        if not all(kind in ("int", "text", "boolean", "date", "numeric") for kind in kinds):
            return text
        source, scope = self._from(1, [])
        items = ", ".join(str(getattr(self, f"_{'bool' if kind == 'boolean' else kind}")(scope, 1)) for kind in kinds)
        way = self._pick("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL")
        return f"({text}) {way} (SELECT {items} FROM {source})"

    # Expressions

    def _columns(self, scope: list[tuple[str, Columns]], kind: str) -> list[str]:
        return [f"{alias}.{quoted(name)}" for alias, of in scope for name, type_ in of if family(type_) == kind]

    def _column(self, scope: list[tuple[str, Columns]], kind: str, otherwise: str) -> str:
        found = self._columns(scope, kind)
        return self.chance.choice(found) if found and self.chance.random() < 0.85 else otherwise

    def _int(self, scope: list[tuple[str, Columns]], depth: int) -> str:
        leaf = self._column(scope, "int", str(self.chance.randint(0, 50)))
        if self.allow_parameters and self.chance.random() < 0.1:
            self.parameters.append(self.chance.randint(0, 9))
            return f"${len(self.parameters)}::integer"
        if depth <= 0 or self.chance.random() < 0.4:
            return leaf
        way = self.chance.randrange(9)
        if way == 0 and self.unsafe:
            self.used.add("may fail")
            return self.chance.choice(
                [f"(100 / {leaf})", f"({self._text(scope, 0)})::integer", f"({leaf} * 2000000000)::integer"]
            )
        if way == 1:
            self.used.add("scalar subquery")
            source, own = self._from(depth - 1, scope)
            return f"(SELECT max({self._int(own, 0)}) FROM {source} WHERE {self._bool([*scope, *own], 0)})"
        return (
            f"({leaf} + {self._int(scope, depth - 1)})", f"coalesce({leaf}, {self._int(scope, depth - 1)})",
            f"abs({leaf})", f"length({self._text(scope, depth - 1)})", f"(100 / nullif({leaf}, 0))",
            f"CASE WHEN {self._bool(scope, depth - 1)} THEN {leaf} ELSE 3 END",
            f"({self._bool(scope, depth - 1)})::integer", f"extract(year FROM {self._date(scope, 0)})::integer",
            f"greatest({leaf}, cardinality({self._column(scope, 'integer[]', 'ARRAY[1, 2]')}))",
        )[way]  # fmt: skip

    def _text(self, scope: list[tuple[str, Columns]], depth: int) -> str:
        leaf = self._column(scope, "text", self.chance.choice(["'EU'", "'x'", "'%a'"]) + "::text")
        if depth <= 0 or self.chance.random() < 0.4:
            return leaf
        json = self._column(scope, "jsonb", """'{"a": 1}'::jsonb""")
        return self.chance.choice([
            f"upper({leaf})", f"({leaf} || {self._text(scope, depth - 1)})", f"left({leaf}, 2)",
            f"({self._int(scope, depth - 1)})::text",
            f"({json} ->> 'a')", f"jsonb_build_object('k', {leaf})::text", f"replace({leaf}, 'x', 'y')",
            f"coalesce({leaf}, 'none')", f"to_char({self._date(scope, 0)}, 'YYYY')",
        ])  # fmt: skip

    def _date(self, scope: list[tuple[str, Columns]], depth: int) -> str:
        leaf = self._column(scope, "date", "date '2022-05-05'")
        return leaf if depth <= 0 or self.chance.random() < 0.6 else f"({leaf} + {self.chance.randint(1, 40)})"

    def _numeric(self, scope: list[tuple[str, Columns]], depth: int) -> str:
        leaf = self._column(scope, "numeric", "12.50")
        return leaf if depth <= 0 or self.chance.random() < 0.5 else f"round({leaf} * {self._int(scope, depth - 1)}, 1)"

    def _bool(self, scope: list[tuple[str, Columns]], depth: int) -> str:
        n, t, d = self._int(scope, depth - 1), self._text(scope, depth - 1), self._date(scope, 0)
        way = self.chance.randrange(16 if depth > 0 else 12)
        if way < 12:
            return (
                f"{n} > {self.chance.randint(0, 60)}", f"{t} = 'EU'", f"{t} LIKE '%a%'", f"{d} < '2022-06-01'",
                f"{n} IS NOT NULL",
                f"{n} BETWEEN 1 AND 30", f"{n} IN (1, 2, 3, 10)", f"{t} IS DISTINCT FROM 'US'", f"NOT {n} = 2",
                self._column(scope, "boolean", "true"), f"{n} = ANY(ARRAY[1, 2, 20, 50])", f"{t} ~ '^[A-E]'",
            )[way]  # fmt: skip
        if way == 12:
            return (
                f"({self._bool(scope, depth - 1)} {self.chance.choice(['AND', 'OR'])} {self._bool(scope, depth - 1)})"
            )
        source, own = self._from(depth - 1, scope)
        if way == 13:
            self.used.add("EXISTS")
            no = self.chance.choice(["", "NOT "])
            return f"{no}EXISTS (SELECT 1 FROM {source} WHERE {self._bool([*scope, *own], 0)})"
        self.used.add("IN subquery")
        return (
            f"{n} {self.chance.choice(['IN', 'NOT IN', '= ANY', '> ALL'])} (SELECT {self._int(own, 0)} FROM {source})"
        )
