"""``build``: the console as an ASGI application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nlsql_gateway import log
from nlsql_gateway.config_console import Console
from nlsql_gateway.console import analysis, asking, officer, results, schemas, signing, words
from nlsql_gateway.console.assets import Assets
from nlsql_gateway.console.backstage import Backstage
from nlsql_gateway.console.calls import Call, Page, Problem, links
from nlsql_gateway.console.guard import Guard
from nlsql_gateway.console.port import Port
from nlsql_gateway.console.rates import Rate
from nlsql_gateway.console.runs import Shelf
from nlsql_gateway.console.sessions import Sessions
from nlsql_gateway.console.site import Site

PAGES: Final[tuple[Page, ...]] = (
    *signing.routes,
    *asking.routes,
    *schemas.routes,
    *results.routes,
    *analysis.routes,
    *officer.routes,
)
"""All pages, in the order of the navigation."""

SWEEP: Final = 15.0
"""Seconds between two looks for sessions that are over."""


def build(
    settings: Console, port: Port, backstage: Backstage | None = None, monotonic: Callable[[], float] = time.monotonic
) -> Starlette:
    """The console in front of the gateway at ``port``; serve it with its lifespan. It reads no file but its own."""
    site = Site(
        settings,
        port,
        backstage or Backstage(),
        Assets(),
        Sessions(settings, monotonic),
        log.logger(__name__),
        monotonic,
        signing_in=Rate(10, 60.0, monotonic),
        posting=Rate(120, 60.0, monotonic),
        shelf=Shelf(settings.memory),
        links=links(PAGES),
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            site.tasks = tasks
            sweeper = tasks.create_task(_sweep(site))
            try:
                yield
            finally:
                sweeper.cancel()
                site.sessions.end_all()
        site.tasks = None

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        call = Call(request, site, None, request.cookies.get(site.cookie, ""))
        call.session = site.sessions.find(call.token) if call.token else None
        said = {404: words.NO_PAGE, 405: words.NO_METHOD}.get(error.status_code, words.FAULT)
        return call.problem(Problem(*said))

    app = Starlette(
        routes=[*(one.route(site) for one in PAGES), Route("/static/{name:path}", site.assets.serve, name="static")],
        lifespan=lifespan,
        exception_handlers={HTTPException: refused},
    )
    app.state.site = site
    app.add_middleware(Guard, rate=Rate(600, 60.0, monotonic), is_secure=settings.listen.is_secure)
    return app


async def _sweep(site: Site) -> None:
    while True:
        await asyncio.sleep(SWEEP)
        site.sessions.sweep()
        for desk in list(site.desks.values()):
            desk.sweep()
