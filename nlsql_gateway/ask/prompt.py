"""Prompts: one template per model family (pure).

The schema comes first and the question last wherever the model's format allows it, so that all questions of one person
share a prefix that the server keeps. Short on purpose: with rules, examples and sample values in the prompt, the small
default model answered fewer questions and copied the examples into its answers.

The families' templates are in ``templates.py``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from nlsql_gateway.ask.dates import say_dates
from nlsql_gateway.ask.followups import Topic
from nlsql_gateway.ask.templates import WRITERS, Attempt, Choice, Family, Prompt, family, harmless
from nlsql_gateway.sql.catalog import Catalog, Column, Relation
from nlsql_gateway.sql.names import quote

__all__ = ["Attempt", "Choice", "Prompt", "cost", "describe", "family", "write"]

MAX_COMMENT = 200
"""Characters of one comment that go into the prompt."""
MAX_VALUES = 12
"""More values than these of an enumeration, or of a CHECK, are left out."""


def write(
    family: Family,
    question: str,
    relations: Sequence[Relation],
    schema: Catalog,
    *,
    today: date,
    failed: Attempt | None = None,
    notes: Sequence[str] = (),
    before: Topic | None = None,
) -> Prompt:
    """The prompt for ``question`` over ``relations``, which are some or all of those of ``schema``.

    ``failed`` is the last attempt, if any: then the model is asked to mend it. ``notes`` are lines about the question's
    words; they stand behind the schema, which many questions share.
    ``before`` is what the question goes on from.
    """
    tables = "\n".join(describe(relation, schema) for relation in relations)
    tables += "".join(f"\n-- {harmless(note)}" for note in notes)
    if before is not None:
        before = replace(before, question=harmless(say_dates(before.question, today)), sql=harmless(before.sql))
    return WRITERS[family](tables, harmless(say_dates(question, today)), failed, before)


def describe(relation: Relation, schema: Catalog) -> str:
    """The relation as the CREATE TABLE that models know best, comments behind the lines they belong to."""
    references = {key.columns[0]: key for key in relation.foreign_keys if len(key.columns) == 1}
    lines = [f"CREATE TABLE {_name(relation.key, schema)} ({_remark(relation.comment)}"]
    for number, column in enumerate(relation.columns, start=1):
        line = f"  {quote(column.name)} {_type(column)}"
        if relation.primary_key == (column.name,):
            line += " PRIMARY KEY"
        reference = references.get(column.name)
        if reference is not None and reference.target in schema.relations:
            line += f" REFERENCES {_name(reference.target, schema)}({quote(reference.target_columns[0])})"
        remark = column.comment
        if len(column.values) <= MAX_VALUES and not all(value in remark for value in column.values):
            remark = ": ".join(filter(None, (remark, ", ".join(column.values))))
        lines.append(line + ("," if number < len(relation.columns) else "") + _remark(remark))
    return "\n".join((*lines, ");"))


def cost(text: str) -> int:
    """About how many tokens ``text`` takes, rather too many: names and SQL take three to four characters each."""
    return len(text) // 3 + 1


def _name(key: tuple[str, str], schema: Catalog) -> str:
    found = schema.resolve(None, key[1])
    bare = found is not None and found.key == key
    return quote(key[1]) if bare else f"{quote(key[0])}.{quote(key[1])}"


def _type(column: Column) -> str:
    """Short names, and no lengths or precisions: they are tokens that never change an answer."""
    plain = re.sub(r" ?\([^)]*\)", "", column.type)
    return _SHORT.get(plain, plain)


_SHORT = {
    "character varying": "text",
    "character": "text",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "double precision": "float",
}


def _remark(text: str) -> str:
    line = " ".join(harmless(text).split())
    return f" -- {line[:MAX_COMMENT]}" if line else ""
