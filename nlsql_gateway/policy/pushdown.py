"""Helps ``rewrite``: conditions that may go inside the fence of a row filter, so that indexes work.

PostgreSQL lets a condition of the person's see rows that a policy hides only when it is leakproof: it cannot fail, and
tells nothing of its arguments but by its result (manual, "CREATE FUNCTION", LEAKPROOF; "Row Security Policies"). Here
are the plain ones among them: a column of the table itself compared with a constant or a parameter, by a built-in
operator that pg_proc marks leakproof, one of the terms that a WHERE clause joins by AND. The condition also stays
where it is, so what goes inside can only leave out rows that the WHERE clause leaves out anyway; that holds for the
nullable side of an outer join too, since these operators give NULL for NULL.

A parameter goes inside only when the statement has it once: PostgreSQL gives a parameter without a type the one that
its first use asks for, and inside the fence would come first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nlsql_gateway.policy.case import Read
from nlsql_gateway.policy.grouping import tables_of
from nlsql_gateway.policy.leakproof import written
from nlsql_gateway.policy.literals import string
from nlsql_gateway.sql import Column
from nlsql_gateway.sql.grammar import Node
from nlsql_gateway.sql.quoting import identifier
from nlsql_gateway.sql.survey import Survey, strings

_ORDERS: Final = frozenset({"=", "<", "<=", ">", ">="})
_MIRRORED: Final = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

_INTEGERS: Final = frozenset({"smallint", "integer", "bigint"})
_ORDERED: Final = frozenset({"uuid", "date", "timestamp without time zone", "timestamp with time zone"})
"""Types whose comparisons with a constant of the same type are leakproof, as those of the integers are."""

MOST_VALUES: Final = 100
"""Of an IN list that goes inside: each becomes a comparison of its own, and tokens are limited (sql/limits.py)."""

_TEXTS: Final = ("text", "character varying")
"""Only =: what comes before what is the collation's affair."""


@dataclass(frozen=True, slots=True)
class Parameters:
    numbers: frozenset[int]
    "Of those that the statement has once."
    as_texts: bool
    "Whether = of a text and a parameter can only be pg_catalog's."


def conditions(
    survey: Survey,
    reads: Sequence[Read],
    own_operators: frozenset[str] | None = None,
    declared: Sequence[Node] = (),
) -> Mapping[int, tuple[str, ...]]:
    """For each table with a row filter, by its location: what to add to that filter.

    ``own_operators`` are the catalog's: with an = of their own, or where it is not known, texts are not compared with
    parameters. ``declared`` are the types of a PREPARE's parameters: one of a type that would not do inside, such as
    oid, keeps its comparison outside.
    """
    concerned = filtered(reads)
    found: dict[int, tuple[str, ...]] = {}
    if concerned:
        once = parameters_of(survey, own_operators, declared)
        for select in survey.selects:
            if "whereClause" not in select:
                continue
            locations = list(tables_of(select["fromClause"]))
            by_location = {read.use.location: read for read in reads}
            for location in locations:
                if location in concerned:
                    others = [by_location.get(other) for other in locations if other != location]
                    found[location] = tuple(_conditions(select["whereClause"], concerned[location], others, once))
    return found


def parameters_of(survey: Survey, own_operators: frozenset[str] | None, declared: Sequence[Node]) -> Parameters:
    """Which of the statement's parameters may go inside."""
    strange = {number for number, kind in enumerate(declared, 1) if not _is_usual(kind.get("TypeName", {}))}
    counts = Counter(survey.parameters)
    return Parameters(
        frozenset(number for number, count in counts.items() if count == 1) - strange,
        own_operators is not None and "=" not in own_operators,
    )


def filtered(reads: Sequence[Read]) -> Mapping[int, Read]:
    """Those with a row filter, by their locations; without those whose alias renames columns."""
    return {
        read.use.location: read
        for read in reads
        if read.access is not None and read.access.condition is not None and not read.use.renames
    }


def _conditions(where: Node, read: Read, others: Sequence[Read | None], once: Parameters) -> Iterator[str]:
    assert read.access is not None
    columns = {column.name: column for column, shown in read.access.columns if shown is None}
    called, own = read.use.called, {name for name in columns if all(lacks(other, name) for other in others)}

    def column(node: Node) -> Column | None:
        fields = strings(node["ColumnRef"]["fields"]) if "ColumnRef" in node else ()
        if fields[-2:-1] == (called,) and fields[:-2] in ((), () if read.use.alias else read.key[:1]):
            return columns.get(fields[-1])
        return columns[fields[0]] if len(fields) == 1 and fields[0] in own else None

    yield from restated(terms(where), read, column, once)


