"""The nodes of the grammar that may stand in a statement: an allowlist, so that what nobody thought of is refused.

``ALLOWED_KEYS`` has the names of these nodes and of their fields, as libpg_query's JSON tree spells them; ``survey``
collects all that occur in a statement. Left out on purpose: IntoClause (SELECT INTO), LockingClause (FOR UPDATE),
InsertStmt and its like (data-changing WITH), CurrentOfExpr, SetToDefault, and everything of DDL.
"""

from __future__ import annotations

from nlsql_gateway.sql.grammar import fields_of

_STATEMENTS = """
    SelectStmt ExplainStmt VariableShowStmt VariableSetStmt TransactionStmt DeclareCursorStmt FetchStmt ClosePortalStmt
    PrepareStmt ExecuteStmt DeallocateStmt DiscardStmt UnlistenStmt CopyStmt DefElem
"""
_VALUES = "Integer Float Boolean String BitString List A_Const ParamRef SQLValueFunction TypeName"
_QUERIES = """
    ResTarget RangeVar Alias RangeSubselect RangeFunction RangeTableFunc RangeTableFuncCol RangeTableSample JoinExpr
    ColumnDef WithClause CommonTableExpr CTESearchClause CTECycleClause SortBy WindowDef GroupingSet GroupingFunc
"""
_EXPRESSIONS = """
    ColumnRef A_Star A_Expr BoolExpr NullTest BooleanTest CaseExpr CaseWhen CoalesceExpr MinMaxExpr FuncCall
    NamedArgExpr TypeCast CollateClause SubLink A_ArrayExpr A_Indirection A_Indices RowExpr
    XmlExpr XmlSerialize JsonFormat JsonReturning JsonValueExpr JsonOutput JsonArgument JsonBehavior JsonFuncExpr
    JsonIsPredicate JsonKeyValue JsonParseExpr JsonScalarExpr JsonSerializeExpr JsonObjectConstructor
    JsonArrayConstructor JsonArrayQueryConstructor JsonAggConstructor JsonObjectAgg JsonArrayAgg
    JsonTable JsonTableColumn JsonTablePathSpec
"""
_REFUSED_FIELDS = frozenset({"intoClause", "lockingClause", "pct_type", "is_from", "is_program", "filename"})

_NODES = frozenset(f"{_STATEMENTS} {_VALUES} {_QUERIES} {_EXPRESSIONS}".split())

ALLOWED_KEYS = (_NODES | {field for node in _NODES for field in fields_of(node)}) - _REFUSED_FIELDS

WRITES = {
    "intoClause": "SELECT INTO",
    "lockingClause": "FOR UPDATE and FOR SHARE",
    "InsertStmt": "INSERT in a WITH clause",
    "UpdateStmt": "UPDATE in a WITH clause",
    "DeleteStmt": "DELETE in a WITH clause",
    "MergeStmt": "MERGE in a WITH clause",
}
"""Refused parts that write or lock, and what to call them."""


def strange(keys: frozenset[str]) -> str:
    """The names of nodes that are not allowed among ``keys``, for a message; '' when all are."""
    found = sorted(keys - ALLOWED_KEYS)
    return ", ".join([key for key in found if key[0].isupper()] or found)


OPERATORS = frozenset(
    """!! !~ !~* !~~ !~~* # ## #- #> #>> % & && &< &<| &> * *< *<= *<> *= *> *>= + - -> ->> -|- / < <-> << <<= <<| <=
    <> <@ <^ = > >= >> >>= >^ ? ?# ?& ?- ?-| ?| ?|| @ @-@ @> @? @@ @@@ ^ ^@ | |&> |/ |>> || ||/ ~ ~* ~<=~ ~<~ ~=
    ~>=~ ~>~ ~~ ~~* != BETWEEN""".split()  # noqa: SIM905 - a table to be read
) | {"NOT BETWEEN", "BETWEEN SYMMETRIC", "NOT BETWEEN SYMMETRIC"}
"""The symbols of PostgreSQL 18's pg_operator, none of which calls a volatile function, and the parser's own names."""

SAMPLING_METHODS = frozenset({"bernoulli", "system"})
