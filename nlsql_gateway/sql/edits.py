"""Edits of the names in a SELECT: the other half of ``names.py``, whose outline gives the indices used here.

Nothing here decides what an edit should be. For text from a model only: what is written back is sqlglot's rendering,
which is not byte for byte the text read, so what a person typed never goes this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.names import fold, fold_alias, identifier, mentions, parse, selects, written_name


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


@dataclass(frozen=True, slots=True)
class Expand:
    """Put what the select list of ``scope`` calls by this mention's name in the mention's place."""

    scope: int
    use: int


Edit = Requalify | AddJoin | Equate | RenameTable | Expand


def edit(sql: str, edits: Sequence[Edit], catalog: Catalog) -> str:
    """``sql`` with all ``edits`` made; their indices are those of ``outline(sql, catalog)``."""
    tree = parse(sql)
    columns = mentions(tree)
    scopes = selects(tree)
    for one in edits:
        match one:
            case Requalify(use, table, column):
                _requalify(columns[use], table, column)
            case Equate((left, right), left_to, right_to):
                _requalify(columns[left], *left_to)
                _requalify(columns[right], *right_to)
            case AddJoin():
                _add_join(scopes[one.scope].expression, one, catalog)
            case Expand(scope, use):
                _expand(scopes[scope].expression, columns[use])
            case RenameTable(written, relation):
                for node in list(tree.find_all(exp.Table)):
                    if written_name(node) == written:
                        _rename_table(node, relation, catalog)
    return tree.sql(dialect="postgres", normalize_functions=False)


def _requalify(column: exp.Column, table: str, name: str) -> None:
    column.set("db", None)
    column.set("table", identifier(table) if table else None)
    if name:
        column.set("this", identifier(name))


def _table(relation: tuple[str, str], catalog: Catalog) -> exp.Table:
    schema, name = relation
    found = catalog.resolve(None, name)
    bare = found is not None and found.key == relation
    return exp.Table(this=identifier(name), db=None if bare else identifier(schema))


def _add_join(select: exp.Expr, new: AddJoin, catalog: Catalog) -> None:
    table = _table(new.relation, catalog)
    if new.alias != new.relation[1]:
        table.set("alias", exp.TableAlias(this=identifier(new.alias)))
    conditions = [
        exp.EQ(
            this=exp.Column(this=identifier(theirs), table=identifier(new.anchor)),
            expression=exp.Column(this=identifier(ours), table=identifier(new.alias)),
        )
        for theirs, ours in new.on
    ]
    joins: list[exp.Join] = select.args.get("joins") or []
    place = 0
    for number, join in enumerate(joins, start=1):
        if fold_alias(join.this) == new.anchor:
            place = number
    joins.insert(place, exp.Join(this=table, on=exp.and_(*conditions)))
    select.set("joins", joins)


def _expand(select: exp.Expr, column: exp.Column) -> None:
    wanted = fold(column.this)
    for item in select.selects if isinstance(select, exp.Select) else []:
        if isinstance(item, exp.Alias) and fold(item.args["alias"]) == wanted:
            expression = item.this.copy()
            column.replace(expression if isinstance(expression, exp.Func | exp.Column) else exp.Paren(this=expression))
            return


def _rename_table(table: exp.Table, relation: tuple[str, str], catalog: Catalog) -> None:
    alias = table.args.get("alias") or exp.TableAlias(this=table.this.copy())
    new = _table(relation, catalog)
    if alias.name != relation[1]:
        new.set("alias", alias)  # the rest of the query goes on calling it by the name that it used
    table.replace(new)
