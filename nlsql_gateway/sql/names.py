"""The names that a SELECT uses, as values, and edits of them: what ``ask/repair.py`` must know of a tree.

``outline(sql, catalog)`` says, scope by scope, which relations stand in FROM, which columns are used and under which
qualifier; ``edit(sql, edits)`` carries out edits on them and gives new text. Nothing here decides what an edit should
be. For text from a model only: what is written back is sqlglot's rendering, which is not byte for byte the text read,
so what a person typed never goes this way. Relations are found as Postgres finds them, by the catalog's search path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import Scope as _Scope
from sqlglot.optimizer.scope import traverse_scope

from nlsql_gateway.errors import LimitError, StatementError
from nlsql_gateway.sql.catalog import Catalog

MAX_TEXT = 16 * 1024
"""Characters: a model's answer is a few hundred tokens."""
MAX_NESTING = 60
"""Parentheses within parentheses: sqlglot recurses (400 raise RecursionError)."""

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


@dataclass(frozen=True, slots=True)
class Requalify:
    """Let a column mention name its source ``table`` (and, if given, another column)."""

    use: int
    table: str
    column: str = ""


@dataclass(frozen=True, slots=True)
class AddJoin:
    """Join ``relation`` under ``alias`` to a scope, right behind the source ``anchor``."""

    scope: int
    relation: tuple[str, str]
    alias: str
    anchor: str
    on: tuple[tuple[str, str], ...]
    "(column of the anchor, column of the new relation), all equal."


@dataclass(frozen=True, slots=True)
class Equate:
    """Put ``left = right``, each (alias, column), in the place of an equality of ``Scope.equalities``."""

    uses: tuple[int, int]
    left: tuple[str, str]
    right: tuple[str, str]


@dataclass(frozen=True, slots=True)
class RenameTable:
    """Let an unknown table, as ``Outline.unknown`` writes it, be this one; it keeps its name as its alias."""

    written: str
    relation: tuple[str, str]


Edit = Requalify | AddJoin | Equate | RenameTable


def quote(name: str) -> str:
    """``name`` as it must be written in SQL: quoted when it is mixed case, odd or reserved."""
    return exp.to_identifier(name, quoted=not _plain(name)).sql(dialect="postgres")


def outline(sql: str, catalog: Catalog) -> Outline:
    """The names in ``sql``, one SELECT statement. Raises StatementError (not readable), LimitError."""
    tree = _parse(sql)
    columns = _columns(tree)
    places = {id(column): index for index, column in enumerate(columns)}
    unknown: list[str] = []
    scopes = _scopes(tree)
    known = {id(scope): _sources(scope, catalog, unknown) for scope in scopes}
    owner = _owners(scopes, columns)
    return Outline(
        tuple(_scope(index, scope, known, owner.get(index, []), places) for index, scope in enumerate(scopes)),
        tuple(dict.fromkeys(unknown)),
    )


def edit(sql: str, edits: Sequence[Edit], catalog: Catalog) -> str:
    """``sql`` with all ``edits`` made; their indices are those of ``outline(sql, catalog)``."""
    tree = _parse(sql)
    columns = _columns(tree)
    scopes = _scopes(tree)
    for one in edits:
        match one:
            case Requalify(use, table, column):
                _requalify(columns[use], table, column)
            case Equate((left, right), left_to, right_to):
                _requalify(columns[left], *left_to)
                _requalify(columns[right], *right_to)
            case AddJoin():
                _add_join(scopes[one.scope].expression, one, catalog)
            case RenameTable(written, relation):
                for table in list(tree.find_all(exp.Table)):
                    if _written(table) == written:
                        _rename_table(table, relation, catalog)
    return tree.sql(dialect="postgres", normalize_functions=False)


def _parse(sql: str) -> exp.Query:
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


def _columns(tree: exp.Query) -> list[exp.Column]:
    """All column mentions in an order that depends on the text alone, so that two readings agree; stars left out."""
    return [column for column in tree.find_all(exp.Column) if not isinstance(column.this, exp.Star)]


def _scopes(tree: exp.Query) -> list[_Scope]:
    """The scopes whose expression is a SELECT: of a set operation, its sides."""
    try:
        return [scope for scope in traverse_scope(tree) if isinstance(scope.expression, exp.Select)]
    except SqlglotError as error:  # two sources of one alias
        raise StatementError(_first_line(error)) from error


