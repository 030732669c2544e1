"""Asking: the page of a database, a run on its way, and its end."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from nlsql_gateway.console import charts, words
from nlsql_gateway.console.calls import Call, Problem, action, page, see
from nlsql_gateway.console.runs import STAGES, Run
from nlsql_gateway.console.tables import sheet

LONGEST_QUESTION: Final = 8_000
LONGEST_STATEMENT: Final = 200_000
"""Characters."""

HEARTBEAT: Final = 10.0
"""Seconds between two signs of life of a run, so that no proxy takes the line for dead."""

_TAB: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


def database_of(call: Call) -> str:
    """The database that the path names. Raises Problem when it is none to pick from."""
    name = call.path["database"]
    if name not in call.person.databases:
        raise Problem(*words.NO_DATABASE)
    return name


def run_of(call: Call) -> Run:
    """The person's own run that the path names. Raises Problem: nobody gets at another's."""
    run = call.site.desk(call.person).runs.get(call.path["run"])
    if run is None or run.database != database_of(call):
        raise Problem(*words.NO_ANSWER)
    return run


def place(run: Run, rest: str = "") -> str:
    return f"/d/{quote(run.database, safe='')}/r/{run.id}{rest}"


async def ask_page(call: Call) -> Response:
    return _page(call, None)


async def run_page(call: Call) -> Response:
    return _page(call, run_of(call))


async def ask(call: Call) -> Response:
    text = " ".join(call.form.get("question", "").split())
    if not text:
        raise Problem(*words.EMPTY.of(what="question"))
    if len(text) > LONGEST_QUESTION:
        raise Problem(*words.LONG.of(what="question", most=LONGEST_QUESTION))
    return _start(call, text, is_question=True)


async def run_statement(call: Call) -> Response:
    text = call.form.get("statement", "").strip()
    if not text:
        raise Problem(*words.EMPTY.of(what="statement"))
    if len(text) > LONGEST_STATEMENT:
        raise Problem(*words.LONG.of(what="statement", most=LONGEST_STATEMENT))
    return _start(call, text, is_question=False)


async def cancel(call: Call) -> Response:
    run = run_of(call)
    run.cancel()
    return see(place(run))


async def events(call: Call) -> Response:
    """Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): each stage, then the end."""
    run = run_of(call)
    return StreamingResponse(_told(run), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _told(run: Run) -> AsyncIterator[str]:
    sent = 0
    while True:
        for stage, ms in run.stages[sent:]:
            yield f"event: stage\ndata: {json.dumps({'stage': stage, 'ms': ms})}\n\n"
        sent = len(run.stages)
        if run.state != "running":
            yield f"event: done\ndata: {json.dumps({'state': run.state})}\n\n"
            return
        try:
            async with asyncio.timeout(HEARTBEAT):
                await run.changed()
        except TimeoutError:
            yield ": still running\n\n"


def _start(call: Call, text: str, *, is_question: bool) -> Response:
    desk = call.site.desk(call.person)
    if desk.is_full:
        raise Problem(*words.BUSY)
    if "\0" in text:
        raise Problem(*words.NO_TEXT)
    run = Run(
        database_of(call),
        _tab(call.form.get("tab", "")),
        text,
        is_question,
        only_verdict="explain" in call.form,
        goes_on="more" in call.form,
    )
    desk.start(run)
    return see(place(run))


def _tab(given: str) -> str:
    return given if _TAB.fullmatch(given) else secrets.token_urlsafe(9)


def _page(call: Call, run: Run | None) -> Response:
    database = database_of(call)
    desk = call.site.desk(call.person)
    answer = run.answer if run is not None else None
    chart = charts.chosen(answer, call.query) if answer is not None else None
    is_shown = chart is not None and answer is not None and (charts.fitting(answer) is not None or "mark" in call.query)
    return call.render(
        "ask.html",
        database=database,
        tab=run.tab if run is not None else _tab(""),
        run=run,
        place=place,
        stages=STAGES,
        history=[one for one in reversed(desk.runs.values()) if one.database == database],
        sheet=sheet(answer, *(call.query.get(key, "") for key in ("page", "sort", "order"))) if answer else None,
        chart=chart if is_shown else None,
        marks=charts.MARKS,
        about=charts.described(answer, chart) if answer is not None and chart is not None else "",
        title=words.title,
        todo=words.todo,
        can_verify=call.site.backstage.verification is not None,
        can_analyse=call.site.settings.analysis is not None,
    )


routes = [
    page("/d/{database}", ask_page),
    action("/d/{database}/ask", ask),
    action("/d/{database}/run", run_statement),
    page("/d/{database}/r/{run}", run_page),
    page("/d/{database}/r/{run}/events", events),
    action("/d/{database}/r/{run}/cancel", cancel),
]
