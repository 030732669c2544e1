"""The JSON Schema of a record (https://json-schema.org), from the fields of ``record.py`` and the texts below them."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

VERSION: Final = 1
"""Of what a record is made of. A record of another version has a member ``version``; one without is of version 1."""

_DIGEST: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_CHAIN: Final[dict[str, dict[str, Any]]] = {
    "seq": {"type": "integer", "minimum": 1, "description": "1, 2, 3 … in one log."},
    "prev": {**_DIGEST, "description": "The hash of the record before; 64 zeros in the first."},
    "hash": {**_DIGEST, "description": "SHA-256 over the line without this member."},
}
_KINDS: Final = {
    "DecisionRecord": "decision",
    "ExecutionRecord": "execution",
    "OutcomeRecord": "outcome",
    "RepairedRecord": "repaired",
}
_TYPES: Final[dict[str, dict[str, Any]]] = {
    "str": {"type": "string"},
    "str | None": {"type": ["string", "null"]},
    "int": {"type": "integer"},
    "int | None": {"type": ["integer", "null"]},
    "float": {"type": "number"},
    "float | None": {"type": ["number", "null"]},
    "bool": {"type": "boolean"},
    "tuple[str, ...]": {"type": "array", "items": {"type": "string"}},
    "tuple[str | None, ...]": {"type": "array", "items": {"type": ["string", "null"]}},
    "Time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"},
}


def schema() -> str:
    # The source, for a compiled class has no annotations.
    module = ast.parse(Path(__file__).with_name("record.py").read_text("utf-8"))
    classes = {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}
    found = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"record of nlsql-gateway's audit log, version {VERSION}",
        "description": "One line. Each kind has its own members, and those of the chain.",
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in _KINDS.values()],
        "$defs": {kind: _kind(kind, dict(_members(classes[name], classes))) for name, kind in _KINDS.items()},
    }
    return json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _kind(kind: str, members: dict[str, dict[str, Any]]) -> dict[str, Any]:
    properties = {"kind": {"const": kind}, **_CHAIN, **members}
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


def _members(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A field whose type is another class stands for that class's fields."""
    for field, below in zip(node.body, [*node.body[1:], None], strict=True):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        name = ast.unparse(field.annotation)
        if name in classes:
            yield from _members(classes[name], classes)
        else:
            yield field.target.id, {**_type(field.annotation), "description": _text(below)}


def _type(annotation: ast.expr) -> dict[str, Any]:
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Literal":
        return {"enum": list(ast.literal_eval(annotation.slice))}
    return _TYPES[ast.unparse(annotation)]


def _text(below: ast.stmt | None) -> str:
    assert isinstance(below, ast.Expr)
    text = ast.literal_eval(below.value)
    assert isinstance(text, str)
    return text
