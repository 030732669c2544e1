"""The names that a SELECT uses, as values: what ``ask/repair.py`` must know of a tree.

``outline(sql, catalog)`` says, scope by scope, which relations stand in FROM, which columns are used and under which
qualifier. Relations are found as Postgres finds them, by the catalog's search path. ``edits.py`` changes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import postgast
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import Scope as Tree
from sqlglot.optimizer.scope import traverse_scope

from nlsql_gateway.errors import LimitError, StatementError
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.quoting import folded

MAX_TEXT = 16 * 1024
"""Characters: a model's answer is a few hundred tokens."""
MAX_NESTING = 60
"""Parentheses within parentheses: sqlglot recurses (400 raise RecursionError)."""

Clause = Literal["", "output", "where", "having"]

_SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
"""Every table has them (PostgreSQL manual, 5.6)."""


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of a FROM clause."""

    alias: str
    "The name that the rest of the query calls it by."
    relation: tuple[str, str] | None
    "(schema, name) in the catalog; None for a sub-query, a CTE, a function or an unknown table."
    columns: tuple[str, ...] | None
    "None: not known, so any column may be there."

    def has(self, column: str) -> bool:
        return self.columns is None or column in self.columns or column in _SYSTEM_COLUMNS


@dataclass(frozen=True, slots=True)
class Use:
    """One mention of a column."""

    index: int
    "For edits: its place among the column mentions of the whole text."
    table: str
    "The qualifier; empty without one."
    column: str
    join: str
    "The alias of the source in whose ON clause it stands; empty elsewhere."
    clause: Clause = ""
    "output: it is by itself an item of the select list; empty for the clauses not named."


@dataclass(frozen=True, slots=True)
class Scope:
    """One SELECT of the text, sub-queries not included."""

    index: int
    sources: tuple[Source, ...]
    "In the order of FROM."
    outer: tuple[Source, ...]
    "What a correlated sub-query sees besides, nearest first."
    outputs: frozenset[str]
    "Names given in the select list with AS: GROUP BY and ORDER BY may use them."
    aggregates: frozenset[str]
    "Those of ``outputs`` that hold an aggregate or a window function."
    uses: tuple[Use, ...]
    equalities: tuple[tuple[int, int], ...]
    "Pairs of uses that an ON clause equates."
    merged: frozenset[str] = frozenset()
    "Columns of JOIN … USING: bare, they are not ambiguous."


@dataclass(frozen=True, slots=True)
class Outline:
    scopes: tuple[Scope, ...]
    unknown: tuple[str, ...]
    "Relations that the catalog does not have, as written, in order."


def outline(sql: str, catalog: Catalog) -> Outline:
    """The names in ``sql``, one SELECT statement. Raises StatementError (not readable), LimitError."""
    return outline_of(parse(sql), catalog)


def outline_of(tree: exp.Query, catalog: Catalog) -> Outline:
    """``outline`` of a tree; indices are places in ``mentions(tree)``. Raises StatementError."""
    columns = mentions(tree)
    places = {id(column): index for index, column in enumerate(columns)}
    unknown: list[str] = []
    scopes = selects(tree)
    known = {id(scope): _sources(scope, catalog, unknown) for scope in scopes}
    owner = _owners(scopes, columns)
    return Outline(
        tuple(_scope(index, scope, known, owner.get(index, []), places) for index, scope in enumerate(scopes)),
        tuple(dict.fromkeys(unknown)),
    )


def parse(sql: str) -> exp.Query:
    if len(sql) > MAX_TEXT:
        raise LimitError(f"the answer is longer than {MAX_TEXT} characters")
    depth = deepest = 0
    for character in sql:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    if deepest > MAX_NESTING:
        raise LimitError(f"more than {MAX_NESTING} nested parentheses")
    try:
        trees = sqlglot.parse(sql, dialect="postgres")
    except (SqlglotError, RecursionError) as error:
        raise StatementError(f"not readable: {_first_line(error)}") from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise StatementError("not one SELECT statement")
    return trees[0]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def mentions(tree: exp.Query) -> list[exp.Column]:
    """All column mentions in an order that depends on the text alone, so that two readings agree; stars left out."""
    return [column for column in tree.find_all(exp.Column) if not isinstance(column.this, exp.Star)]


def selects(tree: exp.Query) -> list[Tree]:
    """The scopes whose expression is a SELECT: of a set operation, its sides."""
    try:
        return [scope for scope in traverse_scope(tree) if isinstance(scope.expression, exp.Select)]
    except SqlglotError as error:  # two sources of one alias
        raise StatementError(_first_line(error)) from error


def _owners(scopes: list[Tree], columns: list[exp.Column]) -> dict[int, list[exp.Column]]:
    """Scope index -> the columns that stand in that SELECT itself. ORDER BY of a set operation belongs to none."""
    of_select = {id(scope.expression): index for index, scope in enumerate(scopes)}
    owned: dict[int, list[exp.Column]] = {}
    for column in columns:
        select = column.find_ancestor(exp.Select, exp.SetOperation)
        # Climb out of wrappers: the first Select above is the one whose FROM the name is looked up in first.
        if select is not None and id(select) in of_select:
            owned.setdefault(of_select[id(select)], []).append(column)
    return owned


def _sources(scope: Tree, catalog: Catalog, unknown: list[str]) -> tuple[Source, ...]:
    """In the order of FROM. What an item stands for (a table, or a CTE of that name) is sqlglot's finding."""
    found = []
    for item in _from_items(scope.expression):
        name = fold_alias(item)
        if name:
            found.append(_source(name, scope.sources.get(item.alias_or_name), catalog, unknown))
    return tuple(found)


