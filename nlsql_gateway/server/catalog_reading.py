"""Read a Catalog from a connection: a few queries in one snapshot, joined here.

Everything is read, the system's own schemas too, since policies decide on them as well; TOAST tables and other
sessions' temporary tables are left out. All of it is readable for every role anyway (PostgreSQL manual, "System
Catalogs"). Works on PostgreSQL 12 (pg_attribute.attgenerated) and later.

``SIGNATURE`` lets the server hash what the other queries would return: one row crosses the wire, and a picture that
did not change is not built again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import asyncpg

from nlsql_gateway.sql import Catalog, Column, ForeignKey, Function, Relation
from nlsql_gateway.sql.catalog import RelationKind, Volatility

SERVER: Final = """
SELECT current_database()::text, current_setting('server_version_num')::int, current_schemas(true)::text[],
    pg_catalog.pg_encoding_max_length(pg_catalog.pg_char_to_encoding(pg_catalog.getdatabaseencoding())) = 1"""

_SCHEMAS = "n.nspname !~ '^pg_(toast|temp_|toast_temp_)'"
_RELATIONS_FROM = f"""
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND {_SCHEMAS}
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"""

RELATIONS: Final = f"""
SELECT c.oid::int8 AS id, n.nspname::text, c.relname::text, c.relkind::text,
    coalesce((SELECT d.description FROM pg_catalog.pg_description d
        WHERE d.objoid = c.oid AND d.classoid = 'pg_catalog.pg_class'::regclass AND d.objsubid = 0), ''),
    c.reloptions IS NOT NULL AND EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions)
        WHERE CASE WHEN option_name = 'security_invoker' THEN option_value::bool END)
{_RELATIONS_FROM}"""

ROWS: Final = f"SELECT c.oid::int8, c.reltuples::float8 {_RELATIONS_FROM} AND c.relkind IN ('r', 'p', 'm', 'f')"

COLUMNS: Final = f"""
SELECT a.attrelid::int8 AS id, a.attnum::int, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod),
    a.attnotnull, coalesce(d.description, ''), a.attgenerated <> '',
    a.attcollation NOT IN (0, 100) AND (a.attcollation, t.typcollation) <> (950, 950),
    coalesce((SELECT pg_catalog.array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e
        WHERE e.enumtypid = coalesce(nullif(t.typbasetype, 0), t.oid)), '{{}}')
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_description d
    ON d.objoid = a.attrelid AND d.classoid = 'pg_catalog.pg_class'::regclass AND d.objsubid = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid IN (SELECT c.oid {_RELATIONS_FROM})
ORDER BY a.attrelid, a.attnum"""

# A foreign key to a partitioned table has, besides itself, one row for each partition: only itself is wanted.
CONSTRAINTS: Final = """
SELECT con.conrelid::int8 AS id, con.conname::text AS name, con.contype::text, con.confrelid::int8,
    con.conkey::int4[], con.confkey::int4[]
FROM pg_catalog.pg_constraint con
WHERE con.contype IN ('p', 'f') AND con.conrelid <> 0 AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint parent
    WHERE parent.oid = con.conparentid AND parent.conrelid = con.conrelid)
ORDER BY con.conrelid, con.conname"""

CHECKS: Final = f"""
SELECT con.conrelid::int8 AS id, con.conkey[1]::int, pg_catalog.pg_get_expr(con.conbin, con.conrelid)
FROM pg_catalog.pg_constraint con
WHERE con.contype = 'c' AND con.convalidated AND pg_catalog.cardinality(con.conkey) = 1
    AND con.conrelid IN (SELECT c.oid {_RELATIONS_FROM})
