"""``ask('…')`` as a table function: it exists in the gateway only (pure). docs/asking.md, "Inside SQL".

``calls`` finds it in a statement's tree; ``replaced`` puts a query in the place of each call. Only bytes of the call
itself change: the client's alias, if any, stays behind it, and a query stands in parentheses of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nlsql_gateway.errors import LimitError, StatementError
from nlsql_gateway.sql.grammar import Node
from nlsql_gateway.sql.quoting import identifier
from nlsql_gateway.sql.statement import Batch, Statement, classify
from nlsql_gateway.sql.survey import plain_constant, strings, survey

NAME: Final = "ask"

_POSSIBLE: Final = re.compile(r"\bask\"?\s*\(", re.IGNORECASE | re.ASCII)
_HINT: Final = "write FROM ask('the question in words')"


@dataclass(frozen=True, slots=True)
class Call:
    start: int
    "Byte offsets in the batch's text, from the name to behind the closing parenthesis."
    end: int
    words: str
    "The question; empty where a parameter holds it."
    parameter: int = 0
    "Its number, from 1; 0: the question stands in the text."
    has_alias: bool = False


def possible(text: str) -> bool:
    """Whether there may be a call in ``text``, as people and tools write it; others are left to the policy."""
    return _POSSIBLE.search(text) is not None


def calls(batch: Batch) -> tuple[Call, ...]:
    """All calls in all statements, in the order of the text. Raises StatementError for one in a form that is none."""
    found = [call for statement in batch.statements for call in _of(statement, batch.text)]
    return tuple(sorted(found, key=lambda call: call.start))


def replaced(batch: Batch, queries: Sequence[tuple[Call, str]]) -> str:
    """``batch.text`` with a query in the place of each call. Raises StatementError: one of them is not one SELECT.

    The queries are untrusted text: each is read by itself first, so that it cannot end its parentheses.
    """
    source = batch.text.encode()
    parts: list[bytes] = []
    at = 0
    for call, query in queries:
        text = f"({_alone(query)})" + ("" if call.has_alias else f" AS {NAME}")
        follows = source[call.end : call.end + 1].isalnum() or source[call.end : call.end + 1] in (b'"', b"_")
        parts += [source[at : call.start], text.encode(), b" " if follows else b""]
        at = call.end
    whole = b"".join([*parts, source[at:]]).decode()
    read = classify(whole)
    if not isinstance(read, Batch) or [one.kind for one in read.statements] != [one.kind for one in batch.statements]:
        raise StatementError("the answer does not fit into the statement", hint=_HINT, sqlstate="0A000")
    return whole


def parameters(text: str) -> frozenset[int]:
    """The numbers of the parameters that hold questions; none, for a text that cannot be read or has no call."""
    if not possible(text):
        return frozenset()
    try:
        read = classify(text)
        found = calls(read) if isinstance(read, Batch) else ()
    except (StatementError, LimitError):
        return frozenset()
    return frozenset(call.parameter for call in found if call.parameter)


def bound(text: str, values: Sequence[str | None]) -> str:
    """``text`` with each such parameter's value, a question, as a constant. Raises StatementError."""
    read = classify(text)
    assert isinstance(read, Batch), "it has a call"
    source = text.encode()
    parts: list[bytes] = []
    at = 0
    for call in calls(read):
        if call.parameter:
            value = values[call.parameter - 1] if call.parameter <= len(values) else None
            if value is None:
                raise StatementError("the question is null", hint=_HINT, sqlstate="22004")
            if "\0" in value:
                raise StatementError("the question holds a NUL character", hint=_HINT, sqlstate="22021")
            constant = "'" + value.replace("'", "''") + "'"  # standard_conforming_strings is pinned on
            parts += [source[at : call.start], f"{NAME}({constant})".encode()]
            at = call.end
    return b"".join([*parts, source[at:]]).decode()


def _alone(query: str) -> str:
    """One SELECT without semicolon and comments around it, its columns named apart."""
    read = classify(query)
    if not isinstance(read, Batch) or len(read.statements) != 1 or "SelectStmt" not in read.statements[0].node:
        raise StatementError("the answer is not one SELECT statement", sqlstate="0A000")
    (statement,) = read.statements
    if survey(statement.node).parameters:
        raise StatementError("the answer has parameters", sqlstate="0A000")
    names = _names(statement.node["SelectStmt"])
    if names is None or len(set(names)) == len(names):
        return statement.text
    apart = ", ".join(identifier(name) for name in _apart(names))
    return f"SELECT * FROM ({statement.text}) AS {NAME}({apart})"


def _apart(names: Sequence[str]) -> Iterator[str]:
    """Later ones of the same name are numbered: a query around them could not name them otherwise."""
    taken = set(names)
    seen: set[str] = set()
    for name in names:
        number, fresh = 2, name
        if name in seen:
            while (fresh := f"{name}_{number}") in taken:
                number += 1
            taken.add(fresh)
        seen.add(name)
        yield fresh


