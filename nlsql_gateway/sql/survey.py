"""Survey: everything that a policy must know about one statement's tree, found in one walk.

Which names in FROM are tables and which are CTEs is decided here, as PostgreSQL does it (parse_cte.c, manual 7.8): a
name with a schema is never a CTE; a CTE sees those before it, under RECURSIVE also itself and those behind it; the
query that carries the WITH, and everything inside it, sees them all; inner ones hide outer ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nlsql_gateway.sql.grammar import Node


@dataclass(frozen=True, slots=True)
class RelationUse:
    """One name in a FROM clause (or behind TABLE or COPY)."""

    location: int
    "Byte offset of the name in the text that was parsed."
    catalog: str
    schema: str
    "'' when not written; then it may be a CTE."
    name: str
    alias: str
    "'' without one."
    renames: bool
    "The alias has a list of column names."
    only: bool
    sampled: bool
    cte: bool

    @property
    def called(self) -> str:
        """What the rest of the query calls it."""
        return self.alias or self.name

    @property
    def written(self) -> str:
        return ".".join(part for part in (self.catalog, self.schema, self.name) if part)


@dataclass(frozen=True, slots=True)
class FunctionUse:
    location: int
    schema: str
    "'' when not written."
    name: str
    arguments: tuple[Node, ...]

    @property
    def written(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True)
class ColumnUse:
    location: int
    fields: tuple[str, ...]
    "As written: (column,), (table, column), (schema, table, column); a star is '*'."


@dataclass(frozen=True, slots=True)
class Cast:
    location: int
    type: tuple[str, ...]
    constant: str | None
    "The string constant that is cast; None for anything else."


@dataclass(frozen=True, slots=True)
class Survey:
    keys: frozenset[str]
    "The names of all nodes and of all their fields."
    relations: tuple[RelationUse, ...]
    functions: tuple[FunctionUse, ...]
    columns: tuple[ColumnUse, ...]
    attributes: frozenset[str]
    "Names behind a dot after an expression: (c).email."
    operators: frozenset[tuple[str, ...]]
    "Symbols, with their schema where written."
    casts: tuple[Cast, ...]
    methods: frozenset[tuple[str, ...]]
    "Of TABLESAMPLE."
    using: frozenset[str]
    "Columns of JOIN … USING."
    natural: bool
    "There is a NATURAL JOIN."
    selects: tuple[Node, ...]
    "The contents of every SELECT that has a FROM clause."
    parameters: tuple[int, ...]
    "The number of each parameter, as often as it is mentioned."

    @property
    def tables(self) -> tuple[RelationUse, ...]:
        """The relations that are no CTEs."""
        return tuple(use for use in self.relations if not use.cte)


def survey(node: Node) -> Survey:
    """The survey of a statement's node and everything in it."""
    walk = _Walk()
    walk.run(node)
    return Survey(
        keys=frozenset(walk.keys),
        relations=tuple(sorted(walk.relations, key=_location)),
        functions=tuple(sorted(walk.functions, key=_location)),
        columns=tuple(sorted(walk.columns, key=_location)),
        attributes=frozenset(walk.attributes),
        operators=frozenset(walk.operators),
        casts=tuple(sorted(walk.casts, key=_location)),
        methods=frozenset(walk.methods),
        using=frozenset(walk.using),
        natural=walk.natural,
        selects=tuple(walk.selects),
        parameters=tuple(walk.parameters),
    )


def tables(node: Node) -> list[tuple[str, str]]:
    """Schema (or '') and name of each of the survey's ``tables``, in no order: all that is wanted of a text of ours."""
    found: list[tuple[str, str]] = []
    stack: list[tuple[Node, _Names]] = [(node, frozenset())]
    while stack:
        item, names = stack.pop()
        if "withClause" in item:
            clause = item["withClause"]
            everything = names | {cte["CommonTableExpr"]["ctename"] for cte in clause["ctes"]}
            seen = everything if clause.get("recursive") else names
            for cte in clause["ctes"]:
                stack.append((cte, seen))
                seen |= {cte["CommonTableExpr"]["ctename"]}
            names = everything
        if "relname" in item:
            schema = item.get("schemaname", "")
            if schema or item["relname"] not in names:
                found.append((schema, item["relname"]))
        for key, value in item.items():
            if type(value) is dict:
                if key not in _LEAVES:
                    stack.append((value, names))
            elif type(value) is list and key not in _NAMES:
                stack.extend([(child, names) for child in value if type(child) is dict and "ColumnRef" not in child])
    return found


_LEAVES: Final = frozenset({"withClause", "ColumnRef", "A_Const", "alias"})
"""Nodes without tables; the WITH clause is read by itself."""

_NAMES: Final = frozenset({"funcname", "name", "names"})
"""Lists of strings."""


def strings(nodes: list[Node]) -> tuple[str, ...]:
    """The values of a list of String nodes; a star is '*', anything else is left out."""
    return tuple(
        [
            node["String"].get("sval", "") if "String" in node else "*"
            for node in nodes
            if "String" in node or "A_Star" in node
        ]
    )


def constant(node: Mapping[str, Any]) -> str | None:
    """The string that ``node`` is a constant of, casts of it included; None for anything else."""
    while "TypeCast" in node:
        node = node["TypeCast"]["arg"]
    value = node.get("A_Const", {})
    return value["sval"].get("sval", "") if "sval" in value else None


