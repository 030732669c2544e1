"""Prompts: one template per model family (pure).

The schema comes first and the question last wherever the model's format allows it, so that all questions of one person
share a prefix that the server keeps. Short on purpose: with rules, examples and sample values in the prompt, the small
default model answered fewer questions and copied the examples into its answers.

- ``chatml``: the chat format of Qwen2.5 and others (``<|im_start|>role``). The answer's code fence is opened for the
  model, so that it starts with SQL.
- ``sqlcoder``: the format that defog/sqlcoder-7b-2 was tuned on, as its model card gives it: the question first, then
  the schema, then the question again with ``[QUESTION]`` tags. A question first defeats the cached prefix; a tuned
  model's own format is worth more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from nlsql_gateway.ask.dates import say_dates
from nlsql_gateway.ask.followups import Topic
from nlsql_gateway.sql.catalog import Catalog, Column, Relation
from nlsql_gateway.sql.names import quote

Family = Literal["chatml", "sqlcoder"]

REFUSAL = "UNANSWERABLE"
"""What the model is told to say, in place of SQL, when the tables do not hold the answer.

The small default model hardly ever does (for 1 of 60 such questions), larger ones do. Said in the system turn it cost
no right answer; said beside the question it cost a tenth of them.
"""

MAX_COMMENT = 200
"""Characters of one comment that go into the prompt."""


@dataclass(frozen=True, slots=True)
class Prompt:
    text: str
    stop: tuple[str, ...]
    "Where the model must end."


@dataclass(frozen=True, slots=True)
class Attempt:
    """An answer that did not pass, for the repair turn."""

    sql: str
    error: str


def family(configured: Literal["auto", "chatml", "sqlcoder"], model: str) -> Family:
    """The template for ``model``: as configured, or by its name."""
    if configured != "auto":
        return configured
    return "sqlcoder" if "sqlcoder" in model.lower() else "chatml"


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
    tables += "".join(f"\n-- {_harmless(note)}" for note in notes)
    if before is not None:
        before = replace(before, question=_harmless(say_dates(before.question, today)), sql=_harmless(before.sql))
    return _WRITERS[family](tables, _harmless(say_dates(question, today)), failed, before)


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
        lines.append(line + ("," if number < len(relation.columns) else "") + _remark(column.comment))
    return "\n".join((*lines, ");"))


def cost(text: str) -> int:
    """About how many tokens ``text`` takes, rather too many: names and SQL take three to four characters each."""
    return len(text) // 3 + 1


def _chatml(tables: str, question: str, failed: Attempt | None, before: Topic | None) -> Prompt:
    first = question if before is None else before.question
    turns = [
        ("system", f"You write PostgreSQL queries, or {REFUSAL} if the tables do not hold the answer."),
        (
            "user",
            f"{tables}\n\nWrite one PostgreSQL SELECT statement that answers the question.\nQuestion: {first}",
        ),
    ]
    if before is not None:
        turns.append(("assistant", f"```sql\n{before.sql}\n```"))
        turns.append(("user", f"Change the statement so that it answers this.\nQuestion: {question}"))
    if failed is not None:
        turns.append(("assistant", f"```sql\n{_harmless(failed.sql)}\n```"))
        turns.append(("user", f"Error: {_harmless(failed.error)}\nWrite the statement again without this error."))
    text = "".join(f"<|im_start|>{role}\n{words}<|im_end|>\n" for role, words in turns)
    return Prompt(f"{text}<|im_start|>assistant\n```sql\n", ("```", "<|im_end|>"))


def _sqlcoder(tables: str, question: str, failed: Attempt | None, before: Topic | None) -> Prompt:
    instructions = "- If you cannot answer the question with the available database schema, return 'I do not know'"
    if before is not None:
        instructions += f"\n- The question goes on from this one: {before.question}\n- Its query was: {before.sql}"
    if failed is not None:
        instructions += f"\n- This query is wrong: {_harmless(failed.sql)}\n- Its error is: {_harmless(failed.error)}"
    return Prompt(
        f"### Task\nGenerate a SQL query to answer [QUESTION]{question}[/QUESTION]\n\n"
        f"### Instructions\n{instructions}\n\n"
        f"### Database Schema\nThe query will run on a database with the following schema:\n{tables}\n\n"
        "### Answer\nGiven the database schema, here is the SQL query that answers "
        f"[QUESTION]{question}[/QUESTION]\n[SQL]\n",
        ("[/SQL]", "```", "###"),
    )


_WRITERS: Mapping[Family, Callable[[str, str, Attempt | None, Topic | None], Prompt]] = {
    "chatml": _chatml,
    "sqlcoder": _sqlcoder,
}


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
    line = " ".join(_harmless(text).split())
    return f" -- {line[:MAX_COMMENT]}" if line else ""


def _harmless(text: str) -> str:
    """Without the marks that end a turn, a fence or a tag: they would let a question speak for the model."""
    return _MARKS.sub(" ", text)


_MARKS = re.compile(r"<\|[^|<>]{1,40}\|>|```|\[/?(?:QUESTION|SQL)\]|^###", re.MULTILINE)
