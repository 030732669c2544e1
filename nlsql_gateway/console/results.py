"""What can be done with an answer: files, a chart's data, right or wrong, verify."""

from __future__ import annotations

import asyncio
import re

from starlette.responses import JSONResponse, Response, StreamingResponse

from nlsql_gateway.console import charts, words
from nlsql_gateway.console.asking import place, run_of
from nlsql_gateway.console.calls import Call, Problem, action, page, see
from nlsql_gateway.console.feedback import note
from nlsql_gateway.console.line import Answer
from nlsql_gateway.console.tables import lines
from nlsql_gateway.errors import AuditError, ConfigError, UpstreamError


def _answer(call: Call) -> Answer:
    run = run_of(call)
    if run.answer is None:
        raise Problem(*words.NO_ROWS)
    return run.answer


async def as_csv(call: Call) -> Response:
    run, answer = run_of(call), _answer(call)
    name = f"{re.sub(r'[^A-Za-z0-9_-]+', '-', run.database)[:40]}-{run.began:%Y%m%d-%H%M%S}.csv"
    return StreamingResponse(
        lines(answer, call.query.get("sort", ""), call.query.get("order", "")),
        media_type="text/csv; charset=utf-8; header=present",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


async def as_tabs(call: Call) -> Response:
    """For the clipboard."""
    made = lines(_answer(call), call.query.get("sort", ""), call.query.get("order", ""), tabs=True)
    return StreamingResponse(made, media_type="text/plain; charset=utf-8")


async def chart(call: Call) -> Response:
    answer = _answer(call)
    found = charts.chosen(answer, call.query)
    if found is None:
        return JSONResponse({"problem": "there is no number to draw"}, 404)
    return JSONResponse({"spec": charts.spec(answer, found), "about": charts.described(answer, found)})


async def feedback(call: Call) -> Response:
    run = run_of(call)
    judged = call.form.get("judged", "")
    if judged not in ("right", "wrong") or run.state != "done":
        raise Problem(*words.NO_JUDGEMENT)
    try:
        await asyncio.to_thread(note, call.site.settings.feedback, run, call.person.name, judged)
    except OSError as error:
        call.site.log.error("feedback is not kept", problem=error.strerror)
        raise Problem(*words.NOT_KEPT) from error
    run.judged = judged
    return see(place(run, "#judged"))


async def verify_page(call: Call) -> Response:
    """What would be written, before it is."""
    return await _verification(call, write=False)


async def verify(call: Call) -> Response:
    return await _verification(call, write="write" in call.form)


async def _verification(call: Call, *, write: bool) -> Response:
    run, verification = run_of(call), call.site.backstage.verification
    if verification is None or not run.is_question or run.state != "done" or run.only_verdict:
        raise Problem(*words.NOT_VERIFIABLE)
    wording = " ".join(call.form.get("wording", run.text).split())
    try:
        parameters = dict(_parameters(call.form.get("parameters", "")))
        shown = await verification(
            question=run.text, sql=run.sql, user=call.person.name, database=run.database, wording=wording,
            parameters=parameters, write=write,
        )  # fmt: skip
        problem = None
    except (ConfigError, AuditError, UpstreamError) as error:
        shown, problem = [], error
    if write and problem is None:
        call.site.log.info("verified", person=call.person.name)
    return call.render(
        "verify.html",
        200 if problem is None else 422,
        run=run,
        place=place,
        wording=wording,
        parameters=call.form.get("parameters", ""),
        shown=shown,
        problem=problem,
        written=write and problem is None,
    )


def _parameters(text: str) -> list[tuple[str, str]]:
    """Raises ConfigError."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, value = line.partition("=")
        if not value or not name.isidentifier() or not name.islower():
            raise ConfigError("write each parameter as name=value, in a line of its own")
        found.append((name, value))
    return found


routes = [
    page("/d/{database}/r/{run}/rows.csv", as_csv),
    page("/d/{database}/r/{run}/rows.tsv", as_tabs),
    page("/d/{database}/r/{run}/chart", chart),
    action("/d/{database}/r/{run}/feedback", feedback),
    page("/d/{database}/r/{run}/verify", verify_page, who="reviewer"),
    action("/d/{database}/r/{run}/verify", verify, who="reviewer"),
]
