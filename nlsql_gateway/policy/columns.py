"""Pass: every column must be one that the person may read, and sqlglot must see the same relations as libpg_query.

Hidden columns cannot be reached anyway: the sub-query that stands for the table does not have them. This pass turns
"column does not exist" from the server into a refusal that says what it is, keeps a hidden column's name from being
taken by a column of an outer query, and is the second opinion: a statement that the two parsers read differently is
refused. Where no name is a hidden column's there is nothing to resolve: the relations alone are compared. Statements
that read system relations only are left to libpg_query: sqlglot cannot read all of psql's. What sqlglot cannot read at
all may run where no name in it is a hidden column's.

sqlglot's scopes are used, not its ``qualify``: that expands and renames in place and costs twice as much.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.optimizer.scope import Scope, traverse_scope

from nlsql_gateway.policy.case import Case, Read
from nlsql_gateway.policy.decision import Deny, Reason
from nlsql_gateway.policy.functions import callable_by_attribute
from nlsql_gateway.policy.merged import Merged
from nlsql_gateway.policy.origin import TABLEOID, tells_origin
from nlsql_gateway.policy.whole_rows import only_readable, without_names
from nlsql_gateway.policy.words import why_column
from nlsql_gateway.sql import Kind
from nlsql_gateway.sql.quoting import folded

_POSTGRES = Dialect.get_or_raise("postgres")
"""Made once: by its name sqlglot makes a new one for every call."""

_SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})


def check_columns(case: Case) -> Case | Deny:
    refused = _attributes(case)
    if refused is not None or all(read.system for read in case.reads):
        return refused or case
    refused = _joined(case) or _copied(case)
    if refused is not None or (case.statement.kind is Kind.COPY_TO and case.statement.inner is None):
        return refused or case
    tree = _parse((case.statement.inner or case.statement).text)
    if tree is None:
        return _unread(case)
    ours = {(use.schema, use.name) for use in case.survey.relations}
    if _relations(tree) != ours:
        return case.deny(
            Reason.NOT_UNDERSTOOD,
            "the statement can be read in two ways",
            sqlstate="0A000",
            hint="write the tables' names plainly",
        )
    if _plain(case):
        return case
    try:
        for name in tree.find_all(exp.Identifier):
            if not name.quoted and name.this != (small := folded(name.this)):
                name.set("this", small)
        scopes = traverse_scope(tree)
        return _Names(case, scopes).check() or _misread(case, tree, scopes) or _overlooked(case, tree) or case
    except Exception:  # noqa: BLE001 - sqlglot on text that it half understands: any error means that it does not
        return _unread(case)


def _plain(case: Case) -> bool:
    """Whether there is nothing to resolve: no name is a hidden column's or could call a function, wherever it stands,
    and every ``table.column`` is one of all tables of that name. Most statements; scopes cost more than all of this.
    """
    hidden = _hidden(case)
    survey = case.survey
    if not hidden.isdisjoint(survey.using) or not hidden.isdisjoint(survey.attributes):
        return False
    called: dict[str, list[Read]] = {}
    for read in case.reads:
        if not read.system and not read.use.renames:
            called.setdefault(read.use.called, []).append(read)
    for fields in {use.fields for use in survey.columns}:
        if not hidden.isdisjoint(fields):
            return False
        if len(fields) > 1 and fields[-1] != "*":
            if callable_by_attribute(fields[-1], case):
                return False
            if not all(_has(case, read, fields[-1]) for read in called.get(fields[-2], ())):
                return False
    return True


def _has(case: Case, read: Read, name: str) -> bool:
    assert read.access is not None
    if name in read.access.names or (name in _SYSTEM_COLUMNS and not read.restricted):
        return True
    return name == TABLEOID and tells_origin(case, read)


def _unread(case: Case) -> Case | Deny:
    """sqlglot cannot read it: then no name in it may be that of a column that is hidden, wherever it stands.

    What is left names readable columns only, and whole rows and stars of the sub-queries that stand for the tables.
    """
    named = {name for use in case.survey.columns for name in use.fields}
    if _hidden(case) & (named | case.survey.attributes | case.survey.using):
        return _unchecked(case)
    return _calls(case) or case


def _hidden(case: Case) -> set[str]:
    """The names of all columns that the sub-queries do not have and the tables have."""
    hidden: set[str] = set()
    for read in case.restricted:
        if not read.system:
            assert read.access is not None
            hidden |= read.access.hidden
            hidden |= _SYSTEM_COLUMNS
    return hidden


def _unchecked(case: Case) -> Deny:
    return case.deny(
        Reason.NOT_UNDERSTOOD,
        "the statement could not be checked: one of the two parsers cannot read it",
        sqlstate="0A000",
        hint="write it in a simpler way",
    )


def _overlooked(case: Case, tree: exp.Query) -> Deny | None:
    """A hidden column's name where sqlglot sees no column: an outer query's could take its place."""
    hidden = _hidden(case)
    ours = Counter(use.fields[-1] for use in case.survey.columns if use.fields[-1] in hidden)
    if not ours:
        return None
    theirs = Counter(column.name for column in tree.find_all(exp.Column))
    return _unchecked(case) if any(theirs[name] < count for name, count in ours.items()) else None


def _misread(case: Case, tree: exp.Query, scopes: Sequence[Scope]) -> Deny | None:
    """A name behind a dot that could call a function and that ``_Names`` has not judged, wherever it stands.

    sqlglot reads ``x.U&"pe\\0065k"`` as x.u and an operator, and may have columns in no scope.
    """
    uses = [use for use in case.survey.columns if len(use.fields) > 1 and callable_by_attribute(use.fields[-1], case)]
    if not uses:
        return None
    everywhere = Counter((column.table, column.name) for column in tree.find_all(exp.Column))
    judged = {id(column): (column.table, column.name) for scope in scopes for column in scope.find_all(exp.Column)}
    in_scopes = Counter(judged.values())
    ours = Counter(use.fields[-2:] for use in uses)
    for use in uses:
        name = use.fields[-2:]
        if not ours[name] == everywhere[name] == in_scopes[name]:  # type: ignore[index]  # two of them
            return _call(case, use.fields, use.location)
    return None


def _attributes(case: Case) -> Deny | None:
    """Names behind a dot that could call a function; those of columns are left to ``_Names`` where it runs."""
    for name in sorted(case.survey.attributes):
        if callable_by_attribute(name, case):
            return case.deny(Reason.FUNCTION, f".{name} could call a function that is not allowed")
    return _calls(case) if all(read.system for read in case.reads) else None


def _calls(case: Case) -> Deny | None:
    for use in case.survey.columns:
        if len(use.fields) > 1 and callable_by_attribute(use.fields[-1], case):
            return _call(case, use.fields, use.location)
    return None


def _call(case: Case, fields: Sequence[str], location: int | None) -> Deny:
    return case.deny(
        Reason.FUNCTION, f"{'.'.join(fields)} could call a function that is not allowed", location=location
    )


def _parse(text: str) -> exp.Query | None:
    try:
        (tree,) = sqlglot.parse(text, dialect=_POSTGRES)
        return tree if isinstance(tree, exp.Query) else None
    except Exception:  # noqa: BLE001 - a parser's error of any kind, RecursionError included
        return None


def _relations(tree: exp.Query) -> set[tuple[str, str]]:
    return {
        (_folded(table.args.get("db")), _folded(table.this))
        for table in tree.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier)
    }


def _folded(name: exp.Expr | None) -> str:
    if isinstance(name, exp.Identifier):
        return name.name if name.quoted else folded(name.name)
    return "" if name is None else name.name


def _joined(case: Case) -> Deny | None:
    """Columns that a join names without a ColumnRef, attributes of a whole row, and whole rows with other names.

    A row of a table keeps the table's names whatever its alias calls the columns, a row of a sub-query has the alias's.
    """
    alone = {use.fields[0] for use in case.survey.columns if len(use.fields) == 1}
    for read in case.restricted:
        if read.system:
            continue
        assert read.access is not None
        hidden = read.access.hidden
        if read.use.renames and read.use.called in alone and not without_names(case, read.use.called):
            return case.deny(
                Reason.CONSTRUCT,
                f"the whole row {read.use.called} is not allowed where its alias gives the columns other names",
                hint="leave the names of the columns out of the alias",
            )
        for name in sorted(hidden & case.survey.attributes):
            if not only_readable(case, name):
                return _denied(case, name)
    return _merging(case)


def _merging(case: Case) -> Deny | None:
    if not case.survey.natural and case.survey.using.isdisjoint(_hidden(case)):
        return None
    merged = Merged(case)
    name = merged.using()
    if name is not None:
        return _denied(case, name)
    if merged.natural():
        return case.deny(
            Reason.CONSTRUCT,
            "NATURAL JOIN is not allowed where it could join on a column that you may not read",
            hint="use JOIN … USING (columns)",
        )
    return None


def _copied(case: Case) -> Deny | None:
    """COPY t (columns) TO STDOUT."""
    if case.statement.kind is not Kind.COPY_TO or case.statement.inner is not None:
        return None
    (read,) = case.reads
    if read.system:
        return None
    for item in case.statement.node["CopyStmt"].get("attlist", []):
        name = item["String"]["sval"]
        if read.access is not None and name not in read.access.names:
            return _denied(case, name) if read.access.relation.column(name) else _unknown(case, name)
    return None


def _denied(case: Case, written: str, location: int | None = None) -> Deny:
    why = why_column(case, written.rpartition(".")[2])
    return case.deny(
        Reason.COLUMN_DENIED,
        f"permission denied for column {written}",
        hint=why.hint,
        location=location,
        applied=why.applied,
    )


def _unknown(case: Case, written: str, location: int | None = None) -> Deny:
    named = written if "." in written else f'"{written}"'  # as PostgreSQL words it: tools take the name from there
    return case.deny(Reason.UNKNOWN_NAME, f"column {named} does not exist", sqlstate="42703", location=location)


class _Names:
    """Finds the relation of every column, scope by scope, inner before outer as Postgres does."""

    def __init__(self, case: Case, scopes: list[Scope]) -> None:
        self.case = case
        self.scopes = scopes
        self.reads: Mapping[tuple[str, str], Read] = {
            (read.use.schema, read.use.name): read for read in case.reads if not read.system
        }
        self.found: dict[tuple[int, str], Deny | None] = {}
        "By scope and bare name: a name means the same wherever it stands in a scope."
        self.listed: dict[int, tuple[list[tuple[Read, frozenset[str]]], frozenset[str]]] = {}
        self.locations = {".".join(use.fields): use.location for use in reversed(case.survey.columns)}

    def check(self) -> Deny | None:
        for scope in self.scopes:
            aliases = _aliases(scope.expression)
            for column in scope.find_all(exp.Column):
                if isinstance(column.this, exp.Star):
                    continue
                found = self._qualified(scope, column) if column.table else self._bare(scope, column, aliases)
                if found is not None:
                    return found
        return None

    def _qualified(self, scope: Scope, column: exp.Column) -> Deny | None:
        source = _source(scope, column.table)
        if isinstance(source, exp.Table) and (read := self._read(source)) is not None:
            return self._judge(read, column)
        if isinstance(source, Scope) and column.name in _outputs(source):
            return None
        if callable_by_attribute(column.name, self.case):
            written = [part.name for part in column.parts]
            return _call(self.case, written, self.locations.get(".".join(written)))
        return None

    def _bare(self, scope: Scope, column: exp.Column, aliases: frozenset[str]) -> Deny | None:
        if column.name in aliases and isinstance(column.parent, exp.Ordered) and _orders_select(column):
            return None  # ORDER BY finds output columns first (manual, "SELECT")
        key = (id(scope), column.name)
        if key not in self.found:
            self.found[key] = self._looked_up(scope, column)
        return self.found[key]

    def _looked_up(self, scope: Scope, column: exp.Column) -> Deny | None:
        at: Scope | None = scope
        while at is not None:
            tables, outputs = self._sources(at)
            having = [read for read, names in tables if column.name in names]
            for read in having:
                refused = self._judge(read, column)
                if refused is not None:
                    return refused
            if having or column.name in outputs:
                return None
            at = at.parent
        return None

    def _sources(self, scope: Scope) -> tuple[list[tuple[Read, frozenset[str]]], frozenset[str]]:
        """The tables of a scope with all names that a column of theirs has, and the columns of its other sources."""
        found = self.listed.get(id(scope))
        if found is None:
            tables: list[tuple[Read, frozenset[str]]] = []
            outputs: set[str] = set()
            for source in scope.sources.values():
                if isinstance(source, exp.Table):
                    read = self._read(source)
                    if read is not None:
                        tables.append((read, self._all(read)))
                elif isinstance(source, Scope):
                    outputs.update(_outputs(source))
            found = self.listed[id(scope)] = (tables, frozenset(outputs))
        return found

    def _all(self, read: Read) -> frozenset[str]:
        assert read.access is not None
        return _SYSTEM_COLUMNS.union(column.name for column in read.access.relation.columns)

    def _read(self, table: exp.Table) -> Read | None:
        """The read behind a FROM item; None for CTEs, functions and system relations, and where columns are renamed."""
        alias = table.args.get("alias")
        if not isinstance(table.this, exp.Identifier) or (alias is not None and alias.args.get("columns")):
            return None
        return self.reads.get((table.db, table.name))

    def _judge(self, read: Read, column: exp.Column) -> Deny | None:
        assert read.access is not None
        name = column.name
        if _has(self.case, read, name) or any(name == rule.column.name for rule in read.access.aggregates):
            return None  # columns for aggregates only: aggregates.py has refused all else
        written = ".".join(part.name for part in column.parts)
        location = self.locations.get(written)
        return (_denied if name in self._all(read) else _unknown)(self.case, written, location)


def _source(scope: Scope, name: str) -> object:
    at: Scope | None = scope
    while at is not None:
        if name in at.sources:
            return at.sources[name]
        at = at.parent
    return None


def _aliases(query: object) -> frozenset[str]:
    return (
        frozenset(item.alias for item in query.selects if item.alias) if isinstance(query, exp.Query) else frozenset()
    )


def _orders_select(column: exp.Column) -> bool:
    order = column.parent.parent if column.parent is not None else None
    return order is not None and isinstance(order.parent, exp.Query)


def _outputs(scope: Scope) -> Iterator[str]:
    query = scope.expression
    return iter(query.named_selects if isinstance(query, exp.Query) else ())
