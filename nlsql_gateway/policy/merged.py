"""Helps ``columns``: joins that merge columns by name, NATURAL and USING, where one of the names is a hidden column's.

PostgreSQL refuses such a join for want of the right on the column. Here the sub-query that stands for the table has no
such column: the join would run and be another one. So what each side of a join could have is found, generously, since
a name too many refuses a statement and a name too few only joins on less than the person meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from nlsql_gateway.policy.case import Case, Read
from nlsql_gateway.policy.leakproof import plain, simple, written
from nlsql_gateway.policy.open_catalogs import SYSTEM_SCHEMAS
from nlsql_gateway.sql.grammar import Node
from nlsql_gateway.sql.survey import strings

Names = frozenset[str]

_UNNAMED: Final = frozenset(
    """?column? array bool case coalesce date exists greatest grouping interval json least nullif row time timestamp
    xmlconcat xmlelement xmlexists xmlforest xmlparse xmlpi xmlroot xmlserialize""".split()  # noqa: SIM905
)
"""What an unnamed output column may be called besides the names that are written in it (FigureColname)."""

_SCALARS: Final = frozenset(
    """generate_series generate_subscripts regexp_split_to_table regexp_matches string_to_table json_array_elements
    jsonb_array_elements json_array_elements_text jsonb_array_elements_text json_object_keys jsonb_object_keys
    jsonb_path_query""".split()  # noqa: SIM905 - a table to be read
)
"""Functions in FROM that give one column, called as the alias or the function is, or ``value``: all of pg_catalog's of
these names do."""


class Merged:
    """The joins of one statement."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.reads = {read.use.location: read for read in case.reads}
        self.ctes: dict[str, list[Node]] | None = None
        self.open: set[str] = set()
        "The CTEs that are being read."

    def using(self) -> str | None:
        """A hidden column that a join USING names of a table of its own; None without one."""
        for join in self._joins():
            named = set(strings(join.get("usingClause", [])))
            for read in self._tables(join) if named else ():
                if found := sorted(named & _hidden(read)):
                    return found[0]
        return None

    def natural(self) -> bool:
        """Whether a NATURAL JOIN could join on a hidden column."""
        return any(
            self._meets(join[one], join[other])
            for join in self._joins()
            if join.get("isNatural")
            for one, other in (("larg", "rarg"), ("rarg", "larg"))
        )

    def _meets(self, side: Node, other: Node) -> bool:
        hidden = frozenset[str]().union(*(_hidden(read) for read in self._tables(side)))
        if not hidden:
            return False
        names = self._names(other, whole=True)
        return names is None or not hidden.isdisjoint(names)

    def _joins(self) -> Iterator[Node]:
        for select in self.case.survey.selects:
            stack = list(select["fromClause"])
            while stack:
                join = stack.pop().get("JoinExpr")
                if join is not None:
                    stack += (join["larg"], join["rarg"])
                    yield join

    def _tables(self, item: Node) -> Iterator[Read]:
        """The tables that a join or an item of FROM has itself, not those of its sub-queries."""
        stack = [item]
        while stack:
            item = stack.pop()
            item = item.get("JoinExpr", item)
            if "larg" in item:
                stack += (item["larg"], item["rarg"])
            elif (read := self.reads.get(item.get("RangeVar", {}).get("location", -1))) is not None:
                yield read

    def _names(self, item: Node, *, whole: bool) -> Names | None:
        """The columns that an item of FROM may have; ``whole``: the hidden ones of tables too. None: not known."""
        ((tag, body),) = item.items()
        renamed = frozenset(strings(body.get("alias", {}).get("colnames", [])))
        if tag == "RangeVar":
            found = self._relation(body, whole=whole)
        elif tag == "RangeSubselect":
            found = self._outputs(body["subquery"]["SelectStmt"])
        elif tag == "JoinExpr":
            sides = [self._names(body[side], whole=whole) for side in ("larg", "rarg")]
            found = None if sides[0] is None or sides[1] is None else sides[0] | sides[1]
        else:
            found = self._of_function(body) if tag == "RangeFunction" else None
            if tag in _TABLES_OF_THEIR_OWN:
                found = _written(body)  # their COLUMNS have names, and more is written there
        return None if found is None else found | renamed

    def _relation(self, body: Node, *, whole: bool) -> Names | None:
        read = self.reads.get(body.get("location", 0))
        if read is None:
            return self._cte(body["relname"])
        if read.access is not None:
            return read.access.names | (_hidden(read) if whole else frozenset())
        relation = self.case.catalog.relations.get(read.key)
        return None if relation is None else frozenset(column.name for column in relation.columns)

    def _cte(self, name: str) -> Names | None:
        """Of all CTEs of this name, whichever of them is meant."""
        if self.ctes is None:
            self.ctes = {}
            for one in _nodes(self.case.statement.node, "CommonTableExpr"):
                self.ctes.setdefault(one["ctename"], []).append(one)
        if name in self.open:
            return frozenset()  # a recursive one has the columns of its first query
        self.open.add(name)
        found: Names = frozenset()
        for cte in self.ctes.get(name, ()):
            query = cte["ctequery"].get("SelectStmt")
            outputs = self._outputs(query) if query is not None else None
            if outputs is None:
                self.open.discard(name)
                return None
            found |= outputs.union(*(_written(cte.get(key)) for key in _ADDING))
        self.open.discard(name)
        return found

    def _of_function(self, body: Node) -> Names | None:
        items = body["functions"][0]["List"]["items"]
        call = items[0].get("FuncCall")
        if len(body["functions"]) != 1 or call is None:
            return None
        if "coldeflist" in body:  # all its columns (manual, 7.2.1.4)
            return frozenset({"ordinality", *(one["ColumnDef"]["colname"] for one in body["coldeflist"])})
        name = strings(call["funcname"])[-1]
        if any(function.schema not in SYSTEM_SCHEMAS for function in self.case.catalog.functions.get(name, ())):
            return None  # one of the database's own could be meant
        values = name == "unnest" and all(self._holds_values(one) for one in call.get("args", ()))
        if name not in _SCALARS and not values:
            return None
        called = {body["alias"]["aliasname"]} if "alias" in body else set()
        return frozenset({name, "ordinality", "value", *called})

    def _holds_values(self, array: Node) -> bool:
        """Whether it is an array of values, not of rows, of which unnest() would make columns."""
        if "A_ArrayExpr" in array:
            return all("A_Const" in one for one in array["A_ArrayExpr"].get("elements", ()))
        if "TypeCast" in array:
            kind = array["TypeCast"]["typeName"]
            return written({key: value for key, value in kind.items() if key != "arrayBounds"}) != ""
        if "ColumnRef" not in array:
            return False
        name = strings(array["ColumnRef"]["fields"])[-1]
        of = [read.access.relation.column(name) for read in self.reads.values() if read.access is not None]
        kinds = {column.type for column in of if column is not None}
        return bool(kinds) and all(kind.endswith("[]") and simple(plain(kind[:-2])) for kind in kinds)

    def _outputs(self, query: Node) -> Names | None:
        while query.get("op", "SETOP_NONE") != "SETOP_NONE":
            query = query["larg"]
        if "valuesLists" in query:
            width = len(query["valuesLists"][0]["List"]["items"])
            return frozenset(f"column{number + 1}" for number in range(width))
        found: set[str] = set()
        for item in query.get("targetList", ()):
            target = item["ResTarget"]
            if "name" in target:
                found.add(target["name"])
            elif any(True for _ in _nodes(target["val"], "A_Star")):
                if "ColumnRef" not in target["val"]:
                    return None  # (row).*
                for source in query.get("fromClause", ()):
                    names = self._names(source, whole=False)
                    if names is None:
                        return None
                    found |= names
            else:
                found |= _written(target["val"]) | _UNNAMED
        return frozenset(found)


_TABLES_OF_THEIR_OWN: Final = frozenset({"RangeTableFunc", "JsonTable"})
"""XMLTABLE and JSON_TABLE."""

_ADDING: Final = ("aliascolnames", "search_clause", "cycle_clause")
"""Parts of a CTE with names of columns."""


def _hidden(read: Read) -> Names:
    return read.access.hidden if read.access is not None and not read.system else frozenset()


def _nodes(node: Any, key: str) -> Iterator[Any]:
    """What stands under ``key``, wherever."""
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if key in item:
                yield item[key]
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _written(node: Any) -> Names:
    """All strings in a node."""
    found: set[str] = set()
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            found.add(item)
        elif isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return frozenset(found)