def _from_items(select: exp.Expr) -> Iterator[exp.Expr]:
    start = select.args.get("from_")
    if start is not None:
        yield start.this
        yield from _joined(start.this)
    yield from _joined(select)
    yield from select.args.get("laterals") or []


def _joined(item: exp.Expr) -> Iterator[exp.Expr]:
    """``a JOIN (b JOIN c ON …) ON …``, and joins that sqlglot hangs on the table before them."""
    for join in item.args.get("joins") or []:
        yield join.this
        yield from _joined(join.this)


def _source(name: str, meant: object, catalog: Catalog, unknown: list[str]) -> Source:
    if isinstance(meant, Tree):
        return Source(name, None, _outputs(meant))
    if not isinstance(meant, exp.Table) or not isinstance(meant.this, exp.Identifier):
        return Source(name, None, None)
    alias = meant.args.get("alias")
    if alias is not None and alias.args.get("columns"):
        return Source(name, None, None)
    schema = fold(meant.args["db"]) if meant.args.get("db") is not None else None
    relation = catalog.resolve(schema, fold(meant.this))
    if relation is None:
        unknown.append(written_name(meant))
        return Source(name, None, None)
    return Source(name, relation.key, tuple(column.name for column in relation.columns))


def _outputs(scope: Tree) -> tuple[str, ...] | None:
    """The columns that a sub-query or CTE gives; None where that cannot be told."""
    first: object = scope.expression
    while isinstance(first, exp.SetOperation):
        first = first.this
    if not isinstance(first, exp.Select) or any(projection.is_star for projection in first.selects):
        return None
    holder = scope.expression.parent
    outer = holder.args.get("alias") if holder is not None else None
    if isinstance(outer, exp.TableAlias) and outer.args.get("columns"):
        return None
    return tuple(_output_name(projection) for projection in first.selects)


def _output_name(projection: exp.Expr) -> str:
    """What Postgres calls the column (manual, 7.3.2): its alias, its name, or for a function call the function's."""
    if isinstance(projection, exp.Alias):
        return fold(projection.args["alias"])
    if isinstance(projection, exp.Column):
        return fold(projection.this)
    if isinstance(projection, exp.Cast):
        return _output_name(projection.this)
    if isinstance(projection, exp.Func):
        return projection.sql_name().lower()
    return "?column?"


