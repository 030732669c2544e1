"""The files that pages load, all of them shipped with the package: style, scripts, Vega."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
_FOREVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    packed: bytes
    "With gzip."
    kind: str
    version: str


class Assets:
    """Read once; a path is a key here, never a path on the disk."""

    def __init__(self) -> None:
        self.files = dict(_read(files("nlsql_gateway.console") / "static", ""))

    def url(self, name: str) -> str:
        """Where ``name`` is; another one when its content is another."""
        return f"/static/{name}?v={self.files[name].version}"

    async def serve(self, request: Request) -> Response:
        asset = self.files.get(request.path_params["name"])
        if asset is None:
            return PlainTextResponse("no such file", 404)
        packs = "gzip" in request.headers.get("accept-encoding", "")
        headers = {"cache-control": _FOREVER, "vary": "accept-encoding", "content-type": asset.kind}
        if packs:
            headers["content-encoding"] = "gzip"
        return Response(asset.packed if packs else asset.body, headers=headers)


def _read(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for one in folder.iterdir():
        if one.is_dir():
            found.extend(_read(one, f"{prefix}{one.name}/"))
        elif (kind := _TYPES.get(one.name.rpartition(".")[2])) is not None:
            body = one.read_bytes()
            packed = gzip.compress(body, 6, mtime=0)
            found.append((prefix + one.name, Asset(body, packed, kind, hashlib.sha256(body).hexdigest()[:16])))
    return found
