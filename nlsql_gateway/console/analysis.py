"""Python over the rows of an answer: the page, and the run that its result becomes, with a chart and files as any."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from nlsql_gateway.config_console import Analysis
from nlsql_gateway.console import words
from nlsql_gateway.console.asking import place, run_of
from nlsql_gateway.console.calls import Call, Problem, action, page, see
from nlsql_gateway.console.cells import Kind, size
from nlsql_gateway.console.line import Answer, Column
from nlsql_gateway.console.runs import Run
from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.sandbox import Analysed, AnalysisFailed, Limits, analyse

LONGEST_CODE: Final = 20_000
LONGEST_WISH: Final = 2_000
"""Characters."""

SHOWN_TO_THE_MODEL: Final = 2_000
"""Characters of code that failed, and of its error."""

MOST_COLUMNS: Final = 100
"""Of an answer, of which the model is told."""

MOST_AT_A_TIME: Final = 4
"""Processes of a console."""

_KINDS: Final[dict[str, Kind]] = {"number": "number", "time": "time", "boolean": "boolean"}


def _offered(call: Call) -> tuple[Analysis, Run, Answer]:
    settings, run = call.site.settings.analysis, run_of(call)
    if settings is None:
        raise Problem(*words.NO_PYTHON)
    if run.answer is None:
        raise Problem(*words.NO_ROWS)
    return settings, run, run.answer


async def python_page(call: Call) -> Response:
    _, run, answer = _offered(call)
    made = call.site.desk(call.person).runs.get(call.query.get("code", ""))
    return _form(call, run, _Shown(made.python if made is not None else next(examples(answer))))


async def python(call: Call) -> Response:
    settings, run, answer = _offered(call)
    code = call.form.get("code", "").strip()
    if not code:
        raise Problem(*words.EMPTY.of(what="code"))
    if len(code) > LONGEST_CODE:
        raise Problem(*words.LONG.of(what="code", most=LONGEST_CODE))
    wish = _wish(call)
    try:
        async with _alone(call):
            limits = Limits(settings.seconds, settings.memory, call.site.settings.rows)
            columns = [(column.name, column.kind) for column in answer.columns]
            found = await analyse(code, columns, answer.rows, limits)
    except AnalysisFailed as error:
        return _form(call, run, _Shown(code, wish, problem=error))
    if not found.columns:
        return _form(call, run, _Shown(code, wish, printed=found.text, done=True))
    return see(place(_kept(call, run, code, found)))


async def suggestion(call: Call) -> Response:
    """Code by the model, for the person to look at: it gets the columns' names and kinds, and no row."""
    _, run, answer = _offered(call)
    wish, code = _wish(call), call.form.get("code", "")
    if not wish:
        raise Problem(*words.EMPTY.of(what="wish"))
    wanted = {
        "wanted": wish,
        "columns": [(column.name, column.kind) for column in answer.columns[:MOST_COLUMNS]],
    }
    if error := call.form.get("error", ""):
        wanted |= {"code": code[:SHOWN_TO_THE_MODEL], "error": error[:SHOWN_TO_THE_MODEL]}
    line = call.site.desk(call.person).line(run.database, run.tab)
    try:
        async with _alone(call), line.busy:
            found, by = await line.suggest(json.dumps(wanted))
    except UpstreamError as failure:
        return _form(call, run, _Shown(code or next(examples(answer)), wish, unanswered=failure))
    return _form(call, run, _Shown(found, wish, by=by))


def _wish(call: Call) -> str:
    wish = " ".join(call.form.get("wish", "").split())
    if len(wish) > LONGEST_WISH:
        raise Problem(*words.LONG.of(what="wish", most=LONGEST_WISH))
    return wish


@asynccontextmanager
async def _alone(call: Call) -> AsyncIterator[None]:
    """One thing at a time of a session, a few of all. Raises Problem."""
    busy, session = call.site.analysing, call.person
    if session.digest in busy or len(busy) >= MOST_AT_A_TIME:
        raise Problem(*words.PYTHON_BUSY)
    busy.add(session.digest)
    try:
        yield
    finally:
        busy.discard(session.digest)


def _kept(call: Call, run: Run, code: str, found: Analysed) -> Run:
    """The result as a run of its own, beside the others of the session."""
    columns = tuple(Column(name, f"{kind}, by Python", _KINDS.get(kind, "text")) for name, kind in found.columns)
    answer = Answer(columns, found.rows, found.more, sum(map(size, found.rows)))
    made = Run(
        run.database, run.tab, f"Python: {code}", is_question=False, state="done", answer=answer, python=code,
        source=run.id, printed=found.text,
    )  # fmt: skip
    call.site.desk(call.person).keep(made)
    return made


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the page shows of the last step."""

    code: str
    wish: str = ""
    problem: AnalysisFailed | None = None
    printed: str = ""
    done: bool = False
    "It ran to its end and gave no table."
    by: str = ""
    "Which model wrote the code."
    unanswered: UpstreamError | None = None
    "Why no code was suggested."


def _form(call: Call, run: Run, shown: _Shown) -> Response:
    assert run.answer is not None
    status = 200 if shown.problem is None and shown.unanswered is None else 422
    return call.render(
        "analysis.html", status, run=run, place=place, shown=shown, examples=list(examples(run.answer)),
    )  # fmt: skip


def examples(answer: Answer) -> Iterator[str]:
    """That fit the columns."""
    names = {
        kind: [repr(one.name) for one in answer.columns if one.kind == kind] for kind in ("number", "time", "text")
    }
    numbers, times, texts = names["number"], names["time"], names["text"]
    if texts and numbers:
        yield f"rows.groupby({texts[0]})[{numbers[-1]}].agg(['sum', 'mean', 'count'])"
    if times and numbers:
        yield f"rows.set_index({times[0]})[{numbers[-1]}].resample('MS').sum()"
    if len(numbers) > 1:
        yield f"rows[[{', '.join(numbers)}]].corr().round(2)"
    yield "rows.describe(include='all')"


routes = [
    page("/d/{database}/r/{run}/python", python_page),
    action("/d/{database}/r/{run}/python", python),
    action("/d/{database}/r/{run}/python/suggestion", suggestion),
]