def _owners(scopes: list[_Scope], columns: list[exp.Column]) -> dict[int, list[exp.Column]]:
    """Scope index -> the columns that stand in that SELECT itself. ORDER BY of a set operation belongs to none."""
    of_select = {id(scope.expression): index for index, scope in enumerate(scopes)}
    owned: dict[int, list[exp.Column]] = {}
    for column in columns:
        select = column.find_ancestor(exp.Select, exp.SetOperation)
        # Climb out of wrappers: the first Select above is the one whose FROM the name is looked up in first.
        if select is not None and id(select) in of_select:
            owned.setdefault(of_select[id(select)], []).append(column)
    return owned


def _sources(scope: _Scope, catalog: Catalog, unknown: list[str]) -> tuple[Source, ...]:
    select = scope.expression
    own = {node.alias_or_name for node in _from_items(select)}
    return tuple(
        _source(alias, source, catalog, unknown) for alias, source in scope.sources.items() if alias and alias in own
    )


def _from_items(select: exp.Expression) -> Iterator[exp.Expression]:
    start = select.args.get("from_") or select.args.get("from")
    if start is not None:
        yield start.this
        yield from _nested_joins(start.this)
    for join in select.args.get("joins") or []:
        yield join.this
        yield from _nested_joins(join.this)
    yield from select.args.get("laterals") or []


def _nested_joins(item: exp.Expression) -> Iterator[exp.Expression]:
    """``a JOIN (b JOIN c ON …) ON …``, and joins that sqlglot hangs on the table before them."""
    for join in item.args.get("joins") or []:
        yield join.this
        yield from _nested_joins(join.this)


def _source(alias: str, source: object, catalog: Catalog, unknown: list[str]) -> Source:
    name = _fold_text(alias, source)
    if isinstance(source, exp.Table):
        alias_of = source.args.get("alias")
        if isinstance(source.this, exp.Func) or (alias_of is not None and alias_of.args.get("columns")):
            return Source(name, None, None)
        relation = catalog.resolve(source.db or None, _fold(source.this))
        if relation is None:
            unknown.append(_written(source))
            return Source(name, None, None)
        return Source(name, relation.key, tuple(column.name for column in relation.columns))
    if isinstance(source, _Scope):
        return Source(name, None, _outputs(source))
    return Source(name, None, None)


def _outputs(scope: _Scope) -> tuple[str, ...] | None:
    """The columns that a sub-query or CTE gives; None where that cannot be told."""
    query = scope.expression
    if not isinstance(query, exp.Query):
        return None
    first = query
    while isinstance(first, exp.SetOperation):
        first = first.this
    if not isinstance(first, exp.Select) or any(projection.is_star for projection in first.selects):
        return None
    outer = query.parent.args.get("alias") if query.parent is not None else None
    if isinstance(outer, exp.TableAlias) and outer.args.get("columns"):
        return None
    return tuple(_output_name(projection) for projection in first.selects)


def _output_name(projection: exp.Expression) -> str:
    """What Postgres calls the column (manual, 7.3.2): its alias, its name, or for a function call the function's."""
    if isinstance(projection, exp.Alias):
        return _fold(projection.args["alias"])
    if isinstance(projection, exp.Column):
        return _fold(projection.this)
    if isinstance(projection, exp.Cast):
        return _output_name(projection.this)
    if isinstance(projection, exp.Func):
        return projection.sql_name().lower()
    return "?column?"