def restated(
    conditions: Iterable[Node], read: Read, column: Callable[[Node], Column | None], once: Parameters
) -> Iterator[str]:
    """Those of the ``conditions`` on what ``column`` says is a column of the table, as they may stand inside."""
    for term in conditions:
        expression = term.get("A_Expr", {})
        operator = strings(expression.get("name", []))
        left, right = expression.get("lexpr", {}), expression.get("rexpr", {})
        kind = expression.get("kind")
        if len(operator) != 1:  # none, or one with its schema
            continue
        if kind == "AEXPR_OP" and operator[0] in _ORDERS:
            symbol = operator[0]
            if "ColumnRef" not in left:
                left, right, symbol = right, left, _MIRRORED[symbol]
            text = _compared(read, once, column(left), symbol, [right])
        elif kind == "AEXPR_IN" and operator[0] == "=":
            values = right.get("List", {}).get("items", [])
            text = _compared(read, once, column(left), "=", values, " OR ") if len(values) <= MOST_VALUES else ""
        elif kind == "AEXPR_BETWEEN":
            low, high = right["List"]["items"]
            above = _compared(read, once, column(left), ">=", [low])
            below = _compared(read, once, column(left), "<=", [high])
            text = f"{above} AND {below}" if above and below else ""
        else:
            continue
        if text:
            yield text


def _compared(
    read: Read, once: Parameters, column: Column | None, operator: str, values: Sequence[Node], between: str = ""
) -> str:
    """The comparisons with each of ``values``; empty when one of them may not go inside."""
    if column is None or not values:
        return ""
    shown = [_value(value, column, operator, once) for value in values]
    if "" in shown:
        return ""
    name = f"{identifier(read.use.name)}.{identifier(column.name)} OPERATOR(pg_catalog.{operator})"
    return between.join(f"({name} {value})" if between else f"{name} {value}" for value in shown)


def _value(node: Node, column: Column, operator: str, once: Parameters) -> str:
    """The value as SQL; empty when it is none, or makes a comparison that is not known to be leakproof."""
    kind = column.type.partition("(")[0]
    is_text = kind in _TEXTS and operator == "="
    if kind not in _INTEGERS and kind not in _ORDERED and not is_text:
        return ""
    if "ParamRef" in node:
        number = node["ParamRef"].get("number", 0)
        return _parameter(kind, operator, number, once) if number in once.numbers else ""
    constant = node.get("A_Const", {})
    if "ival" in constant and kind in _INTEGERS:
        return str(constant["ival"].get("ival", 0))
    if "sval" in constant:  # of no type yet: it takes the column's
        return string(constant["sval"].get("sval", ""))
    return ""


def _parameter(kind: str, operator: str, number: int, once: Parameters) -> str:
    """A parameter may be of whatever type the client declares, and that decides which operator it is.

    The smaller integers and uuid convert without fail to all that they can be compared with. bigint does not to oid,
    and a cast of the parameter may fail. COALESCE makes integers bigint, and leaves numeric, floats and oid what they
    are (manual, "UNION, CASE, and Related Constructs"); and there is no + for oid, whatever the rows. A text is
    compared as text, name or bpchar, which it converts to without fail, unless there is another = that could be meant.
    A date may not fit a timestamp: these stay outside.
    """
    if kind in _TEXTS:
        return f"${number}" if once.as_texts else ""
    if kind == "bigint":
        return f"(OPERATOR(pg_catalog.+) COALESCE(NULL::bigint, ${number}))" if operator == "=" else ""
    return f"${number}" if kind in _INTEGERS or kind == "uuid" else ""


def _is_usual(kind: Node) -> bool:
    return written(kind) != "" or strings(kind.get("names", [])) in (("unknown",), ("pg_catalog", "numeric"))


def terms(where: Node) -> Iterator[Node]:
    """What AND joins."""
    expression = where.get("BoolExpr", {})
    if expression.get("boolop") == "AND_EXPR":
        for argument in expression["args"]:
            yield from terms(argument)
    else:
        yield where


def lacks(read: Read | None, name: str) -> bool:
    """Whether no column of it is called so, seen or hidden; False where that is not known."""
    return (
        read is not None
        and read.access is not None
        and read.access.relation.column(name) is None
        and not read.use.renames
    )
