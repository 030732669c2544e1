"""A verified question put into the text of a semantics file; every other byte of it stays (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import indent
from typing import Any

import yaml

from nlsql_gateway.errors import ConfigError

Entry = Mapping[str, Any]
"""The keys of one question, in the order in which they are to stand."""


def added(text: str, database: str, entry: Entry, source: str) -> str:
    """``text`` with ``entry`` behind the questions of ``database``; an empty text becomes a whole file.

    Raises ConfigError, with the lines to write by hand, when ``source`` is not written in block style.
    """
    if not text.strip():
        return f"version: 1\ndatabases:\n{_database(database, entry, 2)}"
    before = yaml.safe_load(text)
    after = _inserted(text, database, entry)
    wanted = {**before, "databases": dict(before["databases"])}
    there = wanted["databases"].get(database) or {}
    wanted["databases"][database] = {**there, "questions": [*(there.get("questions") or []), dict(entry)]}
    if after is None or yaml.safe_load(after) != wanted:
        raise ConfigError(
            f"{source}: written in a form that is not added to",
            hint=f"write under databases: {database}: questions: yourself",
            detail="\n" + _dumped([dict(entry)]),
        )
    return after


def _inserted(text: str, database: str, entry: Entry) -> str | None:
    databases = _child(yaml.compose(text, yaml.SafeLoader), "databases")
    if databases is None:
        return None
    if (known := _child(databases, database)) is None:
        return _put(text, databases, _database(database, entry, databases.start_mark.column))
    questions = _child(known, "questions")
    if questions is None:
        return _put(text, known, _questions(entry, known.start_mark.column))
    return _put(text, questions, indent(_dumped([dict(entry)]), " " * questions.start_mark.column))


def _database(database: str, entry: Entry, column: int) -> str:
    name = _dumped({database: None}).removesuffix(" null\n")
    return indent(f"{name}\n", " " * column) + _questions(entry, column + 2)


def _questions(entry: Entry, column: int) -> str:
    return indent("questions:\n" + indent(_dumped([dict(entry)]), "  "), " " * column)


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _put(text: str, node: yaml.Node, block: str) -> str | None:
    """``block`` behind the last line of ``node``; None for what is not in block style."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return None
    last: yaml.Node = node
    while isinstance(last, yaml.CollectionNode) and not last.flow_style and last.value:
        last = last.value[-1][1] if isinstance(last, yaml.MappingNode) else last.value[-1]
    at = last.end_mark.index
    if last.end_mark.column:
        end = text.find("\n", at)
        at = len(text) if end < 0 else end + 1
    head = text[:at] if text[:at].endswith("\n") else f"{text[:at]}\n"
    return head + block + text[at:]


class _Dumper(yaml.SafeDumper):
    """SQL of several lines stays so."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:  # noqa: ARG002 - PyYAML's own
        return super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def _dumped(value: object) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
