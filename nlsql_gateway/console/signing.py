"""Signing in and out, and picking a database."""

from __future__ import annotations

import secrets
from typing import Final
from urllib.parse import quote

import asyncpg
from starlette.responses import Response

from nlsql_gateway.console import words
from nlsql_gateway.console.calls import Call, Problem, action, page, see
from nlsql_gateway.console.port import hang_up, said
from nlsql_gateway.errors import UpstreamError

LONGEST: Final = 1_000
"""Characters of a name, or a password."""

_LISTED: Final = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname"


async def home(call: Call) -> Response:
    """To the only database, or to where one is picked."""
    names = call.person.databases
    return see(f"/d/{quote(names[0], safe='')}" if len(names) == 1 else "/databases")


async def sign_in_page(call: Call) -> Response:
    if call.session is not None:
        return see("/")
    return _form(call, ended="ended" in call.query, target=_inside(call.query.get("next", "/")))


async def sign_in(call: Call) -> Response:
    """A connection at the gateway's port is the proof: the console knows no passwords of its own."""
    name, password = call.form.get("name", ""), call.form.get("password", "")
    target = _inside(call.form.get("next", "/"))
    if not name or max(len(name), len(password)) > LONGEST or "\0" in name + password:
        return _form(call, 400, words.SIGN_IN_EMPTY, name=name[:LONGEST], target=target)
    address = call.request.client.host if call.request.client else ""
    if not (call.site.signing_in.take(("address", address)) and call.site.signing_in.take(("name", name))):
        wait = str(call.site.signing_in.wait())
        raise Problem(*words.TOO_MANY_ATTEMPTS.of(wait=wait), retry_after=wait)
    try:
        databases = await _databases(call, name, password)
    except UpstreamError as error:
        wrong = error.sqlstate[:2] == "28"
        call.site.log.info("signing in failed", person=name, address=address, sqlstate=error.sqlstate)
        message = words.SIGN_IN_WRONG if wrong else f"{error.message[:1].upper()}{error.message[1:]}."
        return _form(call, 401 if wrong else 503, message, hint=error.hint, name=name, target=target)
    if call.session is not None:
        call.site.sessions.end(call.session)
    token, _ = call.site.sessions.begin(name, password, databases)
    call.site.log.info("signed in", person=name, address=address)
    answer = see(target)
    _set_cookie(call, answer, token)
    return answer


async def sign_out(call: Call) -> Response:
    if call.session is not None:
        call.site.sessions.end(call.session)
    answer = see("/sign-in")
    answer.delete_cookie(call.site.cookie, path="/", secure=call.site.settings.listen.is_secure, httponly=True)
    # Pages are never stored; this is what scripts keep of a tab (https://www.w3.org/TR/clear-site-data/).
    answer.headers["clear-site-data"] = '"storage"'
    return answer


async def databases(call: Call) -> Response:
    return call.render("databases.html", databases=call.person.databases)


async def _databases(call: Call, name: str, password: str) -> tuple[str, ...]:
    """What may be picked from. Raises UpstreamError when the gateway does not let this person in."""
    listed = call.site.settings.databases
    connection = await call.site.port.open(name, password, listed[0] if listed else "postgres")
    try:
        return listed or tuple(row[0] for row in await connection.fetch(_LISTED, timeout=30))
    except asyncpg.PostgresError as error:
        raise said(error) from error
    except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
        raise UpstreamError("the gateway does not answer", sqlstate="08006") from error
    finally:
        await hang_up(connection)


def _form(
    call: Call,
    status: int = 200,
    message: str = "",
    *,
    hint: str = "",
    name: str = "",
    target: str,
    ended: bool = False,
) -> Response:
    fresh = "" if call.token else secrets.token_urlsafe(32)
    call.token = call.token or fresh
    answer = call.render("sign_in.html", status, message=message, hint=hint, name=name, target=target, ended=ended)
    if fresh:
        _set_cookie(call, answer, fresh)
    return answer


def _set_cookie(call: Call, answer: Response, token: str) -> None:
    """Without an age: it goes with the browser."""
    secure = call.site.settings.listen.is_secure
    answer.set_cookie(call.site.cookie, token, path="/", secure=secure, httponly=True, samesite="strict")


def _inside(target: str) -> str:
    """``target`` where it is a page of ours, else the first one."""
    is_ours = target.startswith("/") and not target.startswith("//") and target.isprintable() and "\\" not in target
    return target if is_ours else "/"


routes = [
    page("/", home),
    page("/sign-in", sign_in_page, who="anyone"),
    action("/sign-in", sign_in, who="anyone"),
    action("/sign-out", sign_out, who="anyone"),
    page("/databases", databases, nav="Databases"),
]
