"""A gateway as a process of its own, pass-through, on uvloop: for what must be measured from outside.

``python -m tests.server.serving HOST PORT USER PASSWORD`` prints its port and its process id.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import uvloop

from nlsql_gateway import log
from nlsql_gateway.config import Auth, Listen, Settings, Upstream
from nlsql_gateway.server.listener import Gateway
from tests.server.conftest import POLICY, SmallGate


def main(host: str, port: str, user: str, password: str) -> None:
    log.configure("error", "json")
    secret = Path(tempfile.mkdtemp()) / "secret"
    secret.write_text(password)
    settings = Settings(
        listen=Listen(port=0),
        upstream=Upstream(host=host, port=int(port), user=user, password_file=secret),
        auth=Auth(method="trust"),
        policy=Path("unused"),
    )

    async def serve() -> None:
        gateway = Gateway(settings, SmallGate(), lambda: POLICY, log.logger("serving"))
        await gateway.serve(ready=lambda _, port: print(port, os.getpid(), flush=True))

    uvloop.run(serve())


if __name__ == "__main__":
    main(*sys.argv[1:])
