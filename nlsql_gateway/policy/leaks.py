"""Helps ``rewrite``: which row filters need a fence, because an expression of the person's could run before them.

A row filter that stands in the WHERE of a sub-query that PostgreSQL pulls up becomes a condition of the table's scan.
It stays there: everything above the scan sees only rows that passed. Beside it at the scan, in an order that the
planner chooses by cost, may run any other condition (WHERE, ON, HAVING) that uses a column of the table, through as
many sub-queries as it likes, and nothing else: select lists, sorts and aggregates are computed above. So a table needs
no fence when every such condition is a leakproof comparison (``leakproof``) of plain columns, which is what PostgreSQL
itself asks of conditions before it lets them run before a row security policy (manual, "Rules and Privileges").

What is not understood counts as leaking, and what leaks is traced to tables generously: a fence costs speed only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from nlsql_gateway.policy.case import Case, Read
from nlsql_gateway.policy.laziness import TABLES, Laziness, without_columns
from nlsql_gateway.policy.leakproof import comparable, constant_type, family, is_constant
from nlsql_gateway.policy.names import path
from nlsql_gateway.policy.scopes import NOTHING, Item, Output, Outputs, Scope, expanded, find, named
from nlsql_gateway.sql import Kind
from nlsql_gateway.sql.grammar import Node
from nlsql_gateway.sql.survey import strings

_ABOVE: Final = ("groupClause", "sortClause", "distinctClause", "windowClause", "limitCount", "limitOffset")
"""Clauses that are computed above the scans of their SELECT."""

_SIMPLE: Final = frozenset({"targetList", "fromClause", "whereClause", "limitOption", "op", "sortClause"})
"""An EXISTS or IN query of only these parts becomes a join: its select list and order are not computed."""

Ctes = Mapping[str, Outputs | None]


def unfenced(case: Case) -> frozenset[int]:
    """The locations of the tables whose row filter needs no fence."""
    candidates = frozenset(read.use.location for read in case.reads if _could(read))
    statement = case.statement.inner or case.statement
    own = case.catalog.own_operators
    # An operator before pg_catalog's in the path could be meant by any comparison.
    if not candidates or own is None or statement.kind is not Kind.SELECT or _first(case) != "pg_catalog":
        return frozenset()
    try:
        select = statement.node["SelectStmt"]
        return candidates - _Walk(case, candidates, own, Laziness.of(case, select, own)).touched_by(select)
    except Exception:  # noqa: BLE001 - nested too deeply, or a shape that nobody thought of: all fences stay
        return frozenset()


def _could(read: Read) -> bool:
    return (
        read.access is not None
        and read.access.condition is not None
        and read.access.relation.kind in TABLES
        and not read.system
    )


def _first(case: Case) -> str:
    return path(case.catalog, case.policy)[0]


@dataclass(slots=True)
class _Walk:
    case: Case
    candidates: frozenset[int]
    own_operators: frozenset[str]
    laziness: Laziness
    touched: set[int] = field(default_factory=set)
    "The tables of which something leaking could see hidden rows."
    collecting: list[tuple[int, set[int]]] = field(default_factory=list)
    "For each sub-query being read: its number of outer scopes, and what it uses of them."
    known: dict[int, tuple[Outputs | None, frozenset[int]]] = field(default_factory=dict)
    "By the id of a sub-query's node: read once, however often it is asked for."
    reads: dict[int, Read] = field(default_factory=dict)
    equated: list[tuple[str, frozenset[int]]] = field(default_factory=list)
    "Columns that are compared with others by =: the kind of their types, and the tables that they come from."
    computed: set[str] = field(default_factory=set)
    "The kinds of columns that are compared by = with something that may fail."

    def touched_by(self, select: Node) -> frozenset[int]:
        self.reads = {read.use.location: read for read in self.case.reads}
        self.select(select, (), {})
        # From a = b AND b = f() the planner makes a = f() (PostgreSQL, optimizer/README, EquivalenceClasses).
        return frozenset(self.touched) | frozenset[int]().union(
            *(reads for kind, reads in self.equated if kind in self.computed)
        )

    def select(self, node: Node, outer: Sequence[Scope], ctes: Ctes) -> Outputs | None:
        """Check the conditions in a query; its columns. None: not known."""
        ctes = self._with(node, outer, ctes)
        if node.get("op", "SETOP_NONE") != "SETOP_NONE":
            left, right = (self.select(node[side], outer, ctes) for side in ("larg", "rarg"))
            self._uses([node.get(key) for key in _ABOVE], outer, ctes)
            if left is None or right is None or len(left) != len(right):
                return None
            return [(name, one.merged(other)) for (name, one), (_, other) in zip(left, right, strict=True)]
        if "valuesLists" in node:
            self.touched |= self._uses(node["valuesLists"], outer, ctes)
            return None
        scope: Scope = []
        for item in node.get("fromClause", ()):
            self._from(item, scope, outer, ctes)
        scopes = (*outer, scope)
        for key in ("whereClause", "havingClause"):
            if key in node:
                self._condition(node[key], scopes, ctes)
        outputs = self._outputs(node, scopes, ctes)
        names = {name for name, _ in outputs or ()}
        clauses = [item for key in _ABOVE for item in _list(node.get(key))]
        # ORDER BY and GROUP BY may name an output column (manual, "SELECT"); it is not one of an outer query.
        self._uses([item for item in clauses if _bare(item) not in names], scopes, ctes)
        return outputs

    def _with(self, node: Node, outer: Sequence[Scope], ctes: Ctes) -> Ctes:
        if "withClause" not in node:
            return ctes
        seen = dict(ctes)
        items = [item["CommonTableExpr"] for item in node["withClause"]["ctes"]]
        if node["withClause"].get("recursive"):
            seen.update({cte["ctename"]: None for cte in items})
        for cte in items:
            found = self.select(cte["ctequery"].get("SelectStmt", {}), outer, seen)
            recursive = node["withClause"].get("recursive") or "search_clause" in cte or "cycle_clause" in cte
            seen[cte["ctename"]] = None if recursive else named(found, strings(cte.get("aliascolnames", [])))
        return seen

    def _from(self, item: Node, scope: Scope, outer: Sequence[Scope], ctes: Ctes) -> None:
        ((tag, body),) = item.items()
        alias = body.get("alias", {})
        called, columns = alias.get("aliasname", ""), strings(alias.get("colnames", []))
        if tag == "RangeVar":
            scope.append(self._table(body, called or body["relname"], columns, ctes))
        elif tag == "RangeSubselect":
            inner = (*outer, scope) if body.get("lateral") else outer
            found = self.select(body["subquery"]["SelectStmt"], inner, ctes)
            scope.append(Item.of(called, named(found, columns), self.candidates))
        elif tag == "JoinExpr":
            start = len(scope)
            for side in ("larg", "rarg"):
                self._from(body[side], scope, outer, ctes)
            joined = scope[start:]
            if "quals" in body:
                self._condition(body["quals"], (*outer, joined), ctes)
            if body.get("isNatural"):
                self.touched |= self.candidates
            for name in strings(body.get("usingClause", [])):
                self._same([output for one in joined for output in one.possible(name)])
            if called or "join_using_alias" in body:
                scope.append(Item(called or body["join_using_alias"]["aliasname"], {}, self.candidates))
        else:
            # A function's body may be put in its place, and what it is given with it.
            used = self._uses(body, (*outer, scope), ctes)
            self.touched |= used
            scope.append(Item(called, {}, used, anything=True))

    def _table(self, body: Node, called: str, columns: Sequence[str], ctes: Ctes) -> Item:
        read = self.reads.get(body.get("location", 0))
        if read is None:
            found = None if body.get("schemaname") else ctes.get(body["relname"])
            return Item.of(called, named(found, columns), self.candidates)
        if read.access is None:
            return Item(called, {}, frozenset(), anything=True)
        where = self.candidates & {read.use.location}
        outputs: Outputs = [(name, Output(kind, where)) for name, kind in read.access.types]
        return Item.of(called, named(outputs, columns), self.candidates)

    def _outputs(self, node: Node, scopes: Sequence[Scope], ctes: Ctes) -> Outputs | None:
        found: Outputs | None = []
        for target in node.get("targetList", ()):
            value = target["ResTarget"].get("val", {})
            fields = strings(value["ColumnRef"]["fields"]) if "ColumnRef" in value else ()
            if fields[-1:] == ("*",):
                several = expanded(fields, scopes[-1]) if scopes else None
                found = None if found is None or several is None else [*found, *several]
                self._uses(value, scopes, ctes)
                continue
            output = Output(self._type(value, scopes, ctes), self._uses(value, scopes, ctes, grouped=True))
            if found is not None:
                found.append((target["ResTarget"].get("name") or (fields[-1] if fields else None), output))
        return found

    def _condition(self, node: Node, scopes: Sequence[Scope], ctes: Ctes) -> None:
        ((tag, body),) = node.items()
        if tag == "BoolExpr" and body["boolop"] == "AND_EXPR":
            for argument in body["args"]:
                self._condition(argument, scopes, ctes)
        elif not self._quiet(node, scopes, ctes) and tag in ("BoolExpr", "BooleanTest"):
            # One part decides whether the other, of another table or of none, is computed.
            self.touched |= self._uses(node, scopes, ctes, grouped=True)

    def _quiet(self, node: Node, scopes: Sequence[Scope], ctes: Ctes) -> bool:
        """Whether nothing in it could fail; what could see hidden rows otherwise is touched."""
        ((tag, body),) = node.items()
        if tag == "BoolExpr":
            answers = [self._quiet(argument, scopes, ctes) for argument in body["args"]]
            return all(answers)
        if tag == "BooleanTest" and "ColumnRef" not in body["arg"]:
            return self._quiet(body["arg"], scopes, ctes)
        if tag in ("NullTest", "BooleanTest", "ColumnRef"):
            column = body["arg"] if tag != "ColumnRef" else node
            if "ColumnRef" in column and self._type(column, scopes, ctes):
                return True
        elif tag == "A_Const" or (tag == "A_Expr" and self._calm(body, scopes, ctes)):
            return True
        elif tag == "SubLink" and body["subLinkType"] in ("EXISTS_SUBLINK", "ANY_SUBLINK", "ALL_SUBLINK"):
            fails = self.laziness.could_fail(body["subselect"])
            if fails:  # it may be computed only when a row asks for it
                self.touched |= _in_view(scopes)
            return self._sublink(body, scopes, ctes) and not fails
        if without_columns(node):  # any scan may compute it, and only when there is a row
            self.touched |= self.candidates
        elif self.laziness.lazy(node):
            self.touched |= _in_view(scopes)
        self.touched |= self._uses(node, scopes, ctes, grouped=True)
        if tag == "A_Expr":
            self._computes(body, scopes, ctes)
        return False

    def _computes(self, body: Node, scopes: Sequence[Scope], ctes: Ctes) -> None:
        """Note with what kinds of columns something that may fail is compared by =, or by NOT and <>."""
        if strings(body.get("name", []))[-1:] in (("=",), ("<>",)):
            sides = [body.get("lexpr", {}), *_list(body.get("rexpr"))]
            while sides:
                side = sides.pop()
                for tag, key in (("RowExpr", "args"), ("List", "items"), ("A_ArrayExpr", "elements")):
                    sides += side.get(tag, {}).get(key, [])
                if not is_constant(side):
                    self.computed.add(family(self._type(side, scopes, ctes)))

    def _calm(self, body: Node, scopes: Sequence[Scope], ctes: Ctes) -> bool:
        """Whether it is nothing but leakproof comparisons of plain columns and constants."""
        kind, right = body.get("kind"), body.get("rexpr", {})
        if kind in ("AEXPR_OP", "AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT"):
            values = [right]
        elif kind == "AEXPR_IN" or (kind or "").startswith(("AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN")):
            values = right.get("List", {}).get("items", [])
        elif kind in ("AEXPR_OP_ANY", "AEXPR_OP_ALL") and "A_ArrayExpr" in right:
            values = right["A_ArrayExpr"].get("elements", [])
        else:
            return False
        symbol = strings(body["name"])[-1]
        operators = ["<", "<=", ">=", ">"] if "BETWEEN" in symbol else [symbol]
        left = self._type(body.get("lexpr", {}), scopes, ctes)
        types = [self._type(value, scopes, ctes) for value in values]
        if not (left and values) or not all(
            comparable(left, operator, kind) and operator not in self.own_operators
            for kind in types
            for operator in operators
        ):
            return False
        columns = [value for value in (body["lexpr"], *values) if not is_constant(value)]
        if symbol in ("=", "<>") and len(columns) > 1:
            self.equated.append((family(left), self._uses(columns, scopes, ctes)))
        return True

    def _sublink(self, body: Node, scopes: Sequence[Scope], ctes: Ctes) -> bool:
        """Whether it reads what is around it in its conditions only, and its own comparisons cannot fail."""
        query = body["subselect"]["SelectStmt"]
        outputs, outer = self._subquery(query, scopes, ctes)
        plain = _SIMPLE.issuperset(key for key, value in query.items() if value != "SETOP_NONE") and all(
            {"ColumnRef", "A_Const"} & target["ResTarget"].get("val", {}).keys()
            for target in query.get("targetList", ())
        )
        if not plain:
            self.touched |= outer
        test = body.get("testexpr")
        if test is None:
            return plain
        tests = test["RowExpr"].get("args", []) if "RowExpr" in test else [test]
        symbol = strings(body.get("operName", [])) or ("=",)
        if (
            outputs is None
            or len(outputs) != len(tests)
            or symbol[-1] in self.own_operators
            or not all(
                comparable(self._type(one, scopes, ctes), symbol[-1], output.type)
                for one, (_, output) in zip(tests, outputs, strict=True)
            )
        ):
            self.touched |= self._uses(test, scopes, ctes, grouped=True) | outer
            self.touched |= self.candidates if outputs is None else _all(output for _, output in outputs)
            self.computed |= {family(self._type(one, scopes, ctes)) for one in tests}
            self.computed |= {family(output.type) for _, output in outputs or ()}
            return False
        for one, (_, output) in zip(tests, outputs, strict=True):
            self.equated.append((family(output.type), self._uses(one, scopes, ctes) | output.reads))
        return plain

    def _subquery(self, query: Node, scopes: Sequence[Scope], ctes: Ctes) -> tuple[Outputs | None, frozenset[int]]:
        """The columns of a query in an expression, and the tables around it of which it uses something."""
        if id(query) not in self.known:
            used: set[int] = set()
            self.collecting.append((len(scopes), used))
            outputs = self.select(query, scopes, ctes)
            self.collecting.pop()
            self.known[id(query)] = (outputs, frozenset(used))
        return self.known[id(query)]

    def _same(self, outputs: Sequence[Output]) -> None:
        """The columns that USING compares."""
        kinds = {output.type for output in outputs}
        if "=" in self.own_operators or not all(comparable(one, "=", other) for one in kinds for other in kinds):
            self.touched |= _all(outputs)
            self.computed |= {family(kind) for kind in kinds}
        for output in outputs:
            self.equated.append((family(output.type), output.reads))

    def _type(self, node: Node, scopes: Sequence[Scope], ctes: Ctes) -> str:
        """The type of a plain column or constant; '' for anything that is computed from a row.

        Also for a cast of a parameter: that is of the type that the client declares, which may not convert.
        """
        if "ColumnRef" in node:
            return self._column(strings(node["ColumnRef"]["fields"]), scopes).type
        if is_constant(node):
            return constant_type(node)
        if "SubLink" in node and not self.laziness.lazy(node) and node["SubLink"]["subLinkType"] == "EXPR_SUBLINK":
            outputs, outer = self._subquery(node["SubLink"]["subselect"]["SelectStmt"], scopes, ctes)
            return outputs[0][1].type if outputs and not outer else ""
        if "FuncCall" in node and self._is_aggregate(node["FuncCall"]):
            body = node["FuncCall"]
            if strings(body["funcname"])[-1] in ("min", "max") and len(body.get("args", ())) == 1:
                return self._type(body["args"][0], scopes, ctes)
        return ""

    def _uses(self, node: Any, scopes: Sequence[Scope], ctes: Ctes, *, grouped: bool = False) -> frozenset[int]:
        """The tables whose rows an expression is computed from.

        ``grouped``: what aggregates take from their own SELECT is left out, since they come above its scans.
        """
        found: set[int] = set()
        stack: list[tuple[Any, bool]] = [(node, False)]
        while stack:
            item, inside = stack.pop()
            if type(item) is list:
                stack.extend([(child, inside) for child in item])
            elif type(item) is dict:
                for key, value in item.items():
                    if key == "ColumnRef":
                        output = self._column(strings(value["fields"]), scopes, local=not inside)
                        found |= output.reads
                    elif key == "SubLink":
                        outputs, outer = self._subquery(value["subselect"]["SelectStmt"], scopes, ctes)
                        found |= outer | (self.candidates if outputs is None else _all(output for _, output in outputs))
                        stack.append((value.get("testexpr"), inside))
                    elif key == "FuncCall" and self._is_aggregate(value):
                        arguments = value.get("args", [])
                        # min(x) may become the first row of an index where x IS NOT NULL: a condition (planagg.c).
                        computed = [argument for argument in arguments if "ColumnRef" not in argument]
                        if computed and strings(value["funcname"])[-1] in ("min", "max"):
                            self.touched |= self._uses_again(arguments, scopes, ctes, node)
                        stack.append((value, inside or grouped))
                    elif key != "A_Const" and (type(value) is dict or type(value) is list):
                        stack.append((value, inside))
        return frozenset(found)

    def _uses_again(self, arguments: Any, scopes: Sequence[Scope], ctes: Ctes, whole: Any) -> frozenset[int]:
        return self._uses(arguments, scopes, ctes) if arguments is not whole else self.candidates

    def _column(self, fields: tuple[str, ...], scopes: Sequence[Scope], *, local: bool = True) -> Output:
        level, output = find(fields, scopes, self.candidates)
        for outside, used in self.collecting:
            if level < outside:
                used |= output.reads
        return output if local or level < len(scopes) - 1 else NOTHING

    def _is_aggregate(self, call: Node) -> bool:
        """An aggregate of pg_catalog's, and not used as a window function."""
        name = strings(call["funcname"])
        kinds = {function.kind for function in self.case.catalog.functions.get(name[-1], ())}
        return kinds == {"aggregate"} and "over" not in call and name[:-1] in ((), ("pg_catalog",))


def _in_view(scopes: Sequence[Scope]) -> frozenset[int]:
    return frozenset[int]().union(*(item.whole.reads | item.rest for scope in scopes for item in scope))


def _all(outputs: Sequence[Output] | Iterator[Output]) -> frozenset[int]:
    return frozenset[int]().union(*(output.reads for output in outputs))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _bare(item: Node) -> str:
    """The name that an item of ORDER BY or GROUP BY is, without a qualifier; '' when it is anything else."""
    item = item["SortBy"]["node"] if "SortBy" in item else item
    fields = strings(item["ColumnRef"]["fields"]) if "ColumnRef" in item else ()
    return fields[0] if len(fields) == 1 else ""