ORDER BY con.conrelid, con.conname"""

PARENTS: Final = """
SELECT inhrelid::int8 AS id, inhparent::int8 FROM pg_catalog.pg_inherits ORDER BY inhrelid, inhseqno"""

# DISTINCT: overloads that differ in nothing that a Function holds say nothing more.
FUNCTIONS: Final = """
SELECT DISTINCT p.proname::text AS id, n.nspname::text, p.prokind::text, p.provolatile::text, p.proleakproof,
    p.prosecdef, p.proretset, l.lanname::text
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language l ON l.oid = p.prolang"""

OPERATORS: Final = """
SELECT DISTINCT o.oprname::text AS id
FROM pg_catalog.pg_operator o
LEFT JOIN pg_catalog.pg_type l ON l.oid = o.oprleft
LEFT JOIN pg_catalog.pg_type r ON r.oid = o.oprright
WHERE o.oprnamespace <> 'pg_catalog'::regnamespace
    AND 'pg_catalog'::regnamespace IN (l.typnamespace, r.typnamespace)"""

# Not rows: a call of such a name is no cast (FuncNameAsType). Arrays have names that nobody writes.
TYPES: Final = f"""
SELECT n.nspname::text, t.typname::text
FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace AND {_SCHEMAS}
WHERE t.typtype IN ('b', 'd', 'e', 'r', 'm') AND t.typisdefined AND n.nspname <> 'pg_catalog'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)"""

# SHA-256, since a server in FIPS mode refuses md5(). convert_to its own encoding: the bytes as they are.
SIGNATURE: Final = "SELECT " + ",\n".join(
    f"""(SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
        pg_catalog.string_agg(q::text, E'\\n' ORDER BY q::text COLLATE "C"), pg_catalog.getdatabaseencoding())), 'hex')
    FROM ({query}) q)"""
    for query in (SERVER, RELATIONS, COLUMNS, CONSTRAINTS, CHECKS, PARENTS, FUNCTIONS, OPERATORS, TYPES)
)
"""Not ``ROWS``: what ANALYZE estimates is no change."""

_KINDS: Final[Mapping[str, RelationKind]] = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
    "S": "sequence",
}
_VOLATILITY: Final[Mapping[str, Volatility]] = {"i": "immutable", "s": "stable", "v": "volatile"}
_FUNCTION_KINDS: Final[Mapping[str, Any]] = {"f": "function", "p": "procedure", "a": "aggregate", "w": "window"}

Rows = Sequence[Sequence[Any]]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Picture:
    catalog: Catalog
    signature: str


async def read(connection: asyncpg.Connection, last: Picture | None, opens_with: str = "") -> Picture:
    """The catalog as the server has it now; ``last`` itself when nothing changed. Raises asyncpg's errors."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        if opens_with:
            await connection.execute(opens_with)
        signature = " ".join(str(part) for part in await connection.fetchrow(SIGNATURE) or ())
        if last is not None and last.signature == signature:
            return last
        server = await connection.fetchrow(SERVER)
        assert server is not None  # it has no FROM
        relations = await connection.fetch(RELATIONS)
        rows = await connection.fetch(ROWS)
        columns = await connection.fetch(COLUMNS)
        constraints = await connection.fetch(CONSTRAINTS)
        checks = await connection.fetch(CHECKS)
        parents = await connection.fetch(PARENTS)
        functions = await connection.fetch(FUNCTIONS)
        operators = await connection.fetch(OPERATORS)
        types = await connection.fetch(TYPES)
    catalog = build(tuple(server), relations, rows, columns, constraints, parents, functions, operators, checks, types)
    if last is not None and last.catalog.version == catalog.version:
        return Picture(last.catalog, signature)
    return Picture(catalog, signature)


