"""One request on its way to a handler, and how pages and actions are registered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from nlsql_gateway.console import words
from nlsql_gateway.console.sessions import Session
from nlsql_gateway.console.site import Link, Site

LARGEST_FORM: Final = 512 * 1024
"""Bytes."""

MOST_FIELDS: Final = 50

FORM_TIME: Final = 30.0
"""Seconds that a form may take to come."""

_TEMPLATES: Final = Environment(
    loader=PackageLoader("nlsql_gateway.console"), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip

Who = Literal["anyone", "person", "reviewer", "officer"]


class Problem(Exception):
    """A page that says what is wrong: what happened, and what to do. Nothing of it is a secret."""

    def __init__(self, status: int, title: str, words: str, todo: str = "", **headers: str) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.words = words
        self.todo = todo
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(slots=True)
class Call:
    request: Request
    site: Site
    session: Session | None
    token: str
    "Of the cookie; of somebody who is not signed in it ties a form to the browser."
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def person(self) -> Session:
        """Who is signed in; only in handlers of pages that are not for anyone."""
        assert self.session is not None
        return self.session

    @property
    def path(self) -> Mapping[str, str]:
        """The parts of the path that the route names."""
        found: Mapping[str, str] = self.request.path_params
        return found

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query_params

    def render(self, template: str, status: int = 200, **context: Any) -> HTMLResponse:
        """A page; ``context`` beside what every page has: session, links, csrf, asset, here."""
        person = self.session
        return HTMLResponse(
            _TEMPLATES.get_template(template).render(
                session=person,
                links=[link for link in self.site.links if person is not None and person.may(link.who)],
                csrf=self.site.csrf(self.token),
                asset=self.site.assets.url,
                here=self.request.url.path,
                **context,
            ),
            status,
        )

    def problem(self, problem: Problem) -> HTMLResponse:
        answer = self.render(
            "problem.html", problem.status, title=problem.title, words=problem.words, todo=problem.todo
        )
        answer.headers.update(problem.headers)
        return answer


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """What a file of pages lists in its ``routes``."""

    path: str
    handler: Handler
    who: Who
    nav: str = ""
    "What the navigation calls it; empty: it is not there."
    posts: bool = False

    def route(self, site: Site) -> Route:
        async def endpoint(request: Request) -> Response:
            return await _answer(self, request, site)

        name = f"{'post' if self.posts else 'get'} {self.path}"
        return Route(self.path, endpoint, methods=["POST" if self.posts else "GET"], name=name)


def page(path: str, handler: Handler, who: Who = "person", nav: str = "") -> Page:
    """A page that is looked at. ``handler`` changes nothing."""
    return Page(path, handler, who, nav)


def action(path: str, handler: Handler, who: Who = "person") -> Page:
    """What a form is posted to. The token of the form is checked before ``handler`` is called."""
    return Page(path, handler, who, posts=True)


def links(pages: Sequence[Page]) -> tuple[Link, ...]:
    return tuple(Link(one.nav, one.path, one.who) for one in pages if one.nav)


def see(path: str) -> RedirectResponse:
    """Go on there, with GET."""
    return RedirectResponse(quote(path, safe="/?=&%#-._~"), 303)


async def _answer(route: Page, request: Request, site: Site) -> Response:
    token = request.cookies.get(site.cookie, "")
    call = Call(request, site, site.sessions.find(token) if token else None, token)
    try:
        return await _checked(route, call)
    except Problem as problem:
        return call.problem(problem)
    except Exception as error:
        site.log.error("a page failed", path=route.path, exc_info=error)
        return call.problem(Problem(*words.FAULT))


async def _checked(route: Page, call: Call) -> Response:
    if route.who != "anyone" and call.session is None:
        return _signed_out(route, call)
    if route.posts:
        key = call.session.digest if call.session is not None else call.request.client
        if not call.site.posting.take(key):
            wait = str(call.site.posting.wait())
            raise Problem(*words.TOO_MANY.of(wait=wait), retry_after=wait)
        call.form = await _form(call.request)
        if not call.site.csrf_fits(call.token, call.form.get("csrf", call.request.headers.get("x-csrf-token", ""))):
            raise Problem(*words.OLD_FORM)
    if call.session is not None and not call.session.may(route.who):
        raise Problem(*words.NOT_FOR_YOU.of(who=route.who))
    return await route.handler(call)


def _signed_out(route: Page, call: Call) -> Response:
    """Whoever has an old cookie is told that the session has ended."""
    if route.posts or "text/html" not in call.request.headers.get("accept", "text/html"):
        raise Problem(*words.ENDED)
    target = call.request.url.path + (f"?{call.request.url.query}" if call.request.url.query else "")
    ended = "ended=1&" if call.token else ""
    return RedirectResponse(f"/sign-in?{ended}next={quote(target, safe='')}", 303)


async def _form(request: Request) -> Mapping[str, str]:
    """The fields that were posted. Raises Problem for what is too large or no form."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Problem(*words.NO_FORM)
    body = bytearray()
    try:
        async with asyncio.timeout(FORM_TIME):
            async for piece in request.stream():
                body += piece
                if len(body) > LARGEST_FORM:
                    raise Problem(*words.LARGE_FORM.of(most=LARGEST_FORM // 1024))
    except TimeoutError as error:
        raise Problem(*words.SLOW_FORM) from error
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise Problem(*words.UNREADABLE_FORM) from error
    return {name: value.replace("\r\n", "\n") for name, value in pairs}