def _names(select: Node) -> list[str] | None:
    """What PostgreSQL calls the columns (parse_target.c, FigureColname); None: a star is among them, or VALUES."""
    while "larg" in select:
        select = select["larg"]
    if "targetList" not in select:
        return None
    names = []
    for target in select["targetList"]:
        name = target["ResTarget"].get("name") or _name(target["ResTarget"].get("val", {}))
        if name == "*":
            return None
        names.append(name or "?column?")
    return names


_WORDS: Final = {"CoalesceExpr": "coalesce", "A_ArrayExpr": "array", "RowExpr": "row", "XmlSerialize": "xmlserialize"}


def _name(node: Node) -> str:
    ((tag, body),) = node.items() if node else (("", {}),)
    if tag == "ColumnRef":
        return strings(body["fields"])[-1]
    if tag == "FuncCall":
        return strings(body["funcname"])[-1]
    if tag == "TypeCast":
        return _name(body["arg"]) or strings(body["typeName"].get("names", []))[-1]
    if tag == "CaseExpr":
        return _name(body.get("defresult", {})) or "case"
    if tag == "MinMaxExpr":
        return "least" if body.get("op") == "IS_LEAST" else "greatest"
    if tag == "A_Expr" and body.get("kind") == "AEXPR_NULLIF":
        return "nullif"
    if tag == "SubLink" and body["subLinkType"] == "EXPR_SUBLINK":
        return (_names(body["subselect"]["SelectStmt"]) or [""])[0]
    if tag == "SubLink" and body["subLinkType"] in ("EXISTS_SUBLINK", "ARRAY_SUBLINK"):
        return "exists" if body["subLinkType"] == "EXISTS_SUBLINK" else "array"
    return _WORDS.get(tag, "")


def _of(statement: Statement, text: str) -> Iterator[Call]:
    inside: set[int] = set()
    for key, body in _nodes(statement.node):
        if key == "RangeFunction":
            call = _ask_in(body)
            if call is not None:
                inside.add(id(call))
                yield _call(call, body, statement, text)
    for key, body in _nodes(statement.node):
        if key == "FuncCall" and id(body) not in inside and strings(body["funcname"]) == (NAME,):
            raise _fault("ask() stands in FROM only", body, text)


def _ask_in(body: Node) -> Node | None:
    """The call, when it is the only function of a FROM item."""
    functions = body.get("functions", [])
    if len(functions) != 1:
        return None
    call: Node | None = functions[0]["List"]["items"][0].get("FuncCall")
    return call if call is not None and strings(call["funcname"]) == (NAME,) else None


def _call(call: Node, body: Node, statement: Statement, text: str) -> Call:
    arguments = call.get("args", [])
    plain = not call.keys() - {"funcname", "args", "funcformat", "location"}
    if len(arguments) != 1 or not plain:
        raise _fault("ask() takes one argument: the question", call, text)
    for key, what in (("lateral", "LATERAL"), ("ordinality", "WITH ORDINALITY"), ("is_rowsfrom", "ROWS FROM")):
        if body.get(key):
            raise _fault(f"ask() cannot stand with {what}", call, text)
    if "coldeflist" in body:
        raise _fault("ask() takes no column definitions", call, text, "its columns are those of the answer")
    words, parameter = plain_constant(arguments[0]), _parameter(arguments[0])
    if words is None and not parameter:
        raise _fault("the question of ask() must be one string constant", call, text)
    if words is not None and not words.strip():
        raise _fault("the question is empty", call, text)
    start, end = _place(statement, call.get("location", 0))
    return Call(start, end, words or "", parameter, "alias" in body)


def _parameter(node: Node) -> int:
    """``$1``, ``$1::text``, ``CAST($1 AS varchar)``: 1."""
    while "TypeCast" in node:
        name = node["TypeCast"]["typeName"]
        if strings(name.get("names", []))[-1:] not in (("text",), ("varchar",)) or "typmods" in name:
            return 0
        node = node["TypeCast"]["arg"]
    return int(node["ParamRef"].get("number", 0)) if "ParamRef" in node else 0


def _place(statement: Statement, start: int) -> tuple[int, int]:
    tokens = [token for token in statement.words if token.start >= start]
    depth = 0
    for token in tokens:
        depth += (token.code == ord("(")) - (token.code == ord(")"))
        if depth == 0 and token.code == ord(")"):
            return start, token.end
    raise AssertionError("the parser accepted unbalanced parentheses")


def _fault(message: str, call: Node, text: str, hint: str = _HINT) -> StatementError:
    before = text.encode()[: call.get("location", 0)].decode(errors="replace")
    return StatementError(message, hint=hint, sqlstate="0A000", position=len(before) + 1)


def _nodes(tree: Any) -> Iterator[tuple[str, Any]]:
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, dict):
            for key, value in item.items():
                if isinstance(value, dict | list):
                    yield key, value
                    stack.append(value)