def build(
    server: tuple[str, int, Sequence[str], bool],
    relations: Rows,
    rows: Rows,
    columns: Rows,
    constraints: Rows,
    parents: Rows,
    functions: Rows,
    operators: Rows = (),
    checks: Rows = (),
    types: Rows = (),
) -> Catalog:
    """The Catalog of the queries' rows, its version computed."""
    database, server_version, search_path, folds_beyond_ascii = server
    keys: dict[int, Key] = {row[0]: (row[1], row[2]) for row in relations}
    columns_of: dict[int, dict[int, Column]] = defaultdict(dict)
    for relation, number, *values in columns:
        *others, labels = values
        columns_of[relation][number] = Column(*[*others, tuple(labels)])
    for relation, number, condition in checks:
        if (found_values := listed(condition)) and (column := columns_of[relation].get(number)) is not None:
            columns_of[relation][number] = replace(column, values=found_values)
    primary: dict[int, tuple[str, ...]] = {}
    foreign: dict[int, list[ForeignKey]] = defaultdict(list)
    for relation, _, kind, target, numbers, target_numbers in constraints:
        if relation not in keys:
            continue
        names = _names(columns_of[relation], numbers)
        if kind == "p":
            primary[relation] = names
        elif target in keys:
            foreign[relation].append(ForeignKey(names, keys[target], _names(columns_of[target], target_numbers)))
    parents_of: dict[int, list[int]] = defaultdict(list)
    for relation, parent in parents:
        parents_of[relation].append(parent)
    estimates = {row[0]: _estimate(row[1], server_version) for row in rows}
    found = {
        (schema, name): Relation(
            schema,
            name,
            _KINDS[kind],
            tuple(columns_of[relation].values()),
            comment,
            primary.get(relation, ()),
            tuple(foreign.get(relation, ())),
            tuple(keys[parent] for parent in _ancestors(relation, parents_of) if parent in keys),
            estimates.get(relation, -1),
            security_invoker,
        )
        for relation, schema, name, kind, comment, security_invoker in relations
    }
    by_name: dict[str, list[Function]] = defaultdict(list)
    for name, schema, kind, volatility, leakproof, definer, returns_set, language in functions:
        by_name[name].append(
            Function(
                schema,
                name,
                _FUNCTION_KINDS[kind],
                _VOLATILITY[volatility],
                leakproof,
                definer,
                returns_set,
                language,
            )
        )
    catalog = Catalog(
        database,
        "",
        server_version,
        tuple(search_path),
        found,
        {name: tuple(sorted(overloads, key=_function_values)) for name, overloads in by_name.items()},
        frozenset(row[0] for row in operators),
        frozenset((schema, name) for schema, name in types),
        folds_beyond_ascii,
    )
    return replace(catalog, version=version(catalog))


_TEXT: Final = r"'(?:[^']|'')*'"
_CAST: Final = r"::[\w ]+"
_LIST: Final = re.compile(
    rf"""\(*(?:"(?:[^"]|"")+"|\w+)\)?(?:{_CAST})? = ANY \(+"""
    rf"""ARRAY\[({_TEXT}{_CAST}(?:, {_TEXT}{_CAST})*)\][\w \[\]:()]*"""
)


def listed(condition: str) -> tuple[str, ...]:
    """The texts of a CHECK that is nothing but ``column IN ('one', 'two')``, as pg_get_expr writes it; else none."""
    found = _LIST.fullmatch(condition)
    return tuple(text[1:-1].replace("''", "'") for text in re.findall(_TEXT, found[1])) if found is not None else ()


def version(catalog: Catalog) -> str:
    """SHA-256 over a canonical form of all but the estimates of rows, so that ANALYZE is no change."""
    digest = hashlib.sha256()

    def add(*values: object) -> None:
        digest.update(json.dumps(values, ensure_ascii=True, separators=(",", ":")).encode() + b"\n")

    add(catalog.database, catalog.server_version, catalog.search_path, catalog.folds_beyond_ascii)
    for key in sorted(catalog.relations):
        relation = catalog.relations[key]
        add(
            *(relation.schema, relation.name, relation.kind, relation.comment, relation.security_invoker),
            *(relation.primary_key, relation.parents),
            [(foreign.columns, foreign.target, foreign.target_columns) for foreign in relation.foreign_keys],
            [(c.name, c.type, c.not_null, c.comment, c.generated, c.collated, c.values) for c in relation.columns],
        )
    for name in sorted(catalog.functions):
        add([_function_values(function) for function in catalog.functions[name]])
    add(sorted(catalog.own_operators or ()))
    add(sorted(catalog.own_types))
    return digest.hexdigest()


def _function_values(function: Function) -> tuple[str | bool, ...]:
    return (
        *(function.schema, function.name, function.kind, function.volatility, function.leakproof),
        *(function.security_definer, function.returns_set, function.language),
    )


def _names(columns: Mapping[int, Column], numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(columns[number].name for number in numbers)


def _ancestors(relation: int, parents: Mapping[int, Sequence[int]]) -> list[int]:
    """Nearest first, each once; PostgreSQL admits no circles."""
    found: dict[int, None] = {}
    generation = list(parents.get(relation, ()))
    while generation:
        found.update(dict.fromkeys(generation))
        generation = [parent for child in generation for parent in parents.get(child, ())]
    return list(found)


def _estimate(reltuples: float, server_version: int) -> int:
    """Before PostgreSQL 14, 0 meant "never analysed" too."""
    return -1 if reltuples == 0 and server_version < 140000 else int(reltuples)
