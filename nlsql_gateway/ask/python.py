"""Python over the rows of an answer, suggested by the model: ``ASK PYTHON: {…}``. Pure but for ``suggest``.

The model is shown the names and kinds of the answer's columns and what is to be found out, never a row. What it writes
is a text for a person to look at: whoever runs it does so in a sandbox (``sandbox/``), not here.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from time import monotonic
from typing import Final, Literal

import msgspec

from nlsql_gateway.ask.generator import Completion, Generator, Sampling
from nlsql_gateway.ask.templates import Family, Prompt, chat, chatml, harmless
from nlsql_gateway.errors import NoValidSql, StatementError, Unanswerable

MOST_COLUMNS: Final = 200
LONGEST: Final = 4000
"""Characters of what is to be found out, of the code that failed, of its error."""


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands behind ``ASK PYTHON:``, as JSON."""

    wanted: str
    "What is to be found out, in words."
    columns: list[tuple[str, Literal["number", "time", "boolean", "text"]]]
    "Of the frame ``rows``: name and kind."
    code: str = ""
    "What failed, if any: then the model is asked to mend it."
    error: str = ""
    "Its error."


@dataclass(frozen=True, slots=True)
class Suggestion:
    code: str
    "Python; whether it does what is wanted nobody knows."
    completion: Completion
    attempts: int


def read(text: str) -> Wanted:
    """Raises StatementError."""
    try:
        found = msgspec.json.decode(text, type=Wanted)
    except msgspec.DecodeError as error:  # ValidationError too
        raise StatementError(f"ASK PYTHON is about JSON: {error}", hint=_FORM) from error
    if not found.wanted.strip() or not found.columns:
        raise StatementError("ASK PYTHON says nothing of what is wanted, or of no column", hint=_FORM)
    if len(found.columns) > MOST_COLUMNS or max(map(len, (found.wanted, found.code, found.error))) > LONGEST:
        raise StatementError(
            f"ASK PYTHON is too long: {MOST_COLUMNS} columns, {LONGEST} characters each", hint="ask for less"
        )
    return found


_FORM: Final = 'write it like this: ASK PYTHON: {"wanted": "the mean by month", "columns": [["placed", "time"]]}'


async def suggest(
    generator: Generator, family: Family, wanted: Wanted, *, max_tokens: int, timeout: float
) -> Suggestion:
    """Code that Python's parser takes; it is asked for twice at most. ``timeout``: seconds.

    Raises the AskError family.
    """
    if family not in ("chatml", "chat"):
        raise Unanswerable("the model writes SQL only", hint="write the code yourself, or set ask.prompt")
    end, problem = monotonic() + timeout, ""
    for attempt in (1, 2):
        prompt = write(family, wanted)
        sampling = Sampling(max_tokens, stop=prompt.stop)
        completion = await generator.generate(prompt.text, sampling, timeout=max(0.001, end - monotonic()))
        code = settled(extract(completion.text))
        problem = faulty(code)
        if not problem:
            return Suggestion(code, completion, attempt)
        wanted = msgspec.structs.replace(wanted, code=code[:LONGEST], error=problem)
    raise NoValidSql(f"no valid Python was found: {problem}", hint="say it in other words, or write the code yourself")


def write(family: Family, wanted: Wanted) -> Prompt:
    """The columns first, which a further attempt shares."""
    columns = "\n".join(f"- {_plain(name)!r} ({kind})" for name, kind in wanted.columns)
    task = (
        f"rows is a pandas DataFrame with these columns:\n{columns}\n\n"
        "Write Python code that answers the question from rows, in a few lines without comments. "
        f"The last line is the result.\nQuestion: {_plain(wanted.wanted)}"
    )
    turns = [("system", "You write short Python code with pandas."), ("user", task)]
    if wanted.code:
        turns.append(("assistant", f"```python\n{harmless(wanted.code)}\n```"))
        turns.append(("user", f"Error: {_plain(wanted.error)}\nWrite the code again without this error."))
    said = [{"role": role, "content": words} for role, words in turns]
    if family == "chat":
        return Prompt(chat(said), ())
    return Prompt(chatml(said, language="python"), ("```", "<|im_end|>"))


def _plain(text: str) -> str:
    return " ".join(harmless(text).split())


_FENCE = re.compile(r"```[ \t]*(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)


def extract(completion: str) -> str:
    """The code in it, without fences."""
    text = completion.replace("<|im_end|>", "")
    before = text.split("```", 1)[0].strip()
    # The prompt may have opened the fence: then the text before the first fence is the answer.
    fenced = _FENCE.search(text) if faulty(before) else None
    return fenced[1].strip() if fenced is not None else before


_IMPORT = re.compile(r"^import (?:pandas as pd|numpy as np)[ \t]*\n+", re.MULTILINE)


def settled(code: str) -> str:
    """Without what is imported already; what its last line would print, or gives a name, is its result."""
    code = _IMPORT.sub("", f"{code}\n").strip()
    try:
        lines = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
    match lines and lines[-1]:
        case ast.Expr(ast.Call(ast.Name("print"), [ast.expr() as shown], [])) if not isinstance(shown, ast.Starred):
            if len(lines) > 1 and (lines[-2].end_lineno or 0) >= lines[-1].lineno:
                return code
            before = "".join(code.splitlines(keepends=True)[: lines[-1].lineno - 1])
            return f"{before}{ast.get_source_segment(code, shown)}"
        case ast.Assign([ast.Name(name)]):
            return f"{code}\n{name}"
    return code


def faulty(code: str) -> str:
    """Why Python's parser does not take it; empty: it does."""
    if not code:
        return "the model wrote no code"
    try:
        ast.parse(code)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError):
        return "it cannot be read"
    return ""