_TEXTS = (("text",), ("pg_catalog", "text"), ("varchar",), ("pg_catalog", "varchar"))


def plain_constant(node: Mapping[str, Any]) -> str | None:
    """The string that ``node`` is a constant of, with no cast but to text: ``'0001'::varchar(1)`` is another string."""
    while "TypeCast" in node:
        name = node["TypeCast"]["typeName"]
        if strings(name.get("names", [])) not in _TEXTS or "typmods" in name or "arrayBounds" in name:
            return None
        node = node["TypeCast"]["arg"]
    return constant(node)


def _location(use: RelationUse | FunctionUse | ColumnUse | Cast) -> int:
    return use.location


_Names = frozenset[str]


class _Walk:
    """An explicit stack, not recursion: the tree may be some hundred levels deep."""

    __slots__ = (
        *("attributes", "casts", "columns", "functions", "keys", "methods", "natural", "operators", "parameters"),
        *("relations", "selects", "stack", "using"),
    )

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.relations: list[RelationUse] = []
        self.functions: list[FunctionUse] = []
        self.columns: list[ColumnUse] = []
        self.attributes: set[str] = set()
        self.operators: set[tuple[str, ...]] = set()
        self.casts: list[Cast] = []
        self.methods: set[tuple[str, ...]] = set()
        self.using: set[str] = set()
        self.natural = False
        self.selects: list[Node] = []
        self.parameters: list[int] = []
        self.stack: list[tuple[Any, _Names, bool]] = []
        "(node, names of the CTEs in sight, stands under TABLESAMPLE)"

    def run(self, node: Node) -> None:
        stack = self.stack
        keys = self.keys
        stack.append((node, frozenset(), False))
        while stack:
            item, names, sampled = stack.pop()
            keys.update(item)
            if "withClause" in item:
                names = self._with(item["withClause"], names)
            for key, value in item.items():
                kind = type(value)
                if key == "ColumnRef":
                    self._column(value)
                    continue
                if key == "A_Const":  # a leaf too: one value, if any, of one field, if any
                    self._fields(value)
                    continue
                if key in _NOTED:
                    self._note(key, item, value, names, sampled)
                if kind is dict:
                    if key != "withClause":
                        stack.append((value, names, key in _SAMPLED and ("method" in item or sampled)))
                elif kind is list:
                    for child in value:
                        if type(child) is dict:
                            if "String" in child:  # and nothing else: a node has one key
                                self._fields(child)
                            else:
                                stack.append((child, names, False))

    def _column(self, value: Node) -> None:
        """A leaf, and the most frequent node: its names are strings and stars only (gram.y: columnref)."""
        self.keys.update(value)
        for node in value["fields"]:
            self._fields(node)
        self.columns.append(ColumnUse(value.get("location", 0), strings(value["fields"])))

    def _fields(self, node: Node) -> None:
        """The keys of a node whose bodies hold no nodes."""
        self.keys.update(node)
        for body in node.values():
            if type(body) is dict:
                self.keys.update(body)

    def _with(self, clause: Node, names: _Names) -> _Names:
        """Put the CTEs' queries on the stack with what each sees; what the query that carries them sees."""
        self.keys.update(clause)
        ctes = [item["CommonTableExpr"] for item in clause["ctes"]]
        everything = names | {cte["ctename"] for cte in ctes}
        seen = everything if clause.get("recursive") else names
        for item, cte in zip(clause["ctes"], ctes, strict=True):
            self.stack.append((item, seen, False))
            seen |= {cte["ctename"]}
        return everything

    def _note(self, key: str, item: Node, value: Any, names: _Names, sampled: bool) -> None:
        location: int = item.get("location", 0)
        if key == "relname":
            alias = item.get("alias", {})
            schema = item.get("schemaname", "")
            self.relations.append(
                RelationUse(
                    location=location,
                    catalog=item.get("catalogname", ""),
                    schema=schema,
                    name=value,
                    alias=alias.get("aliasname", ""),
                    renames=bool(alias.get("colnames")),
                    only=not item.get("inh", False),
                    sampled=sampled,
                    cte=not schema and value in names,
                )
            )
        elif key == "funcname":
            name = strings(value)
            self.functions.append(FunctionUse(location, ".".join(name[:-1]), name[-1], tuple(item.get("args", ()))))
        elif key == "indirection":
            self.attributes.update(strings(value))
        elif key in _OPERATORS:
            if type(value) is list:  # A_Expr.name; the name of a ResTarget is a string
                self.operators.add(strings(value))
        elif key == "typeName" and type(value) is dict:  # a list of names in ALTER TYPE and ALTER DOMAIN
            kind = strings(value.get("names", []))
            self.casts.append(Cast(location, kind, constant(item["arg"]) if "arg" in item else None))
        elif key == "method":
            if type(value) is list:
                self.methods.add(strings(value))
        elif key == "usingClause":
            self.using.update(strings(value))
        elif key == "isNatural":
            self.natural = self.natural or bool(value)
        elif key == "fromClause":
            self.selects.append(item)
        elif key == "ParamRef":
            self.parameters.append(value.get("number", 0))


_OPERATORS = frozenset({"name", "operName", "useOp"})
_NOTED = _OPERATORS | {
    *("relname", "funcname", "indirection", "typeName", "method", "usingClause", "isNatural"),
    *("fromClause", "ParamRef"),
}
_SAMPLED = frozenset({"relation", "RangeVar"})
