"""What holds for every answer: headers, and limits on how much and how often. Plain ASGI around all pages."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nlsql_gateway.console.rates import Rate

CSP: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing from other hosts, no inline script or style, no eval (https://www.w3.org/TR/CSP3/)."""

HEADERS: Final = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not no-referrer: with that, browsers send their own forms with "Origin: null" (https://fetch.spec.whatwg.org/#origin-header).
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
HSTS: Final = "max-age=31536000"

LONGEST_TARGET: Final = 4_096
"""Bytes of a path with its query."""


class Guard:
    def __init__(self, app: ASGIApp, *, rate: Rate, is_secure: bool) -> None:
        """``rate`` is that of one address."""
        self._app = app
        self._rate = rate
        self._headers = {**HEADERS, "strict-transport-security": HSTS} if is_secure else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)  # a page may have a stricter one of its own
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, answer)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        client = scope.get("client")
        if not self._rate.take(client[0] if client else ""):
            wait = str(self._rate.wait())
            return PlainTextResponse(f"too many requests; wait {wait} s", 429, {"retry-after": wait})
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > LONGEST_TARGET:
            return PlainTextResponse("the address is too long", 414)
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("not a method of this page", 405, {"allow": "GET, HEAD, POST"})
        origin = Headers(scope=scope).get("origin")
        if scope["method"] == "POST" and origin is not None and not _same(origin, scope):
            return PlainTextResponse("the form was sent from another site", 403)
        return None


def _same(origin: str, scope: Scope) -> bool:
    """Whether the page that sends the form is ours; behind a proxy only the host can be compared."""
    return origin.partition("://")[2] == Headers(scope=scope).get("host", "")
