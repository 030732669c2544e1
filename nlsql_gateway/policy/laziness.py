"""Helps ``leaks``: what may fail without a column of the filtered table, and yet only when a row of it is there.

A sub-query that depends on nothing is computed when the first row asks for it, and a volatile expression for each row:
their error would tell that a row came so far, before the row filter hid it. So does a cast of a parameter, whose type
the client declares: with a generic plan it is computed for each row (manual, "PREPARE", notes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Self

from nlsql_gateway.policy.case import Case, Read
from nlsql_gateway.policy.leakproof import ORDERS, simple
from nlsql_gateway.sql.survey import strings

TABLES: Final = frozenset({"table", "partitioned table", "materialized view"})
"""Not views and foreign tables: their own expressions, or another server, would run beside the filter."""

_SUMMED: Final = frozenset({"smallint", "integer", "bigint", "numeric"})
"""Types whose sum has room; that of floats and intervals overflows."""

_COMPARED: Final = frozenset({*ORDERS, "BETWEEN", "NOT BETWEEN"})

_HARMLESS: Final = frozenset(
    """SelectStmt ResTarget ColumnRef A_Star A_Const String Integer Float Boolean List RangeVar RangeSubselect JoinExpr
    BoolExpr NullTest BooleanTest A_Expr FuncCall SubLink SortBy TypeCast CaseExpr CaseWhen CommonTableExpr""".split()  # noqa: SIM905
)
"""The grammar's nodes that a sub-query may have; some of them are looked at more closely."""


@dataclass
class Laziness:
    """Of one statement; what it takes is looked up when it is first needed: most statements have no sub-query."""

    case: Case
    statement: Any
    own: bool
    "There are comparisons of the database's own."
    known: dict[int, bool] = field(default_factory=dict)

    @classmethod
    def of(cls, case: Case, statement: Any, own_operators: frozenset[str]) -> Self:
        return cls(case, statement, not _COMPARED.isdisjoint(own_operators))

    @cached_property
    def kinds(self) -> Mapping[str, frozenset[str]]:
        """Column name -> its types in the relations that are read; '' for what is computed."""
        kinds: dict[str, set[str]] = {}
        for read in self.case.reads:
            for name, kind in read.access.types if read.access is not None else ():
                kinds.setdefault(name, set()).add(kind)
        return {name: frozenset(found) for name, found in kinds.items()}

    @cached_property
    def tables(self) -> frozenset[int]:
        """The locations of plain tables: no view, which has expressions of its own."""
        return frozenset(read.use.location for read in self.case.reads if _plain(read))

    @cached_property
    def ctes(self) -> Mapping[str, list[Any]]:
        """All queries that a name stands for anywhere in the statement."""
        ctes: dict[str, list[Any]] = {}
        for cte in _found("CommonTableExpr", self.statement):
            ctes.setdefault(cte["ctename"], []).append(cte["ctequery"])
        return ctes

    def could_fail(self, query: Any) -> bool:
        """Whether a sub-query has anything but tables, plain columns, constants, comparisons and plain aggregates."""
        if id(query) not in self.known:
            self.known[id(query)] = True  # while it is looked at: a CTE that reads itself
            self.known[id(query)] = self.own or any(self._fails(key, value) for key, value in _nodes(query))
        return self.known[id(query)]

    def lazy(self, condition: Any) -> bool:
        """Whether a condition has no column at all, or a sub-query that could fail or give several rows."""
        links = _found("SubLink", condition)
        if any(self.could_fail(link["subselect"]) or _is_many(link) for link in links):
            return True
        return not links and not _found("ColumnRef", condition)

    def _fails(self, key: str, value: Any) -> bool:
        if key == "RangeVar":
            if value.get("location", 0) in self.tables:
                return False
            queries = () if value.get("schemaname") else self.ctes.get(value["relname"], ())
            return not queries or any(self.could_fail(query) for query in queries)
        if key == "ColumnRef":
            name = strings(value["fields"])[-1]
            return name != "*" and not self._is(name, None)
        if key == "FuncCall":
            name, arguments = strings(value["funcname"])[-1], value.get("args", [])
            columns = [strings(one["ColumnRef"]["fields"])[-1] for one in arguments if "ColumnRef" in one]
            summed = len(columns) == len(arguments) and all(self._is(column, _SUMMED) for column in columns)
            return "over" in value or not (name in ("count", "min", "max") or (name in ("sum", "avg") and summed))
        if key == "A_Expr":
            return not _COMPARED.issuperset(strings(value.get("name", []))[-1:])
        if key == "TypeCast":
            return "A_Const" not in value.get("arg", {})
        if key == "SubLink":
            return value["subLinkType"] not in ("EXISTS_SUBLINK", "ANY_SUBLINK")
        if key == "usingClause":
            return not all(self._is(name, None) for name in strings(value))
        # LIMIT -1 fails when it is computed.
        return key in ("limitCount", "limitOffset", "isNatural") or (key[:1].isupper() and key not in _HARMLESS)

    def _is(self, column: str, among: frozenset[str] | None) -> bool:
        """Whether all columns of this name are of types that are compared without fail, or of these."""
        kinds = self.kinds.get(column, ())
        return bool(kinds) and all(simple(kind) if among is None else kind in among for kind in kinds)


def _plain(read: Read) -> bool:
    return read.access is not None and read.access.relation.kind in TABLES and not read.system


def _nodes(tree: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    stack = [tree]
    while stack:
        item = stack.pop()
        if type(item) is list:
            stack.extend(item)
        elif type(item) is dict:
            found.extend(item.items())
            stack.extend([value for value in item.values() if type(value) is dict or type(value) is list])
    return found


def _found(tag: str, tree: Any) -> list[Any]:
    """The nodes of one kind, those inside each other too."""
    found: list[Any] = []
    stack = [tree]
    while stack:
        item = stack.pop()
        if type(item) is list:
            stack.extend(item)
        elif type(item) is dict:
            for key, value in item.items():
                if key == tag:
                    found.append(value)
                if type(value) is list or (type(value) is dict and key not in _LEAVES):
                    stack.append(value)
    return found


_LEAVES: Final = frozenset({"ColumnRef", "A_Const", "String"})
"""Nodes with none of those that are looked for inside."""


def without_columns(condition: Any) -> bool:
    return not _found("ColumnRef", condition) and not _found("SubLink", condition)


def _is_many(link: Any) -> bool:
    """A sub-query in the place of a value that is not plainly one row: aggregates without groups."""
    query = link["subselect"].get("SelectStmt", {})
    targets = [target["ResTarget"].get("val", {}) for target in query.get("targetList", [])]
    plain = "groupClause" not in query and all("FuncCall" in value for value in targets)
    return link["subLinkType"] not in ("EXISTS_SUBLINK", "ANY_SUBLINK") and not (targets and plain)