def _scope(
    index: int,
    scope: _Scope,
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
    joins = {id(join): join.this.alias_or_name for join in select.args.get("joins") or []}
    uses = tuple(
        Use(
            places[id(column)],
            _fold(column.args["table"]) if column.args.get("table") is not None else "",
            _fold(column.this),
            _join_of(column, joins),
        )
        for column in columns
    )
    return Scope(
        index,
        known[id(scope)],
        tuple(outer),
        frozenset(_fold(item.args["alias"]) for item in select.selects if isinstance(item, exp.Alias)),
        uses,
        tuple(_equalities(columns, joins, places)),
        frozenset(_fold(name) for join in select.args.get("joins") or [] for name in join.args.get("using") or []),
    )


def _join_of(column: exp.Column, joins: Mapping[int, str]) -> str:
    join = column.find_ancestor(exp.Join)
    return joins.get(id(join), "") if join is not None else ""


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


def _fold(identifier: exp.Expression) -> str:
    """As Postgres folds it: lower case unless quoted (manual, 4.1.1)."""
    quoted = bool(identifier.args.get("quoted"))
    return identifier.name if quoted else identifier.name.lower()


def _fold_text(alias: str, source: object) -> str:
    node = source.args.get("alias") if isinstance(source, exp.Expression) else None
    identifier = node.this if isinstance(node, exp.TableAlias) and node.this is not None else None
    if identifier is None and isinstance(source, exp.Table):
        identifier = source.this
    return _fold(identifier) if isinstance(identifier, exp.Identifier) else alias.lower()


def _written(table: exp.Table) -> str:
    return f"{table.db}.{table.name}" if table.db else table.name


def _plain(name: str) -> bool:
    """Whether Postgres reads the bare word as this very name."""
    folded = name.isascii() and name.isidentifier() and name == name.lower()
    return folded and name.upper() not in _RESERVED


def _identifier(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=not _plain(name))


def _requalify(column: exp.Column, table: str, name: str) -> None:
    column.set("db", None)
    column.set("table", _identifier(table) if table else None)
    if name:
        column.set("this", _identifier(name))


def _table(relation: tuple[str, str], catalog: Catalog) -> exp.Table:
    schema, name = relation
    found = catalog.resolve(None, name)
    bare = found is not None and found.key == relation
    return exp.Table(this=_identifier(name), db=None if bare else _identifier(schema))


def _add_join(select: exp.Expression, new: AddJoin, catalog: Catalog) -> None:
    table = _table(new.relation, catalog)
    if new.alias != new.relation[1]:
        table.set("alias", exp.TableAlias(this=_identifier(new.alias)))
    conditions = [
        exp.EQ(
            this=exp.Column(this=_identifier(theirs), table=_identifier(new.anchor)),
            expression=exp.Column(this=_identifier(ours), table=_identifier(new.alias)),
        )
        for theirs, ours in new.on
    ]
    joins: list[exp.Join] = select.args.get("joins") or []
    place = 0
    for number, join in enumerate(joins, start=1):
        if join.this.alias_or_name.lower() == new.anchor.lower():
            place = number
    joins.insert(place, exp.Join(this=table, on=exp.and_(*conditions)))
    select.set("joins", joins)


def _rename_table(table: exp.Table, relation: tuple[str, str], catalog: Catalog) -> None:
    alias = table.args.get("alias") or exp.TableAlias(this=table.this.copy())
    new = _table(relation, catalog)
    if alias.name != relation[1]:
        new.set("alias", alias)
    table.replace(new)


_RESERVED = frozenset(
    """ALL ANALYSE ANALYZE AND ANY ARRAY AS ASC ASYMMETRIC AUTHORIZATION BINARY BOTH CASE CAST CHECK COLLATE COLLATION
    COLUMN CONCURRENTLY CONSTRAINT CREATE CROSS CURRENT_CATALOG CURRENT_DATE CURRENT_ROLE CURRENT_SCHEMA CURRENT_TIME
    CURRENT_TIMESTAMP CURRENT_USER DEFAULT DEFERRABLE DESC DISTINCT DO ELSE END EXCEPT FALSE FETCH FOR FOREIGN FREEZE
    FROM FULL GRANT GROUP HAVING ILIKE IN INITIALLY INNER INTERSECT INTO IS ISNULL JOIN LATERAL LEADING LEFT LIKE LIMIT
    LOCALTIME LOCALTIMESTAMP NATURAL NOT NOTNULL NULL OFFSET ON ONLY OR ORDER OUTER OVERLAPS PLACING PRIMARY REFERENCES
    RETURNING RIGHT SELECT SESSION_USER SIMILAR SOME SYMMETRIC SYSTEM_USER TABLE TABLESAMPLE THEN TO TRAILING TRUE UNION
    UNIQUE USER USING VARIADIC VERBOSE WHEN WHERE WINDOW WITH""".split()  # noqa: SIM905 - the manual's list, appendix C
)
"""Words that PostgreSQL 18 reserves, with or without exceptions for functions and types (manual, appendix C)."""
