"""The model families' prompts (pure): schema and question in, text and stops out.

- ``chatml``: the chat format of Qwen2.5 and others (``<|im_start|>role``). The answer's code fence is opened for the
  model, so that it starts with SQL.
- ``chat``: the same turns for a server that puts them into the model's own format (OpenAI's chat completions).
- ``sqlcoder``: the format that defog/sqlcoder-7b-2 was tuned on, as its model card gives it: the question first, then
  the schema, then the question again with ``[QUESTION]`` tags.
- ``llama3-sqlcoder``: that of defog/llama-3-sqlcoder-8b, as its model card gives it: Llama 3's chat format, the
  question first, and the answer begun with the question again. The server's tokenizer puts ``<|begin_of_text|>`` there.
- ``sqlcoder-schema-first``, ``llama3-sqlcoder-schema-first``: the same pieces with the question behind the schema, so
  that all questions of one person share what the server has read. The models were not tuned on them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from nlsql_gateway.ask.followups import Topic

Family = Literal[
    "chatml", "chat", "sqlcoder", "sqlcoder-schema-first", "llama3-sqlcoder", "llama3-sqlcoder-schema-first"
]
Choice = Literal[
    "auto", "chatml", "chat", "sqlcoder", "sqlcoder-schema-first", "llama3-sqlcoder", "llama3-sqlcoder-schema-first"
]
"A family, or ``auto``: by the model's name."

REFUSAL = "UNANSWERABLE"
"""What the model is told to say, in place of SQL, when the tables do not hold the answer.

The small default model hardly ever does (for 1 of 60 such questions), larger ones do. Said in the system turn it cost
no right answer; said beside the question it cost a tenth of them.
"""


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


def family(configured: Choice, model: str) -> Family:
    """The template for ``model``: as configured, or by its name."""
    if configured != "auto":
        return configured
    name = re.sub(r"[^a-z0-9]", "", model.lower())
    if "sqlcoder" not in name:
        return "chatml"
    return "llama3-sqlcoder" if "llama3" in name else "sqlcoder"


def harmless(text: str) -> str:
    """Without the marks that end a turn, a fence or a tag: they would let a question speak for the model."""
    return _MARKS.sub(" ", text)


_MARKS = re.compile(r"<\|[^|<>]{1,40}\|>|```|\[/?(?:QUESTION|SQL)\]|^###", re.MULTILINE)


def turns_of(text: str) -> list[dict[str, str]] | None:
    """The turns of a ``chat`` prompt as OpenAI's messages; None when it is none. What is in a turn has no marks."""
    turns = [{"role": role, "content": words} for role, words in _TURN.findall(text)]
    return turns if turns and "".join(map(_turn, turns)) == text else None


_TURN = re.compile(r"<\|im_start\|>(system|user|assistant)\n(.*?)<\|im_end\|>\n", re.DOTALL)


def _turn(turn: Mapping[str, str]) -> str:
    return f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n"


def chatml(turns: Iterable[Mapping[str, str]], *, language: str = "sql") -> str:
    """The prompt of the family ``chatml`` for these turns, whose answer in ``language`` the model is to go on with."""
    return f"{chat(turns)}<|im_start|>assistant\n```{language}\n"


def chat(turns: Iterable[Mapping[str, str]]) -> str:
    """The prompt of the family ``chat``."""
    return "".join(map(_turn, turns))


FENCE_END = "\n```<|im_end|>"
"What ends an answer of the family ``chatml``."


def _chatml(tables: str, question: str, failed: Attempt | None, before: Topic | None) -> Prompt:
    talk = turns_of(_chat(tables, question, failed, before).text)
    assert talk is not None
    return Prompt(chatml(talk), ("```", "<|im_end|>"))


def _chat(tables: str, question: str, failed: Attempt | None, before: Topic | None) -> Prompt:
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
        turns.append(("assistant", f"```sql\n{harmless(failed.sql)}\n```"))
        turns.append(("user", f"Error: {harmless(failed.error)}\nWrite the statement again without this error."))
    return Prompt(chat({"role": role, "content": words} for role, words in turns), ())


def _instructions(failed: Attempt | None, before: Topic | None) -> str:
    lines = ["- If you cannot answer the question with the available database schema, return 'I do not know'"]
    if before is not None:
        lines += [f"- The question goes on from this one: {before.question}", f"- Its query was: {before.sql}"]
    if failed is not None:
        lines += [f"- This query is wrong: {harmless(failed.sql)}", f"- Its error is: {harmless(failed.error)}"]
    return "\n".join(lines)


def _sqlcoder(
    tables: str, question: str, failed: Attempt | None, before: Topic | None, *, schema_first: bool = False
) -> Prompt:
    task = f"### Task\nGenerate a SQL query to answer [QUESTION]{question}[/QUESTION]\n\n"
    rest = f"### Instructions\n{_instructions(failed, before)}\n\n"
    schema = f"### Database Schema\nThe query will run on a database with the following schema:\n{tables}\n\n"
    return Prompt(
        (schema + task + rest if schema_first else task + rest + schema)
        + "### Answer\nGiven the database schema, here is the SQL query that "
        f"[QUESTION]{question}[/QUESTION]\n[SQL]\n",
        ("[/SQL]", "```", "###"),
    )


def _sqlcoder_schema_first(tables: str, question: str, failed: Attempt | None, before: Topic | None) -> Prompt:
    return _sqlcoder(tables, question, failed, before, schema_first=True)


def _llama3(
    tables: str, question: str, failed: Attempt | None, before: Topic | None, *, schema_first: bool = False
) -> Prompt:
    task = f"Generate a SQL query to answer this question: `{question}`\n{_instructions(failed, before)}"
    schema = f"DDL statements:\n{tables}"
    return Prompt(
        "<|start_header_id|>user<|end_header_id|>\n\n"
        + "\n\n".join((schema, task) if schema_first else (task, schema))
        + "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        f"The following SQL query best answers the question `{question}`:\n```sql\n",
        ("```", "<|eot_id|>"),
    )


def _llama3_schema_first(tables: str, question: str, failed: Attempt | None, before: Topic | None) -> Prompt:
    return _llama3(tables, question, failed, before, schema_first=True)


WRITERS: Mapping[Family, Callable[[str, str, Attempt | None, Topic | None], Prompt]] = {
    "chatml": _chatml,
    "chat": _chat,
    "sqlcoder": _sqlcoder,
    "sqlcoder-schema-first": _sqlcoder_schema_first,
    "llama3-sqlcoder": _llama3,
    "llama3-sqlcoder-schema-first": _llama3_schema_first,
}