def _scope(
    index: int,
    scope: Tree,
    known: Mapping[int, tuple[Source, ...]],
    columns: list[exp.Column],
    places: Mapping[int, int],
) -> Scope:
    outer: list[Source] = []
    parent = scope.parent
    while parent is not None:
        outer.extend(known.get(id(parent), ()))
        parent = parent.parent
    select = scope.expression
    assert isinstance(select, exp.Select)
    joins = {id(join): fold_alias(join.this) for join in select.args.get("joins") or []}
    uses = tuple(
        Use(
            places[id(column)],
            fold(column.args["table"]) if column.args.get("table") is not None else "",
            fold(column.this),
            _join_of(column, joins),
            _clause_of(column),
        )
        for column in columns
    )
    return Scope(
        index,
        known[id(scope)],
        tuple(outer),
        frozenset(fold(item.args["alias"]) for item in select.selects if isinstance(item, exp.Alias)),
        frozenset(
            fold(item.args["alias"])
            for item in select.selects
            if isinstance(item, exp.Alias) and item.find(exp.AggFunc, exp.Window) is not None
        ),
        uses,
        tuple(_equalities(columns, joins, places)),
        frozenset(fold(name) for join in select.args.get("joins") or [] for name in join.args.get("using") or []),
    )


def _join_of(column: exp.Column, joins: Mapping[int, str]) -> str:
    join = column.find_ancestor(exp.Join)
    return joins.get(id(join), "") if join is not None else ""


def _clause_of(column: exp.Column) -> Clause:
    if column.arg_key == "expressions" and isinstance(column.parent, exp.Select):
        return "output"
    clause = column.find_ancestor(exp.Where, exp.Having, exp.Select)
    if isinstance(clause, exp.Where):
        return "where"
    return "having" if isinstance(clause, exp.Having) else ""


def _equalities(
    columns: list[exp.Column], joins: Mapping[int, str], places: Mapping[int, int]
) -> Iterator[tuple[int, int]]:
    for column in columns:
        parent = column.parent
        if (
            isinstance(parent, exp.EQ)
            and parent.this is column
            and id(parent.expression) in places
            and _join_of(column, joins)
        ):
            yield places[id(column)], places[id(parent.expression)]


def fold(identifier: exp.Expr) -> str:
    """As Postgres folds it: small letters unless quoted (manual, 4.1.1)."""
    quoted = bool(identifier.args.get("quoted"))
    return identifier.name if quoted else folded(identifier.name)


def fold_alias(source: exp.Expr) -> str:
    """What the rest of a query calls an entry of FROM."""
    alias = source.args.get("alias")
    named = alias.this if isinstance(alias, exp.TableAlias) else source.this
    return fold(named) if isinstance(named, exp.Identifier) else source.alias_or_name.lower()


def quote(name: str) -> str:
    """``name`` as people write it: quoted only where Postgres would read the bare word as something else."""
    return name if plain(name) else '"' + name.replace('"', '""') + '"'


@lru_cache(maxsize=4096)
def plain(name: str) -> bool:
    """Whether the bare word is this very name as a table or column (manual, 4.1.1 and appendix C).

    Unlike ``quoting.identifier`` this lets unreserved key words such as name, date and type stay bare: quoted names
    all over a prompt make a small model quote, and fail, more.
    """
    if not (name.isascii() and name.isidentifier() and name == name.lower()):
        return False
    tokens = postgast.scan(name).tokens
    return len(tokens) == 1 and tokens[0].keyword_kind in _BARE


_BARE = frozenset({0, 1})
"""libpg_query's KeywordKind: NO_KEYWORD and UNRESERVED_KEYWORD."""


def identifier(name: str) -> exp.Identifier:
    """``name`` as a node, quoted where it must be."""
    return exp.to_identifier(name, quoted=not plain(name))


def written_name(table: exp.Table) -> str:
    return f"{table.db}.{table.name}" if table.db else table.name
