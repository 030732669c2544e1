"""The officer's pages: the audit log, what a person may see, the difference between two policies, the evaluation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from starlette.responses import HTMLResponse, Response

from nlsql_gateway.console import words
from nlsql_gateway.console.calls import Call, Problem, action, page, see
from nlsql_gateway.console.oversight import Oversight
from nlsql_gateway.errors import GatewayError

T = TypeVar("T")

FIELDS: Final = ("user", "table", "verdict", "words", "since", "until")
"""By which the audit log is searched."""

LONGEST_FIELD: Final = 200
LONGEST_POLICY: Final = 256 * 1024
"""Characters of a policy that is put in as a text."""

REPORT_CSP: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"
"""The report is a page of its own, with its style in it; it has no script, and could run none."""


def _oversight(call: Call) -> Oversight:
    found = call.site.backstage.oversight
    if found is None:
        raise Problem(*words.NOT_OVERSEEN)
    return found


async def _looked_at(doing: Awaitable[T]) -> T:
    """Raises Problem in place of what the gateway's own rooms raise: an officer may read their words."""
    try:
        return await doing
    except GatewayError as error:
        said = "; ".join(part for part in (error.message, error.detail, error.hint) if part)
        raise Problem(*words.NOT_LOOKED_AT.of(problem=said)) from error


def _database(call: Call, wanted: str) -> str:
    names = call.person.databases
    if wanted and wanted not in names:
        raise Problem(*words.NO_DATABASE)
    return wanted or names[0]


def _log(call: Call, what: str, **facts: str) -> None:
    """Who looks at others is in the console's own log."""
    call.site.log.info(what, officer=call.person.name, **facts)


async def audit_page(call: Call) -> Response:
    wanted = {name: call.query.get(name, "").strip()[:LONGEST_FIELD] for name in FIELDS}
    oversight = _oversight(call)
    found = await _looked_at(oversight.entries(wanted, call.query.get("older", "")))
    _log(call, "the audit log was searched", **{name: value for name, value in wanted.items() if value})
    return call.render(
        "audit.html",
        wanted=wanted,
        found=[(place, _line(record)) for place, record in found.found],
        older=urlencode({**{name: value for name, value in wanted.items() if value}, "older": found.older})
        if found.older
        else "",
        oldest=_moment(found.oldest),
        checked=oversight.checked,
    )


async def entry_page(call: Call) -> Response:
    records = await _looked_at(_oversight(call).entry(call.path["place"]))
    _log(call, "an entry of the audit log was looked at", entry=str(records[0].get("id")))
    return call.render("entry.html", records=[_members(record) for record in records], decision=_line(records[0]))


async def verify(call: Call) -> Response:
    await _looked_at(_oversight(call).verify())
    _log(call, "the audit log was verified")
    return see("/audit#checked")


async def people_page(call: Call) -> Response:
    return call.render("people.html", people=await _looked_at(_oversight(call).people()))


async def person_page(call: Call) -> Response:
    name = call.query.get("name", "").strip()[:LONGEST_FIELD]
    if not name:
        return see("/people")
    database = _database(call, call.query.get("database", ""))
    person, tables = await _looked_at(_oversight(call).seen(name, database))
    _log(call, "a person's rights were looked at", person=name, database=database)
    return call.render(
        "person.html",
        person=person,
        database=database,
        databases=call.person.databases,
        readable=[table for table in tables if table.columns],
        closed=[table for table in tables if not table.columns],
    )


async def policies_page(call: Call) -> Response:
    return await _policies(call, compares=False)


async def policies(call: Call) -> Response:
    return await _policies(call, compares=True)


async def _policies(call: Call, *, compares: bool) -> Response:
    oversight = _oversight(call)
    running, files = await _looked_at(oversight.policies())
    name, text = call.form.get("file", ""), call.form.get("text", "")
    if len(text) > LONGEST_POLICY:
        raise Problem(*words.LONG.of(what="policy", most=LONGEST_POLICY))
    database = _database(call, call.form.get("database", ""))
    changes, problem = None, ""
    if compares:
        try:
            changes = await oversight.difference(name, text, database)
        except GatewayError as error:
            problem = "\n".join(part for part in (error.message, error.detail, error.hint) if part)
    return call.render(
        "policies.html",
        422 if problem else 200,
        running=running,
        files=files,
        name=name,
        text=text,
        database=database,
        databases=call.person.databases,
        changes=changes,
        problem=problem,
    )


async def evaluation_page(call: Call) -> Response:
    path = _oversight(call).report
    try:
        report = None if path is None else await asyncio.to_thread(path.read_text)
    except (OSError, UnicodeDecodeError):
        report = None
    if report is None:
        raise Problem(*words.NO_REPORT)
    return HTMLResponse(report, headers={"content-security-policy": REPORT_CSP})


def _line(record: Mapping[str, Any]) -> dict[str, str]:
    """A decision in a table."""
    question = record.get("question")
    verdict = str(record.get("verdict", ""))
    return {
        "time": _moment(str(record.get("time", ""))),
        "user": str(record.get("user", "")),
        "database": str(record.get("database", "")),
        "verdict": verdict,
        "why": str(record.get("reason", "") if verdict != "allow" else record.get("shadow", "")),
        "tables": ", ".join(map(str, record.get("relations") or ())),
        "words": str(record.get("text", "") if question is None else question)[:400],
        "is_question": "" if question is None else "yes",
    }


def _members(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every member, in the order in which it is told."""
    first = ("kind", "time", "user", "verdict", "reason", "question", "text", "answer", "sql", "rules", "relations")
    names = [*(name for name in first if name in record), *(name for name in record if name not in first)]
    return [(name, _shown(record[name])) for name in names]


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "\n".join(str(one) if one is not None else "null" for one in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _moment(time: str) -> str:
    return time[:19].replace("T", " ")


routes = [
    page("/audit", audit_page, who="officer", nav="Audit log"),
    page("/audit/{place}", entry_page, who="officer"),
    action("/audit", verify, who="officer"),
    page("/people", people_page, who="officer", nav="People"),
    page("/person", person_page, who="officer"),
    page("/policies", policies_page, who="officer", nav="Policies"),
    action("/policies", policies, who="officer"),
    page("/evaluation", evaluation_page, who="officer", nav="Evaluation"),
]
